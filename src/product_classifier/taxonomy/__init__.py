"""Categories of a catalogue: their codes, their labels and their order in every probability vector.

A `Taxonomy` is passed as an argument to whatever needs categories; only entry points name `CHALLENGE`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from product_classifier.errors import UnknownCategory

Codes = tuple[int, ...]
"""Category codes in the order of a probability vector."""


@dataclass(frozen=True, slots=True)
class IntegerCategory:
    """A category: the code products carry and a label per language."""

    code: int
    label_fr: str
    label_en: str


@dataclass(frozen=True)
class IntegerTaxonomy:
    """An ordered set of categories; position `i` is column `i` of every probability vector."""

    categories: tuple[IntegerCategory, ...]
    codes: Codes = field(init=False, repr=False, compare=False)
    _positions: dict[int, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = tuple(category.code for category in self.categories)
        object.__setattr__(self, "codes", codes)
        object.__setattr__(self, "_positions", {code: index for index, code in enumerate(codes)})

    def __len__(self) -> int:
        return len(self.categories)

    def __iter__(self) -> Iterator[IntegerCategory]:
        return iter(self.categories)

    def __contains__(self, code: object) -> bool:
        return code in self._positions

    def __getitem__(self, code: int) -> IntegerCategory:
        """Return the category with this code; raise `UnknownCategory` if there is none."""
        return self.categories[self.index_of(code)]

    def index_of(self, code: int) -> int:
        """Return the position of `code` in a probability vector; raise `UnknownCategory` if it has none."""
        try:
            return self._positions[code]
        except KeyError:
            raise UnknownCategory(f"category code {code!r} is not one of the {len(self)} known codes") from None


Category = IntegerCategory
Taxonomy = IntegerTaxonomy
"""Replaced by `taxonomy.tree.Taxonomy`, whose codes are strings."""

CHALLENGE = IntegerTaxonomy(
    (
        IntegerCategory(10, "Livres d'occasion", "Used books"),
        IntegerCategory(40, "Jeux vidéo importés", "Imported video games"),
        IntegerCategory(50, "Accessoires de jeux vidéo", "Video game accessories"),
        IntegerCategory(60, "Consoles de jeux", "Game consoles"),
        IntegerCategory(1140, "Produits dérivés et figurines", "Pop-culture figures and merchandise"),
        IntegerCategory(1160, "Cartes à collectionner", "Trading cards"),
        IntegerCategory(1180, "Figurines et jeux de rôle", "Miniatures and role-playing games"),
        IntegerCategory(1280, "Jouets enfant", "Toys for children"),
        IntegerCategory(1281, "Jeux de société", "Board games"),
        IntegerCategory(1300, "Modélisme et drones", "Scale models and drones"),
        IntegerCategory(1301, "Articles pour bébé et baby-foot", "Baby clothing and table games"),
        IntegerCategory(1302, "Loisirs de plein air", "Outdoor leisure"),
        IntegerCategory(1320, "Puériculture", "Baby care"),
        IntegerCategory(1560, "Mobilier d'intérieur", "Indoor furniture"),
        IntegerCategory(1920, "Linge de maison", "Household linen"),
        IntegerCategory(1940, "Épicerie", "Groceries"),
        IntegerCategory(2060, "Décoration d'intérieur", "Home decoration"),
        IntegerCategory(2220, "Animalerie", "Pet supplies"),
        IntegerCategory(2280, "Magazines et revues", "Magazines"),
        IntegerCategory(2403, "Livres, BD et collections", "Books, comics and series"),
        IntegerCategory(2462, "Jeux vidéo d'occasion et lots", "Used video games and bundles"),
        IntegerCategory(2522, "Papeterie", "Stationery"),
        IntegerCategory(2582, "Mobilier de jardin", "Garden furniture"),
        IntegerCategory(2583, "Piscine et spa", "Pools and spas"),
        IntegerCategory(2585, "Bricolage et outillage de jardin", "Do-it-yourself and garden tools"),
        IntegerCategory(2705, "Livres neufs", "New books"),
        IntegerCategory(2905, "Jeux PC à télécharger", "Downloadable PC games"),
    )
)
"""The 27 categories of the Rakuten challenge, ascending by code."""
