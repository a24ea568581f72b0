"""Roles and their order."""

from enum import StrEnum


class Role(StrEnum):
    """What a user may do; each role includes the ones before it."""

    USER = "user"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what `other` may."""
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}
