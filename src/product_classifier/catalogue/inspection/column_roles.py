"""Propose which column holds what, from the names of columns and the profiles of their values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from product_classifier.catalogue.inspection.column_profiles import SEPARATORS, ColumnProfile
from product_classifier.catalogue.tables.columns import fold

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "uniqid", "productid", "sku", "asin", "ean", "gtin", "upc", "itemid", "offerid", "articleid", "ref",
           "reference", "artikelnummer", "productcode", "itemnumber", "handle"),
    "designation": ("designation", "title", "productname", "producttitle", "name", "itemname", "producttitel", "titre",
                    "libelle", "titulo", "nombre", "bezeichnung", "titel", "product", "intitule", "nom"),
    "description": ("description", "productdescription", "longdescription", "details", "bodyhtml", "body", "text",
                    "about", "aboutproduct", "beschreibung", "descripcion", "descrizione", "summary", "features"),
    "image": ("image", "imageurl", "img", "imglink", "imagelink", "picture", "photo", "images", "imagefile",
              "imagepath", "imagesrc", "thumbnail", "filename", "bild", "imagename"),
    "category": ("category", "productcategorytree", "categorypath", "producttype", "categories", "productcategory",
                 "categoryname", "categorylabel", "googleproductcategory", "breadcrumb", "breadcrumbs", "taxonomy",
                 "categorie", "kategorie", "categoria", "rubrique", "class", "label", "prdtypecode", "department",
                 "categoryid", "categorycode", "maincategory", "subcategory", "section"),
    "group": ("groupid", "itemgroupid", "clusterid", "parentid", "parentasin", "parentsku", "productgroup", "modelid",
              "group", "variantgroup"),
    "extra": ("brand", "manufacturer", "marke", "marque", "maker", "brandname", "vendor", "author", "color", "colour",
              "material"),
}  # fmt: skip
"""Names of columns by what they hold, folded, the likeliest first."""

_MAX_CATEGORIES: Final = 10_000
_MIN_PRODUCTS: Final = 5


@dataclass(frozen=True, slots=True)
class ColumnRole:
    """A column, and why it is proposed."""

    profile: ColumnProfile
    reason: str


@dataclass(slots=True)
class ColumnRoles:
    """The columns that are proposed, by what they hold."""

    roles: dict[str, ColumnRole] = field(default_factory=dict)
    extra: list[ColumnRole] = field(default_factory=list)
    separator: str = ""
    level: int | None = None

    def positions(self) -> set[int]:
        """Return the positions of the columns with a role."""
        return {role.profile.position for role in [*self.roles.values(), *self.extra]}


def propose_roles(profiles: Sequence[ColumnProfile]) -> ColumnRoles:
    """Return a role for each column that has one; `category` or `designation` may be missing."""
    found = ColumnRoles()
    free = [profile for profile in profiles if profile.filled]

    def assign(role: str, score: Callable[[ColumnProfile], float], reason: Callable[[ColumnProfile], str]) -> None:
        taken = found.positions()
        scored = [(score(one), one) for one in free if one.position not in taken]
        best, profile = max(scored, key=lambda pair: pair[0], default=(0.0, None))
        if profile is not None and best > 0:
            named = f"named {profile.name!r}, " if _name_score(role, profile) else ""
            found.roles[role] = ColumnRole(profile, named + reason(profile))

    assign("image", _image, lambda one: "URLs of photos" if one.urls else "names of photo files")
    assign("id", _id, lambda one: f"{one.distinct:,} different values in {one.filled:,} rows")
    assign("category", _category, lambda one: f"{one.distinct:,} different values, such as {one.examples()[0]!r:.60}")
    if (category := found.roles.get("category")) is not None:
        found.separator, found.level = _path(category.profile)
    assign("designation", _designation, lambda one: f"{one.mean_words:.0f} words on average")
    assign("description", _description, lambda one: f"{one.mean_words:.0f} words on average")
    assign("group", _group, lambda one: f"{one.distinct:,} groups of {one.filled / one.distinct:.1f} rows")
    found.roles = {role: found.roles[role] for role in NAMES if role in found.roles}
    taken = found.positions()
    for profile in free:
        if profile.position not in taken and _name_score("extra", profile) and profile.share(profile.numbers) < 0.5:
            found.extra.append(ColumnRole(profile, f"named {profile.name!r}, {profile.distinct:,} different values"))
            break
    return found


def _name_score(role: str, profile: ColumnProfile) -> float:
    """Return 1 for the likeliest name of a role, less for other names, 0 for none of them."""
    names, name = NAMES[role], fold(profile.name)
    if name in names:
        return 1 - 0.5 * names.index(name) / len(names)
    parts = set(re.findall(r"[a-z]+", profile.name.lower()))
    return 0.4 if parts & set(names[:6]) else 0.0


def _image(one: ColumnProfile) -> float:
    if one.share(one.photos) > 0.6:
        return 2 + _name_score("image", one) + one.share(one.filled)
    return 1 + _name_score("image", one) if one.share(one.urls) > 0.8 and _name_score("image", one) else 0.0


def _id(one: ColumnProfile) -> float:
    if one.uniqueness < 0.999 or one.filled < one.rows or one.mean_words > 1.5 or one.mean_characters > 64:
        return 0.0
    return 1 + 2 * _name_score("id", one) - one.position / 1000


def _category(one: ColumnProfile) -> float:
    named = _name_score("category", one)
    separator, _ = _path(one)
    if separator:
        return 3 + named
    sizes = one.values.values()
    enough = sum(size >= _MIN_PRODUCTS for size in sizes)
    covered = sum(size for size in sizes if size >= _MIN_PRODUCTS) / one.filled
    if enough < 2 or one.distinct > _MAX_CATEGORIES or covered < 0.5 or one.mean_words > 8 or one.urls:
        return 0.0
    is_number = one.share(one.numbers) > 0.9
    if not named and (is_number or _name_score("extra", one) or _name_score("group", one)):
        return 0.0
    if one.name and not named:
        # A header that names no category: only a column with few, evenly used values is one.
        return 0.2 * covered if one.distinct * 20 <= one.filled else 0.0
    return (2 if named else 1) * (1 + named) + covered - 0.5 * is_number


def _designation(one: ColumnProfile) -> float:
    if one.mean_words < 1.2 or one.share(one.numbers) > 0.5 or one.urls or one.mean_characters > 400:
        return 3 * _name_score("designation", one) if one.share(one.numbers) < 0.5 and not one.urls else 0.0
    return 3 * _name_score("designation", one) + one.uniqueness * min(one.mean_words, 12) / 12


def _description(one: ColumnProfile) -> float:
    named = _name_score("description", one)
    long = one.mean_words > 15 and one.uniqueness > 0.3
    return 2 * named * (one.mean_words > 2) + long + (one.markup > 0)


def _group(one: ColumnProfile) -> float:
    named = _name_score("group", one)
    per_group = one.filled / one.distinct
    if named >= 0.5:
        return named if 1 < per_group < 1000 else 0.0
    if one.name or one.share(one.numbers) < 1:
        return 0.0
    # Without a header: numbers that repeat in successive rows number the offers of one product.
    return one.share(one.first_run) if 1.2 < per_group < 50 and one.share(one.first_run) > 0.3 else 0.0


def _path(one: ColumnProfile) -> tuple[str, int | None]:
    """Return the separator of paths and the level with enough products, or nothing if the values are no paths."""
    separator = next((mark for mark in SEPARATORS if one.share(one.with_separator[mark]) > 0.5), "")
    if not separator or one.mean_words > 60:
        return "", None
    if separator in {"/", "|", ">"} and not _name_score("category", one):
        return "", None
    depths: dict[int, dict[tuple[str, ...], int]] = {}
    deepest = 0
    for value, count in one.values.items():
        parts = [part.strip() for part in f" {value} ".split(separator)]
        deepest = max(deepest, len(parts))
        for depth in range(1, min(len(parts), 8) + 1):
            sizes = depths.setdefault(depth, {})
            sizes[tuple(parts[:depth])] = sizes.get(tuple(parts[:depth]), 0) + count
    usable = [depth for depth, sizes in depths.items() if _coverage(sizes, one.filled) >= 0.85]
    level = max(usable, default=1)
    return separator, None if level == deepest else level


def _coverage(sizes: dict[tuple[str, ...], int], filled: int) -> float:
    """Return the share of the products that have a category of this depth with enough products; 0 with one category."""
    enough = [size for size in sizes.values() if size >= _MIN_PRODUCTS]
    return sum(enough) / filled if len(enough) >= 2 else 0.0
