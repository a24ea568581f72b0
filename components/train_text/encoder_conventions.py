"""How a pretrained text encoder is used, as it was trained: its pooling and the prefix of a text.

Both are read from the files that sentence-transformers writes beside a model. An encoder without them pools the first
token, as BERT's classification does, unless it is of the family E5 (Wang et al. 2022, arXiv:2212.03533).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from transformers.utils import cached_file

Pooling = Literal["mean", "first-token"]
_E5 = re.compile(r"(^|[-_])e5([-_]|$)", re.IGNORECASE)
_PROMPTS = ("classification", "Classification", "query")
"""Names of the prompt for a text to classify, most specific first."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """Pooling of the token vectors, and the prefix of each text."""

    pooling: Pooling
    prefix: str


def read_conventions(encoder: str) -> Conventions:
    """Return the conventions of an encoder, given by name or folder."""
    is_e5 = bool(_E5.search(Path(encoder).name))
    pooling = _read(encoder, "1_Pooling/config.json")
    mean = bool(pooling.get("pooling_mode_mean_tokens")) if pooling else is_e5
    prompts = _read(encoder, "config_sentence_transformers.json").get("prompts") or {}
    declared = [prompts[name] for name in _PROMPTS if prompts.get(name)]
    prefix = declared[0] if declared else "query: " if is_e5 else ""
    return Conventions("mean" if mean else "first-token", prefix)


def _read(encoder: str, name: str) -> dict[str, Any]:
    """Return the content of a JSON file of the encoder; empty if it has no such file."""
    try:
        path = cached_file(encoder, name)
    except OSError:  # also without network: then the encoder's own files decide whether training is possible
        return {}
    found: dict[str, Any] = json.loads(Path(path).read_text()) if path else {}
    return found
