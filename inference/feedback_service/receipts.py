"""Receipts of corrections as the API represents them."""

from inference.feedback_api import FeedbackReceipt
from inference.feedback_service.service import SubmitResult
from product_classifier.feedback.known_answers import GivenAnswer
from product_classifier.feedback.records import Role
from product_classifier.feedback.trust import initial_state
from product_classifier.stored_taxonomy.change_store import TaxonomyState


def receipt(result: SubmitResult, state: TaxonomyState) -> FeedbackReceipt:
    """Return the receipt of a correction that is stored durably."""
    correction = result.correction
    reading = state.read(correction.code, correction.taxonomy_version)
    code = reading.code or correction.code
    return FeedbackReceipt(
        feedback_id=correction.feedback_id,
        state=initial_state(correction.role),
        code=state.newest.to_json_code(code),
        label=state.label(code),
        given=None if reading.code == correction.code else state.newest.to_json_code(correction.code),
        decided=reading.decided and reading.code is not None,
        created=correction.created,
        replaces=result.replaced.feedback_id if result.replaced else None,
    )


def known_answer_receipt(answer: GivenAnswer, role: Role, state: TaxonomyState) -> FeedbackReceipt:
    """Return the receipt of an answer that is no correction, with the known one."""
    return FeedbackReceipt(
        feedback_id=answer.item_id,
        state=initial_state(role),
        code=state.newest.to_json_code(answer.given),
        label=state.label(answer.given),
        created=answer.created,
        known_answer=state.newest.to_json_code(answer.expected),
    )
