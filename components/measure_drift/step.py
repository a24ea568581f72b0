"""Compare a window of predictions with the reference of the release that made them; write the report."""

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from components.measure_drift.report import render
from components.measure_drift.window_products import (
    WindowProducts,
    load_image_model,
    measure_products,
    read_photos,
)
from components.shared.published_releases import fetch_release
from components.shared.rollout import history
from product_classifier.errors import BundleRefused, ObjectNotFound
from product_classifier.monitoring.drift_windows import DriftMeasure, DriftVerdict, DriftWindow, Mover, write_window
from product_classifier.monitoring.logged_window import LoggedWindow, newest_release, read_window, sample_records
from product_classifier.monitoring.movers import most_unlike, most_unlike_photos, moved_values, moved_words
from product_classifier.monitoring.photo_measures import FORMATS
from product_classifier.monitoring.reference_profile import ReferenceProfile
from product_classifier.monitoring.text_measures import LANGUAGES
from product_classifier.monitoring.window_quality import measure_quality, worst_categories
from product_classifier.monitoring.window_tests import INPUTS, MIN_PRODUCTS, compare_window, largest_window
from product_classifier.store import ObjectStore, open_store

UNEXPECTED_SHARE = 0.02
"""Share of predictions by releases that were never promoted, above which that is drift."""
SEED: Final = 27


def run(store: str, since: datetime, until: datetime, release: str = "", page: Path | None = None) -> DriftWindow:
    """Measure the predictions of a release in a time span; store and return the report.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        since: Start of the window.
        until: End of the window, exclusive.
        release: Release whose predictions are measured; empty for that of the newest prediction.
        page: File for the report as a page; None for none besides that in the store.

    Raises:
        StoreUnavailable: If the store cannot be reached.
    """
    opened = open_store(store)
    chosen = release or newest_release(opened, since, until)
    logged = read_window(opened, since, until, chosen)
    window_id = f"d-{until:%Y%m%dT%H%M%S}-{hashlib.sha256(f'{since} {chosen}'.encode()).hexdigest()[:8]}"
    products, profile, problem = None, None, ""
    with tempfile.TemporaryDirectory() as folder:
        if chosen:
            try:
                bundle = fetch_release(opened, chosen, Path(folder)).path
                profile = ReferenceProfile.load(bundle / "fusion")
            except (ObjectNotFound, BundleRefused) as error:
                problem = str(error)
        if profile is not None and logged.predictions:
            limit = largest_window(profile.products)
            records = sample_records(opened, since, until, logged, limit, SEED)
            image = load_image_model(bundle)
            products = measure_products(records, read_photos(opened, records, SEED), profile, image)
            codes: Sequence[str] = image.codes
        else:
            codes = ()
    measures = [] if products is None or profile is None else compare_window(profile.products, products.measured)
    measures = [_with_movers(one, profile, products, codes) for one in measures]
    unexpected = _unexpected_releases(opened, logged)
    inputs = tuple(measures[: len(INPUTS)])
    outputs = (*measures[len(INPUTS) :], unexpected)
    accuracy = None if profile is None else float(profile.correct.mean())
    verdict, reasons = _verdict((*inputs, *outputs), logged, profile, problem)
    window = DriftWindow(
        window_id=window_id,
        created=until,
        since=since,
        until=until,
        release=chosen,
        products=len(logged.predictions),
        sampled=0 if products is None else len(products.records),
        verdict=verdict,
        reasons=reasons,
        other_releases=dict(logged.other_releases),
        inputs=inputs,
        outputs=outputs,
        quality=measure_quality(logged, accuracy),
        worst_categories=worst_categories(logged.corrected),
        page=f"reports/drift/{window_id}.html",
    )
    html = render(window, products)
    opened.put(window.page, html.encode())
    write_window(opened, window)
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(html, encoding="utf-8")
    return window


def _with_movers(
    measure: DriftMeasure, profile: ReferenceProfile | None, products: WindowProducts | None, codes: Sequence[str]
) -> DriftMeasure:
    """Return the measure with what moved most."""
    if profile is None or products is None or measure.value is None:
        return measure
    reference, window = profile.products, products.measured
    ids = [record.prediction_id for record in products.records]
    movers: tuple[Mover, ...] = ()
    if measure.name == "vocabulary":
        movers = (*moved_words(reference, products.words), *most_unlike(reference, window, ids))
    elif measure.name == "photo_content":
        photos = [record.product.image_sha256 for record in products.records]
        movers = most_unlike_photos(reference, window, photos)
    elif measure.name == "predicted_category":
        movers = moved_values(reference.predicted, window.predicted, codes)
    elif measure.name == "language":
        movers = moved_values(reference.language, window.language, LANGUAGES)
    elif measure.name == "photo_format":
        movers = moved_values(reference.photo_format, window.photo_format, FORMATS)
    return measure.model_copy(update={"movers": movers})


def _unexpected_releases(store: ObjectStore, logged: LoggedWindow) -> DriftMeasure:
    """Return the share of predictions by releases that no promotion put into service: a silent swap."""
    counts = {**logged.other_releases, logged.release: len(logged.predictions)}
    total = sum(counts.values())
    promotions = {release: history.find(store, release) for release in counts if release}
    unknown = sum(counts[release] for release, found in promotions.items() if found is None or not found.promoted)
    deployed = any(found is not None and found.promoted for found in promotions.values())
    share = unknown / total if total and deployed else 0.0
    return DriftMeasure(
        name="unexpected_release",
        statistic="share",
        value=share,
        threshold=UNEXPECTED_SHARE,
        drifted=share > UNEXPECTED_SHARE and total >= MIN_PRODUCTS,
        products=total,
        note="predictions by releases that were not promoted; a canary or an imported release counts too",
        movers=tuple(Mover(name=release, window=count / total) for release, count in sorted(counts.items()) if total),
    )


def _verdict(
    measures: Sequence[DriftMeasure], logged: LoggedWindow, profile: ReferenceProfile | None, problem: str
) -> tuple[DriftVerdict, tuple[str, ...]]:
    drifted = [one for one in measures if one.drifted]
    if drifted:
        return "drift", tuple(_reason(one) for one in drifted)
    if not logged.predictions:
        return "too_few", ("no prediction in the window",)
    if profile is None:
        reason = f"release {logged.release} has no reference profile: {problem or 'it is of an earlier version'}"
        return "no_reference", (f"{reason}; the next training writes one",)
    compared = [one for one in measures if one.threshold is not None and one.name != "unexpected_release"]
    if not compared:
        return "too_few", (f"{len(logged.predictions)} predictions; {MIN_PRODUCTS} are needed",)
    return "quiet", ()


def _reason(measure: DriftMeasure) -> str:
    text = f"{measure.name}: {measure.statistic} {measure.value:.3f} exceeds {measure.threshold:.3f}"
    if measure.reference is not None and measure.window is not None:
        text += f"; mean {measure.reference:.3g} in the reference, {measure.window:.3g} in the window"
    names = ", ".join(one.name for one in measure.movers[:3])
    return f"{text}; most: {names}" if names else text
