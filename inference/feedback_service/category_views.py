"""Categories of records as the API represents them."""

from inference.feedback_service.service import VersionedCode
from inference.http.api_models import CandidateView, CategoryLabel
from product_classifier.errors import UnknownCategory
from product_classifier.feedback.records import CategoryProbability
from product_classifier.stored_taxonomy.change_store import TaxonomyState


def category_view(state: TaxonomyState, code: str, version: int | None) -> CategoryLabel:
    """Return a code of a version, None for the first, as the newest version of the taxonomy reads it."""
    return newest_category(state, state.read(code, version).code or code)


def newest_category(state: TaxonomyState, code: str) -> CategoryLabel:
    """Return a category by its code in the newest version, or by any code of an earlier one."""
    newest = state.newest
    path = list(newest.path_labels(code)) if code in newest else []
    return CategoryLabel(code=newest.to_json_code(code), label=state.label(code), path=path or None)


def located_code(state: TaxonomyState, code: str) -> VersionedCode:
    """Return a code of a request with the version that has it.

    Raises:
        UnknownCategory: With the nearest codes, if no version has it.
    """
    try:
        return VersionedCode(code, state.version_to_store(state.locate(code)))
    except UnknownCategory as error:
        raise UnknownCategory(f"code: {error}; GET /categories lists them") from error


def candidate_view(state: TaxonomyState, candidate: CategoryProbability) -> CandidateView:
    """Return a category with its probability, under the code that was predicted."""
    return CandidateView(
        code=state.newest.to_json_code(candidate.code),
        label=state.label(candidate.code),
        probability=candidate.probability,
    )
