"""The user of the current request, by whom work is queued; no permission depends on it."""

from contextvars import ContextVar

USER_HEADER = "X-Auth-User"
"""Set by the gateway, which drops the one of a client."""

request_user: ContextVar[str] = ContextVar("request_user", default="")
