"""The 27 categories of the catalogue: code, position in every probability vector, labels."""

from dataclasses import dataclass

from product_classifier.errors import UnknownCategory


@dataclass(frozen=True, slots=True)
class Category:
    """One shelf of the marketplace."""

    code: int
    label_fr: str
    label_en: str


CATEGORIES: tuple[Category, ...] = (
    Category(10, "Livres d'occasion", "Used books"),
    Category(40, "Jeux vidéo importés", "Imported video games"),
    Category(50, "Accessoires de jeux vidéo", "Video game accessories"),
    Category(60, "Consoles de jeux", "Game consoles"),
    Category(1140, "Produits dérivés et figurines", "Pop-culture figures and merchandise"),
    Category(1160, "Cartes à collectionner", "Trading cards"),
    Category(1180, "Figurines et jeux de rôle", "Miniatures and role-playing games"),
    Category(1280, "Jouets enfant", "Toys for children"),
    Category(1281, "Jeux de société", "Board games"),
    Category(1300, "Modélisme et drones", "Scale models and drones"),
    Category(1301, "Articles pour bébé et baby-foot", "Baby clothing and table games"),
    Category(1302, "Loisirs de plein air", "Outdoor leisure"),
    Category(1320, "Puériculture", "Baby care"),
    Category(1560, "Mobilier d'intérieur", "Indoor furniture"),
    Category(1920, "Linge de maison", "Household linen"),
    Category(1940, "Épicerie", "Groceries"),
    Category(2060, "Décoration d'intérieur", "Home decoration"),
    Category(2220, "Animalerie", "Pet supplies"),
    Category(2280, "Magazines et revues", "Magazines"),
    Category(2403, "Livres, BD et collections", "Books, comics and series"),
    Category(2462, "Jeux vidéo d'occasion et lots", "Used video games and bundles"),
    Category(2522, "Papeterie", "Stationery"),
    Category(2582, "Mobilier de jardin", "Garden furniture"),
    Category(2583, "Piscine et spa", "Pools and spas"),
    Category(2585, "Bricolage et outillage de jardin", "Do-it-yourself and garden tools"),
    Category(2705, "Livres neufs", "New books"),
    Category(2905, "Jeux PC à télécharger", "Downloadable PC games"),
)
"""Ascending by code: the order of every probability vector of a freshly trained model."""

CODES: tuple[int, ...] = tuple(category.code for category in CATEGORIES)
BY_CODE: dict[int, Category] = {category.code: category for category in CATEGORIES}
_INDEX: dict[int, int] = {code: index for index, code in enumerate(CODES)}


def index_of(code: int) -> int:
    """Return the position of `code` in a probability vector.

    Raises:
        UnknownCategory: If no category has this code.
    """
    try:
        return _INDEX[code]
    except KeyError:
        raise UnknownCategory(f"category code {code!r} is not one of the {len(CODES)} known codes") from None
