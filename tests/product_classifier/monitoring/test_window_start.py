"""The start of a window, as users give it."""

from datetime import UTC, datetime

import pytest

from product_classifier.errors import InvalidSettings
from product_classifier.monitoring.window_start import window_start

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", datetime(2026, 3, 9, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 3, 10, 10, 30, tzinfo=UTC)),
        ("24h", datetime(2026, 3, 9, 12, tzinfo=UTC)),
        ("7d", datetime(2026, 3, 3, 12, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T10:00:00Z", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_time_or_a_span_is_read(text: str, expected: datetime) -> None:
    assert expected == window_start(text, NOW)


@pytest.mark.parametrize("text", ["yesterday", "24", "-1h", "2026-13-01", "2026-03-11", "999999d", "0s"])
def test_anything_else_is_refused_with_what_is_accepted(text: str) -> None:
    with pytest.raises(InvalidSettings, match="SINCE: "):
        window_start(text, NOW)
