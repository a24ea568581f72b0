"""What an InferenceService is told to serve, as fields of it that no manifest holds: applying one never undoes them.

KServe's storage initializer brings each release in `storageUris` to a folder of the pod, and the pod's own
annotations tell the server which of them is current (RELEASE in its environment is one of them). KServe makes a
volume's name of a mount path, so that is in small letters.
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
    """The current release of a server and all it holds; nothing is held before the first release."""

    current: str = ""
    held: tuple[str, ...] = ()
    challenge: Mapping[str, str] = field(default_factory=dict)
    """Canary and shadow, by annotation."""

    def fields(self, models: str, kind: str) -> dict[str, Any]:
        """Return the changes to an InferenceService's predictor; None removes a field."""
        annotations: dict[str, str | None] = dict.fromkeys((RELEASE, HELD, CANARY, SHARE, SHADOW))
        if self.current:
            annotations |= {RELEASE: self.current, HELD: ",".join(self.held), **self.challenge}
        uris = [{"uri": f"{models}/{one}/{kind}", "mountPath": f"{FOLDER}/{one.lower()}"} for one in self.held]
        return {"annotations": annotations, "storageUris": uris or None}


def read(annotations: Mapping[str, str] | None) -> Placement:
    """Read the annotations of a predictor, of its Deployment's template or of a pod."""
    found = annotations or {}
    challenge = {name: found[name] for name in (CANARY, SHARE, SHADOW) if name in found}
    return Placement(found.get(RELEASE, ""), tuple(filter(None, found.get(HELD, "").split(","))), challenge)
