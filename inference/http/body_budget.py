"""Memory for the bodies of requests in progress, in all and per owner; for one event loop."""

from inference.http.problems import Overloaded, Problem
from product_classifier.limits import PHOTO_BODY_BYTES

RETRY_AFTER_S = 1


class BodyBudget:
    """Counts the bytes of bodies from their arrival to the end of their requests."""

    def __init__(self, most: int, per_owner: int) -> None:
        """Take the most bytes in all, and those of one owner: a user, or an address without one."""
        self._most = most
        self._per_owner = per_owner
        self._used = 0
        self._by_owner: dict[str, int] = {}

    @property
    def used(self) -> int:
        """Bytes in memory."""
        return self._used

    def check(self, owner: str, size: int) -> None:
        """Raise a 429 problem or Overloaded if `size` more bytes of an owner are too many."""
        if self._by_owner.get(owner, 0) + size > self._per_owner:
            raise Problem(
                429,
                f"your requests in progress have more than {self._per_owner} bytes; wait until one has ended",
                kind="rate-limit",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        if self._used + size > self._most:
            raise Overloaded("the requests in progress have too many bytes; try again in a second")

    def add(self, owner: str, size: int) -> None:
        """Count bytes of an owner; a negative size frees them."""
        self._used += size
        if (used := self._by_owner.get(owner, 0) + size) > 0:
            self._by_owner[owner] = used
        else:
            self._by_owner.pop(owner, None)


def body_budget(most: int) -> BodyBudget:
    """Return a budget of which one owner has at most a third, but enough for one largest body."""
    return BodyBudget(most, max(most // 3, PHOTO_BODY_BYTES))


class BodyReservation:
    """The bytes of one request's body."""

    __slots__ = ("_budget", "_owner", "_size")

    def __init__(self, budget: BodyBudget, owner: str) -> None:
        self._budget = budget
        self._owner = owner
        self._size = 0

    def announce(self, size: int) -> None:
        """Raise a problem before bytes are read that would be too many."""
        self._budget.check(self._owner, size)

    def add(self, size: int) -> None:
        """Count bytes that were read; raise a problem if they are too many."""
        self._budget.check(self._owner, size)
        self._budget.add(self._owner, size)
        self._size += size

    def release(self) -> None:
        """Free all bytes of the request."""
        if self._size:
            self._budget.add(self._owner, -self._size)
            self._size = 0
