"""Exports of corrections to files, and imports of labels from files."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from inference.feedback_service.category_views import located_code
from inference.feedback_service.service import Caller, FeedbackService
from inference.http.problems import Problem, problem_of
from inference.label_file_api import MAX_PROBLEMS, ExportParameters, ImportReport, RowProblem
from product_classifier.errors import InvalidInput, NotDurable, ObjectNotFound, ProductClassifierError
from product_classifier.feedback.correction_filter import CorrectionFilter
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.feedback.label_files import LabelRow, read_rows
from product_classifier.feedback.label_formats import LabelFormat
from product_classifier.feedback.records import ProductContent, image_key
from product_classifier.feedback.stored_products import read_corrected_product
from product_classifier.limits import COMMENT_CHARACTERS, DESCRIPTION_CHARACTERS, DESIGNATION_CHARACTERS
from product_classifier.store import ObjectStore
from product_classifier.taxonomy.stored_codes import from_stored
from product_classifier.text.normalization import has_words

PAGE = 500
"""Corrections that an export holds in memory."""
WRITERS = 8
"""Rows that an import stores at the same time; each costs a round trip to the store."""
LIMITS = {
    "designation": DESIGNATION_CHARACTERS,
    "description": DESCRIPTION_CHARACTERS,
    "comment": COMMENT_CHARACTERS,
}


class LabelExport:
    """Rows of corrections with whole texts. Thread-safe."""

    def __init__(self, store: ObjectStore, index: FeedbackIndex) -> None:
        self._store = store
        self._index = index

    def rows(self, parameters: ExportParameters) -> Iterator[Mapping[str, Any]]:
        """Yield the corrections of a filter, newest first, as `label_files.write_rows` takes them."""
        chosen = CorrectionFilter(**parameters.model_dump(exclude={"format"}))
        cursor = None
        with ThreadPoolExecutor(WRITERS, "export") as pool:
            while True:
                page = self._index.page(chosen, limit=PAGE, cursor=cursor)
                yield from pool.map(self._row, page.items)
                if (cursor := page.next_cursor) is None:
                    return

    def _row(self, item: IndexedCorrection) -> Mapping[str, Any]:
        taxonomy = self._index.taxonomy.known
        code = item.reading.code or item.code
        product = item.product
        if item.is_cut:
            with suppress(ObjectNotFound, InvalidInput):  # deleted meanwhile: the cut texts are left
                product = read_corrected_product(self._store, item.feedback_id)
        return {
            "code": code,
            "label": taxonomy.label(code),
            "designation": product.designation if product else "",
            "description": product.description if product else "",
            "image_sha256": product.image_sha256 if product else None,
            "prediction_id": item.prediction_id,
            "comment": item.comment,
            "feedback_id": item.feedback_id,
            "created": item.created.isoformat(),
            "user": item.user,
            "role": item.role,
            "state": item.state,
            "kind": "confirmation" if item.is_confirmation else "correction",
            "predicted": item.predicted,
            "confidence": item.confidence,
            "release": item.release,
        }


class LabelImport:
    """Submits the rows of a file as corrections of a reviewer. Thread-safe."""

    def __init__(self, service: FeedbackService) -> None:
        """Take the service that stores corrections."""
        self._service = service

    def run(self, caller: Caller, path: Path, form: LabelFormat) -> ImportReport:
        """Submit every row for itself; repeating an import, whole or in part, creates nothing twice.

        Raises:
            InvalidInput: If the file cannot be read, or lacks what its format needs.
            NotDurable: If the store and the journal refuse corrections; send the file again later.
        """
        rows = created = refused = 0
        problems: list[RowProblem] = []
        found = read_rows(path, form)
        with ThreadPoolExecutor(WRITERS, "import") as pool:
            while batch := list(islice(found, PAGE)):
                for row, outcome in zip(batch, pool.map(lambda row: self._submit(caller, row), batch), strict=True):
                    rows += 1
                    if isinstance(outcome, str):
                        refused += 1
                        if len(problems) < MAX_PROBLEMS:
                            problems.append(RowProblem(row=row.number, detail=outcome))
                    else:
                        created += outcome
        return ImportReport(
            rows=rows, created=created, repeated=rows - created - refused, refused=refused, problems=problems
        )

    def _submit(self, caller: Caller, row: LabelRow) -> bool | str:
        """Return whether a row is a new correction, or why it was refused."""
        try:
            return self._submit_row(caller, row)
        except NotDurable:
            raise
        except (Problem, ProductClassifierError) as error:
            return problem_of(error).detail

    def _submit_row(self, caller: Caller, row: LabelRow) -> bool:
        cells = row.cells
        if row.problem:
            raise InvalidInput(row.problem)
        if not cells.get("code", "").strip():
            raise InvalidInput("code: is missing; give the code of the category")
        for name, limit in LIMITS.items():
            if len(cells.get(name, "")) > limit:
                raise InvalidInput(f"{name}: has {len(cells[name])} characters; shorten it to {limit}")
        given = from_stored(cells["code"].strip())
        code = located_code(self._service.index.taxonomy.with_code(given), given)
        comment = cells.get("comment", "")
        if "prediction_id" in cells:
            result = self._service.correct_prediction(
                caller, None, cells["prediction_id"], code, comment, is_import=True
            )
        else:
            result = self._service.correct_product(caller, None, self._product(cells), code, comment, is_import=True)
        return result.destination is not None

    def _product(self, cells: Mapping[str, str]) -> ProductContent:
        designation, description = cells.get("designation", ""), cells.get("description", "")
        sha256 = cells.get("image_sha256")
        if sha256 is None and not has_words(designation, description):
            raise InvalidInput("designation: has no letter or digit; give a text, an image_sha256 or a prediction_id")
        try:
            product = ProductContent(designation=designation, description=description, image_sha256=sha256)
        except ValueError as error:
            raise InvalidInput(
                f"image_sha256: {str(sha256)[:70]!r} is not the SHA-256 of a photo; correct it"
            ) from error
        if sha256 is not None and not self._service.store.exists(image_key(sha256)):
            raise InvalidInput(f"image_sha256: no photo has the hash {sha256!r}; send the product to POST /feedback")
        return product
