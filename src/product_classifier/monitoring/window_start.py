"""The start of a window, as a user gives it."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from product_classifier.errors import InvalidSettings

DEFAULT: Final = timedelta(hours=24)
_SPAN: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def window_start(text: str, now: datetime) -> datetime:
    """Return the start of a window that ends now.

    Args:
        text: A time or a day (ISO 8601, UTC without an offset), or a span such as 90m, 24h or 7d; empty for 24 hours.
        now: Current time.

    Raises:
        InvalidSettings: If it is neither, or not before now.
    """
    if not text:
        return now - DEFAULT
    try:
        span = _SPAN.fullmatch(text)
        start = now - timedelta(**{_UNITS[span[2]]: int(span[1])}) if span else datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        raise InvalidSettings(f"SINCE: {text!r:.40} is no time; use 24h, 7d or 2026-03-01T12:00:00Z") from error
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    if start >= now:
        raise InvalidSettings(f"SINCE: {text!r:.40} is not before now; use an earlier time")
    return start.astimezone(UTC)
