"""`/predict`: a product in, the category the fusion of both models gives it out, and a record of both."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from numpy.typing import NDArray

from inference.auth_proxy.metrics import Metrics
from inference.auth_proxy.predictions.backends import Backends, Inference, RowRefused
from inference.auth_proxy.predictions.products import Product
from inference.durability.deadline import DeadlineWriter, RecordStatus
from inference.http.problems import Problem, problem_of, public_message
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
from product_classifier.taxonomy import BY_CODE, CODES

TOP = 5
ALONE_AT_ONCE = 8
Answer = dict[str, Any]
Told = dict[int, tuple[Product, tuple[Inference, int] | Problem]]
"""By position in the batch: the product, and its row of an inference or what is wrong with it."""


class Predictor:
    """Asks fusion, tells the answer in the words of the API, and keeps the record."""

    def __init__(
        self, backends: Backends, record_writer: DeadlineWriter, metrics: Metrics, *, max_in_flight: int
    ) -> None:
        self._backends = backends
        self._record_writer = record_writer
        self._metrics = metrics
        self._free = max_in_flight

    async def one(self, product: Product, user: str, request_id: str) -> tuple[Answer, RecordStatus]:
        """Return the answer for one product and what became of its record."""
        with self.slot():
            try:
                inference = await self._backends.infer([product], request_id)
            except RowRefused as error:
                raise _row_problem(error, "product") from error
            answer, entries = _told(product, inference, 0, user)
            self._metrics.predicted(degraded=answer["degraded"])
            return answer, await self._record_writer.write(entries)

    async def batch(
        self, rows: Sequence[Product | Problem], user: str, request_id: str
    ) -> tuple[list[Answer], RecordStatus]:
        """Return an answer or a problem document per row, in their order."""
        results: dict[int, Answer | Problem] = {i: row for i, row in enumerate(rows) if isinstance(row, Problem)}
        products = {i: row for i, row in enumerate(rows) if isinstance(row, Product)}
        entries: list[Entry] = []
        with self.slot():
            for index, (product, told) in (await self._ask(products, request_id)).items():
                if isinstance(told, Problem):
                    results[index] = told
                    continue
                inference, position = told
                results[index], kept = _told(product, inference, position, user)
                entries += kept
            outcome = await self._record_writer.write(entries) if entries else RecordStatus.STORED
        return [_as_document(results[i], request_id) for i in range(len(rows))], outcome

    def refuse_when_full(self) -> None:
        """Answer 503 at once when there is no place: what a refusal costs is taken from those who get an answer."""
        if self._free <= 0:
            raise Problem(503, "too many requests at once", kind="overloaded", headers={"Retry-After": "1"})

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold one of the places for model requests; 503 at once when there is none."""
        self.refuse_when_full()
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    async def _ask(self, products: Mapping[int, Product], request_id: str) -> Told:
        """Ask about all at once; when one of them is refused, about each alone."""
        if not products:
            return {}
        try:
            inference = await self._backends.infer(list(products.values()), request_id)
        except RowRefused:
            return await self._ask_each(products, request_id)
        except ModelUnavailable:
            return await self._ask_by_kind(products, request_id)
        return {i: (product, (inference, n)) for n, (i, product) in enumerate(products.items())}

    async def _ask_by_kind(self, products: Mapping[int, Product], request_id: str) -> Told:
        """Ask again in groups that need the same models: those one model can answer need not wait for the other."""
        kinds: dict[tuple[bool, bool], dict[int, Product]] = {}
        for index, product in products.items():
            kinds.setdefault((product.has_text, bool(product.image)), {})[index] = product
        if len(kinds) == 1:
            raise ModelUnavailable("no model is left that could answer")
        results: Told = {}
        failures: list[ModelUnavailable] = []
        for group in kinds.values():
            try:
                inference = await self._backends.infer(list(group.values()), request_id)
            except ModelUnavailable as error:
                failures.append(error)
                results |= {i: (product, problem_of(error)) for i, product in group.items()}
            except RowRefused:
                results |= await self._ask_each(group, request_id)
            else:
                results |= {i: (product, (inference, n)) for n, (i, product) in enumerate(group.items())}
        if len(failures) == len(kinds):
            raise failures[0]
        return results

    async def _ask_each(self, products: Mapping[int, Product], request_id: str) -> Told:
        places = asyncio.Semaphore(ALONE_AT_ONCE)

        async def alone(index: int, product: Product) -> tuple[Inference, int] | Problem:
            async with places:
                try:
                    return await self._backends.infer([product], request_id), 0
                except RowRefused as error:
                    return _row_problem(error, f"products[{index}]")

        answers = await asyncio.gather(*(alone(i, product) for i, product in products.items()))
        return {i: (product, answer) for (i, product), answer in zip(products.items(), answers, strict=True)}


def _told(product: Product, inference: Inference, row: int, user: str) -> tuple[Answer, list[Entry]]:
    """Return the answer about one row, and what to keep of it: the photo first, then the record."""
    top = _top(inference.probabilities[row])
    text = _best(inference.text, row) if product.has_text else None
    image = _best(inference.image, row) if product.image else None
    missed = (product.has_text and text is None) or (bool(product.image) and image is None)
    digest = hashlib.sha256(product.image).hexdigest() if product.image else None
    record = PredictionRecord(
        prediction_id=new_id(),
        created=datetime.now(UTC),
        user=user,
        product=ProductContent(designation=product.designation, description=product.description, image_sha256=digest),
        code=top[0].code,
        confidence=top[0].probability,
        top=tuple(top),
        modalities=Modalities(text=text, image=image),
        degraded=inference.degraded and missed,
        release=inference.release,
    )
    entries = [Entry(image_key(digest), product.image)] if digest else []
    return _answer(record), [*entries, Entry(record.key, record.to_json())]


def _answer(record: PredictionRecord) -> Answer:
    return {
        "prediction_id": record.prediction_id,
        "category": {"code": record.code, "label": BY_CODE[record.code].label_fr},
        "confidence": record.confidence,
        "top": [_labelled(candidate) for candidate in record.top],
        "modalities": {
            "text": _labelled(record.modalities.text) if record.modalities.text else None,
            "image": _labelled(record.modalities.image) if record.modalities.image else None,
        },
        "degraded": record.degraded,
        "release": record.release,
    }


def _labelled(candidate: CategoryProbability) -> Answer:
    label = BY_CODE[candidate.code].label_fr
    return {"code": candidate.code, "label": label, "probability": candidate.probability}


def _top(probabilities: NDArray[Any], count: int = TOP) -> list[CategoryProbability]:
    if len(probabilities) != len(CODES):
        raise ModelUnavailable(f"the model answers {len(probabilities)} categories, not {len(CODES)}")
    order = (-probabilities).argsort(kind="stable")[:count]
    return [CategoryProbability(code=CODES[i], probability=min(1.0, max(0.0, float(probabilities[i])))) for i in order]


def _best(probabilities: NDArray[Any] | None, row: int) -> CategoryProbability | None:
    """Return a model's own favourite; it gives no probabilities for a product it had nothing of."""
    if probabilities is None or not probabilities[row].sum() > 0:  # also when they are NaN
        return None
    return _top(probabilities[row], 1)[0]


def _row_problem(error: RowRefused, where: str) -> Problem:
    kind = "invalid-image" if error.tensor == "image" else "invalid-product"
    place = f"{where}.{error.tensor}" if error.tensor else where
    return Problem(422, f"{place}: {public_message(str(error)).strip(chr(39))}", kind=kind)


def _as_document(result: Answer | Problem, request_id: str) -> Answer:
    return result.document(request_id) if isinstance(result, Problem) else result
