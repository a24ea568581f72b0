"""Predictions of the fusion as responses of the API, with their records."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from inference.auth_proxy.gateway_metrics import GatewayMetrics
from inference.auth_proxy.predictions.backends import Backends, RowRejected
from inference.auth_proxy.predictions.decoding_budget import DecodingBudget
from inference.auth_proxy.predictions.fusion_codec import Inference
from inference.auth_proxy.predictions.product_reader import RequestProduct
from inference.auth_proxy.predictions.served_taxonomies import ServedTaxonomies
from inference.auth_proxy.schemas import TOP, ExplainedPredictionView, PredictionView
from inference.durability.deadline import DeadlineWriter, RecordStatus
from inference.http.api_models import AcceptedAncestor, CandidateView, CategoryLabel, ModalitiesView
from inference.http.problems import Overloaded, Problem, problem_of, public_message
from inference.http.request_user import request_user
from product_classifier.decisions import Decision
from product_classifier.errors import ModelUnavailable
from product_classifier.feedback.records import (
    CategoryProbability,
    Modalities,
    PredictionRecord,
    ProductContent,
    image_key,
    new_id,
)
from product_classifier.store.journal import Entry
from product_classifier.stored_taxonomy.change_store import TaxonomyState
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.stored_codes import from_stored
from product_classifier.tracing import span

SINGLE_REQUESTS = 8
"""Products of one batch that are sent one by one at the same time."""

InferredRow = tuple[Inference, int]
"""An inference and the row of one product in it."""
Rows = dict[int, tuple[RequestProduct, InferredRow | Problem]]
"""By position in the batch: the product, and its row of an inference or its problem."""


class Predictor:
    """Sends products to the fusion and writes the records; its methods belong to one event loop."""

    def __init__(
        self,
        backends: Backends,
        record_writer: DeadlineWriter,
        metrics: GatewayMetrics,
        taxonomies: ServedTaxonomies,
        *,
        max_in_flight: int,
    ) -> None:
        self._backends = backends
        self._record_writer = record_writer
        self._metrics = metrics
        self._taxonomies = taxonomies
        self._free_slots = max_in_flight
        metrics.request_slots.set(max_in_flight)
        metrics.requests_in_progress.set_function(lambda: max_in_flight - self._free_slots)
        self._slots_per_user = max(1, max_in_flight - max_in_flight // 4)
        self._held: Counter[str] = Counter()
        self._decoding = DecodingBudget()

    async def predict(self, product: RequestProduct, user: str, request_id: str) -> tuple[PredictionView, RecordStatus]:
        """Return the prediction for one product and the state of its record."""
        with self.slot(user), self._decoding.admit(user, [product]):
            request_user.set(user)
            started = time.perf_counter()
            try:
                inference = await self._infer_one(product, request_id)
            except RowRejected as error:
                raise _row_problem(error, "product") from error
            taxonomy = await self._taxonomies.get(inference.taxonomy)
            self._metrics.observe_stage("infer", time.perf_counter() - started)
            prediction, entries = self._result(product, inference, 0, user, taxonomy)
            return prediction, await self._write(entries)

    async def predict_batch(
        self, rows: Sequence[RequestProduct | Problem], user: str, request_id: str
    ) -> tuple[list[PredictionView | dict[str, Any]], RecordStatus]:
        """Return a prediction or a problem document per row, in their order, and the state of their records."""
        results: dict[int, PredictionView | Problem] = {
            i: row for i, row in enumerate(rows) if isinstance(row, Problem)
        }
        products = {i: row for i, row in enumerate(rows) if isinstance(row, RequestProduct)}
        entries: list[Entry] = []
        with self.slot(user), self._decoding.admit(user, list(products.values())):
            request_user.set(user)
            plain = {i: product for i, product in products.items() if not product.explain}
            explained = {i: product for i, product in products.items() if product.explain}
            started = time.perf_counter()
            outcomes = await self._infer(plain, request_id) | await self._explain_each(explained, request_id)
            self._metrics.observe_stage("infer", time.perf_counter() - started)
            for index, (product, outcome) in outcomes.items():
                if isinstance(outcome, Problem):
                    results[index] = outcome
                else:
                    taxonomy = await self._taxonomies.get(outcome[0].taxonomy)
                    results[index], written = self._result(product, *outcome, user, taxonomy)
                    entries += written
            status = await self._write(entries) if entries else RecordStatus.STORED
        ordered = [results[i] for i in range(len(rows))]
        return [one.document(request_id) if isinstance(one, Problem) else one for one in ordered], status

    async def _write(self, entries: Sequence[Entry]) -> RecordStatus:
        """Write photos and records, and return the state of the records."""
        started = time.perf_counter()
        with span("write prediction record"):
            status = await self._record_writer.write(entries)
        self._metrics.observe_stage("record", time.perf_counter() - started)
        return status

    def refuse_when_full(self) -> None:
        """Raise Overloaded at once when no slot is free: work on a request that is refused delays the others."""
        if self._free_slots <= 0:
            raise Overloaded("too many requests are in progress; try again in a second")

    @contextmanager
    def slot(self, user: str) -> Iterator[None]:
        """Hold one of the slots for model requests; raise Overloaded at once when none is free for this user."""
        self.refuse_when_full()
        held = self._held[user]
        if held >= self._slots_per_user:
            raise Overloaded(f"{held} requests of this user are in progress; try again in a second")
        self._free_slots -= 1
        self._held[user] = held + 1
        try:
            yield
        finally:
            self._free_slots += 1
            self._held[user] -= 1
            if not self._held[user]:
                del self._held[user]

    async def _infer_one(self, product: RequestProduct, request_id: str) -> Inference:
        """Return the prediction of a product, with its explanation if it is requested and can be made."""
        if not product.explain:
            return await self._backends.infer([product], request_id)
        try:
            return await self._backends.explain(product, request_id)
        except ModelUnavailable as error:
            inference = await self._backends.infer([product], request_id)
            return replace(inference, explanation_problem=f"{error}; try again")

    async def _explain_each(self, products: Mapping[int, RequestProduct], request_id: str) -> Rows:
        """Explain one product after the other: each takes the time of many predictions."""
        rows: Rows = {}
        for index, product in products.items():
            try:
                rows[index] = product, (await self._infer_one(product, request_id), 0)
            except RowRejected as error:
                rows[index] = product, _row_problem(error, f"products[{index}]")
            except ModelUnavailable as error:
                rows[index] = product, problem_of(error)
        return rows

    async def _infer(self, products: Mapping[int, RequestProduct], request_id: str) -> Rows:
        """Send all products in one request; send each alone if one of them is rejected."""
        if not products:
            return {}
        try:
            inference = await self._backends.infer(list(products.values()), request_id)
        except RowRejected:
            return await self._infer_each(products, request_id)
        except ModelUnavailable:
            return await self._infer_by_modality(products, request_id)
        return {i: (product, (inference, row)) for row, (i, product) in enumerate(products.items())}

    async def _infer_by_modality(self, products: Mapping[int, RequestProduct], request_id: str) -> Rows:
        """Send one request per combination of models: products that need one model do not depend on the other."""
        groups: dict[tuple[bool, bool], dict[int, RequestProduct]] = {}
        for index, product in products.items():
            groups.setdefault((product.has_text, bool(product.image)), {})[index] = product
        if len(groups) == 1:
            raise ModelUnavailable("no model that could classify these products is available; try again")
        rows: Rows = {}
        failures: list[ModelUnavailable] = []
        for group in groups.values():
            try:
                inference = await self._backends.infer(list(group.values()), request_id)
            except ModelUnavailable as error:
                failures.append(error)
                rows |= {i: (product, problem_of(error)) for i, product in group.items()}
            except RowRejected:
                rows |= await self._infer_each(group, request_id)
            else:
                rows |= {i: (product, (inference, row)) for row, (i, product) in enumerate(group.items())}
        if len(failures) == len(groups):
            raise failures[0]
        return rows

    async def _infer_each(self, products: Mapping[int, RequestProduct], request_id: str) -> Rows:
        limit = asyncio.Semaphore(SINGLE_REQUESTS)

        async def infer_one(index: int, product: RequestProduct) -> InferredRow | Problem:
            async with limit:
                try:
                    return await self._backends.infer([product], request_id), 0
                except RowRejected as error:
                    return _row_problem(error, f"products[{index}]")

        outcomes = await asyncio.gather(*(infer_one(i, product) for i, product in products.items()))
        return {i: (product, outcome) for (i, product), outcome in zip(products.items(), outcomes, strict=True)}

    def _result(
        self, product: RequestProduct, inference: Inference, row: int, user: str, taxonomy: Taxonomy
    ) -> tuple[PredictionView, list[Entry]]:
        """Return the response for one row, and what to store: the photo, then the record that names it."""
        codes = {name: of_rows[row] for name, of_rows in inference.codes.items()}
        top = _most_probable(inference.probabilities[row], TOP, taxonomy, codes.get("probabilities"))
        text = _modality(inference.text, row, taxonomy, codes.get("text")) if product.has_text else None
        image = _modality(inference.image, row, taxonomy, codes.get("image")) if product.image else None
        missing = (product.has_text and text is None) or (bool(product.image) and image is None)
        digest = hashlib.sha256(product.image).hexdigest() if product.image else None
        record = PredictionRecord(
            prediction_id=new_id(),
            created=datetime.now(UTC),
            user=user,
            product=ProductContent(
                designation=product.designation, description=product.description, image_sha256=digest
            ),
            code=top[0].code,
            confidence=top[0].probability,
            decision=inference.decisions[row],
            accepted_at=_known(inference.accepted_at[row], taxonomy) if inference.accepted_at else None,
            top=tuple(top),
            modalities=Modalities(text=text, image=image),
            degraded=inference.degraded and missing,
            release=inference.release,
            taxonomy_version=TaxonomyState.version_to_store(taxonomy.version),
        )
        self._metrics.predictions.count(record, taxonomy)
        photo = [Entry(image_key(digest), product.image)] if digest else []
        view: PredictionView = _view(record, inference.decisions[row], taxonomy)
        if product.explain:
            view = ExplainedPredictionView(
                **dict(view),
                explanation=inference.explanation,
                explanation_problem=inference.explanation_problem or None,
            )
        return view, [*photo, Entry(record.key, record.to_json())]


def _view(record: PredictionRecord, decision: Decision, taxonomy: Taxonomy) -> PredictionView:
    text, image = record.modalities.text, record.modalities.image
    return PredictionView(
        prediction_id=record.prediction_id,
        category=CategoryLabel(**_labels(record.code, taxonomy)),
        accepted_at=_answer_above(record.accepted_at, taxonomy),
        confidence=record.confidence,
        decision=decision,
        top=[_candidate(candidate, taxonomy) for candidate in record.top],
        modalities=ModalitiesView(
            text=_candidate(text, taxonomy) if text else None, image=_candidate(image, taxonomy) if image else None
        ),
        degraded=record.degraded,
        release=record.release,
    )


def _labels(code: str, taxonomy: Taxonomy) -> dict[str, Any]:
    return {
        "code": taxonomy.to_json_code(code),
        "label": taxonomy.label(code),
        "path": list(taxonomy.path_labels(code)) or None,
    }


def _answer_above(answer: CategoryProbability | None, taxonomy: Taxonomy) -> AcceptedAncestor | None:
    if answer is None:
        return None
    return AcceptedAncestor(**_labels(answer.code, taxonomy), probability=answer.probability)


def _known(answer: CategoryProbability | None, taxonomy: Taxonomy) -> CategoryProbability | None:
    """Return the answer; raise ModelUnavailable if its code is not in the taxonomy."""
    if answer is not None and answer.code not in taxonomy:
        raise ModelUnavailable(f"the model answers at {public_message(answer.code)}, which is not in the taxonomy")
    return answer


def _candidate(candidate: CategoryProbability, taxonomy: Taxonomy) -> CandidateView:
    code = candidate.code
    return CandidateView(
        code=taxonomy.to_json_code(code), label=taxonomy.label(code), probability=candidate.probability
    )


def _most_probable(
    probabilities: NDArray[Any], count: int, taxonomy: Taxonomy, of_columns: NDArray[Any] | None = None
) -> list[CategoryProbability]:
    """Return the most probable categories of probabilities `[classes]`, or `[k]` of those with codes `[k]`."""
    codes = taxonomy.codes if of_columns is None else tuple(map(from_stored, of_columns.tolist()))
    if of_columns is not None and (unknown := [code for code in codes if code not in taxonomy]):
        raise ModelUnavailable(
            f"the model returns category {public_message(unknown[0])}, which is not in the taxonomy; deploy a release"
            " of this catalogue"
        )
    if len(probabilities) != len(codes):
        raise ModelUnavailable(
            f"the model returns {len(probabilities)} probabilities for {len(codes)} categories; deploy a release"
            " of this catalogue"
        )
    order = (-probabilities).argsort(kind="stable")[:count]
    return [CategoryProbability(code=codes[i], probability=min(1.0, max(0.0, float(probabilities[i])))) for i in order]


def _modality(
    probabilities: NDArray[Any] | None, row: int, taxonomy: Taxonomy, of_columns: NDArray[Any] | None
) -> CategoryProbability | None:
    """Return a model's most probable category; None if it has no probabilities (or NaN) for this row."""
    if probabilities is None or not probabilities[row].sum() > 0:
        return None
    return _most_probable(probabilities[row], 1, taxonomy, of_columns)[0]


def _row_problem(error: RowRejected, where: str) -> Problem:
    kind = "invalid-image" if error.tensor == "image" else "invalid-product"
    place = f"{where}.{error.tensor}" if error.tensor else where
    return Problem(422, f"{place}: {public_message(str(error)).strip(chr(39))}", kind=kind)
