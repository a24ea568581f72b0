"""Releases of an InferenceService, in fields that no manifest sets and no manifest resets.

The storage initializer downloads each release in `storageUris` to a folder of the pod. The pod's annotations name the
current one, which is downloaded first: a pod starts without any of the others, never without this one. KServe derives
volume names from mount paths, so mount paths are lowercase.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GROUP = "product-classifier"
RELEASE = f"{GROUP}/release"
HELD = f"{GROUP}/releases"
CANARY = f"{GROUP}/canary-release"
SHARE = f"{GROUP}/canary-share"
SHADOW = f"{GROUP}/shadow-release"
FOLDER = "/mnt/models"


@dataclass(frozen=True)
class Placement:
    """The current release of a server and all it holds; both are empty before the first release."""

    current: str = ""
    held: tuple[str, ...] = ()
    challenger: Mapping[str, str] = field(default_factory=dict)
    """Canary and shadow by annotation."""

    def fields(self, models: str, kind: str) -> dict[str, Any]:
        """Return the patch of an InferenceService's predictor; None removes a field."""
        annotations: dict[str, str | None] = dict.fromkeys((RELEASE, HELD, CANARY, SHARE, SHADOW))
        if self.current:
            annotations |= {RELEASE: self.current, HELD: ",".join(self.held), **self.challenger}
        current_first = sorted(self.held, key=lambda one: one != self.current)
        uris = [{"uri": f"{models}/{one}/{kind}", "mountPath": f"{FOLDER}/{one.lower()}"} for one in current_first]
        return {"annotations": annotations, "storageUris": uris or None}


def read(annotations: Mapping[str, str] | None) -> Placement:
    """Parse the annotations of a predictor, of its Deployment's template or of a pod."""
    found = annotations or {}
    challenger = {name: found[name] for name in (CANARY, SHARE, SHADOW) if name in found}
    return Placement(found.get(RELEASE, ""), tuple(filter(None, found.get(HELD, "").split(","))), challenger)
