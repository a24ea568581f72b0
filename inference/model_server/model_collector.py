"""Collector of the releases in memory and the work of the models, as of each scrape."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.registry import REGISTRY, Collector

from inference.model_server.model import ProductModel
from product_classifier.metrics import definitions
from product_classifier.metrics.instruments import ProcessMetrics, counter_family, gauge_family

_RELEASE_TIME = re.compile(r"r-([0-9]{8}T[0-9]{6})-[0-9a-f]+")


class ModelCollector(Collector):
    """Exposes the state of the models of one process."""

    def __init__(self, models: Sequence[ProductModel[Any]]) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        return (*self._releases(), *self._work())

    def _releases(self) -> Iterable[Metric]:
        info = gauge_family(definitions.MODEL_RELEASE_INFO)
        created = gauge_family(definitions.MODEL_RELEASE_CREATED)
        refused = gauge_family(definitions.MODEL_RELEASE_REFUSED)
        others_refused = gauge_family(definitions.MODEL_OTHER_RELEASES_REFUSED)
        for model in self._models:
            for position, loaded in enumerate(model.releases.loaded()):
                info.add_metric([model.name, loaded.release, loaded.version, "held" if position else "current"], 1)
            seconds = release_time(model.releases.current.release)
            if seconds is not None:
                created.add_metric([model.name], seconds)
            refused.add_metric([model.name], float(bool(model.releases.refused)))
            others_refused.add_metric([model.name], model.releases.others_refused)
        return info, created, refused, others_refused

    def _work(self) -> Iterable[Metric]:
        seconds = counter_family(definitions.MODEL_STAGE_SECONDS)
        work = counter_family(definitions.MODEL_STAGE_WORK)
        waiting = gauge_family(definitions.MODEL_QUEUE_LENGTH)
        for model in self._models:
            for stage, (taken_s, pieces) in model.stage_work().items():
                seconds.add_metric([model.name, stage], taken_s)
                work.add_metric([model.name, stage], pieces)
            for stage, length in model.queue_lengths().items():
                waiting.add_metric([model.name, stage], length)
        return seconds, work, waiting


def release_time(release: str) -> float | None:
    """Return the time in the id of a release, in seconds since the epoch; None if the id has none."""
    found = _RELEASE_TIME.fullmatch(release)
    if found is None:
        return None
    return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()


def register_collectors(models: Sequence[ProductModel[Any]]) -> None:
    """Expose these models, and the process, in the registry that the SDK serves."""
    REGISTRY.register(ModelCollector(models))
    REGISTRY.register(ProcessMetrics())
