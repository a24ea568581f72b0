"""How often each user names the category that other users of the same product name."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserAgreement:
    """Agreement of a user with others, over products that both labelled."""

    user: str
    comparisons: int
    """Pairs of this user and another one who labelled the same product."""
    agreeing: int
    """Pairs that name the same category."""

    @property
    def share(self) -> float | None:
        """Return the share of pairs that agree, None without a pair."""
        return self.agreeing / self.comparisons if self.comparisons else None


def agreement_by_user(votes: Iterable[tuple[bytes, str, str]]) -> list[UserAgreement]:
    """Return the agreement of every user with the others, sorted by name.

    Args:
        votes: Group of the corrections of a product, user and category, one per user and product.
    """
    products: dict[bytes, dict[str, str]] = defaultdict(dict)
    for product, user, code in votes:
        products[product][user] = code
    comparisons: Counter[str] = Counter()
    agreeing: Counter[str] = Counter()
    for by_user in products.values():
        codes = Counter(by_user.values())
        for user, code in by_user.items():
            comparisons[user] += len(by_user) - 1
            agreeing[user] += codes[code] - 1
    return [UserAgreement(user, comparisons[user], agreeing[user]) for user in sorted(comparisons)]
