"""Structured logging to standard error."""

import io

import pytest

from product_classifier.observability import configure_logging, get_logger


def test_a_logger_follows_standard_error_when_it_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    log, first, second = get_logger(), io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stderr", first)
    configure_logging("feedback-service")
    log.warning("store_unavailable")
    first.close()
    monkeypatch.setattr("sys.stderr", second)

    log.warning("store_recovered")

    assert second.getvalue().endswith("feedback-service store_recovered\n")
