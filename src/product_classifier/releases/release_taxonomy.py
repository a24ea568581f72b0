"""The taxonomy of a release and of a fusion bundle, bound to the models by its digest."""

from pathlib import Path

from product_classifier.catalogue.challenge.earlier_versions import earlier_taxonomy
from product_classifier.errors import BundleRefused, TaxonomyError
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.taxonomy.folder import FILE, FOLDER, read_taxonomy


def taxonomy_of(folder: Path, codes: Codes, digest: str | None, where: str) -> Taxonomy:
    """Return the taxonomy in a folder; that of earlier versions if there is none and no digest names one.

    Args:
        folder: Folder with `taxonomy.json`, or a release with `taxonomy/`.
        codes: Category codes of the model in their order.
        digest: Digest that the manifest of the bundle names; None in bundles of earlier versions.
        where: Name of the bundle in messages.

    Raises:
        BundleRefused: If it is malformed, missing, or not the taxonomy the model was trained with.
    """
    found = next((one for one in (folder / FOLDER, folder) if (one / FILE).is_file()), None)
    try:
        taxonomy = earlier_taxonomy() if found is None else read_taxonomy(found)
    except TaxonomyError as error:
        raise BundleRefused(f"{where}: {error}") from error
    if found is None and digest not in {None, taxonomy.digest}:
        raise BundleRefused(f"{where}: names taxonomy {digest!s:.12}, but has no {FILE}; publish the release again")
    if digest is not None and taxonomy.digest != digest:
        raise BundleRefused(
            f"{where}: was trained with taxonomy {digest:.12}, but {FILE} is {taxonomy.digest:.12} "
            f"of version {taxonomy.version}; use bundles of one run"
        )
    if taxonomy.codes != codes:
        raise BundleRefused(
            f"{where}: has {len(codes)} codes, its taxonomy answers {len(taxonomy)} others or in another order; "
            "use bundles of one run"
        )
    return taxonomy
