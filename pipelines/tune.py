"""Search hyper-parameters with Optuna; every trial is a nested run in MLflow.

A trial trains one model with the step of the pipeline and is scored by its out-of-fold predictions of `train` and
`validation`. The hold-out is not read: it is the gate's.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from components.shared.out_of_fold import folds_of, read_labelled, read_out_of_fold
from components.shared.tracking import RunRecord, Tracking
from pipelines.parameters import step_parameters
from product_classifier.catalogue.challenge.earlier_versions import earlier_taxonomy
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import read_taxonomy

STEPS = {"text": "train_text", "image": "train_image"}
"""Model to the step that trains it, a section of params.yaml."""
FINE_TUNED: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "text": lambda params: bool(params["encoder"]),
    "image": lambda params: params["backbone"] not in {"", "efficientnet-lite0"},
}
"""Model to whether these parameters train a network, which has a learning rate instead of `C`."""
LINEAR: Mapping[str, Mapping[str, BaseDistribution]] = {
    "text": {
        "C": FloatDistribution(0.05, 20, log=True),
        "buckets": CategoricalDistribution([2**16, 2**18, 2**20]),
    },
    "image": {
        "C": FloatDistribution(1e-4, 1, log=True),
        "size": CategoricalDistribution([128, 160, 176, 192, 224]),
    },
}
"""Search space of the default models; `C` is the inverse strength of the penalty."""
NETWORK = {"learning_rate": FloatDistribution(1e-6, 1e-2, log=True)}
"""Search space of a fine-tuned network."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Parameters of a step, and the weighted F1 of their out-of-fold predictions on each fold."""

    params: Mapping[str, Any]
    folds: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Return the mean over the folds."""
        return float(self.folds.mean())

    @property
    def standard_error(self) -> float:
        """Return the standard error of the mean."""
        return _standard_error(self.folds)


@dataclass(frozen=True, slots=True)
class Search:
    """The trials of one model; the first has the parameters of params.yaml."""

    model: str
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial:
        """Return the trial with the highest mean."""
        return max(self.trials, key=lambda trial: trial.mean)

    @property
    def gain(self) -> tuple[float, float]:
        """Return the gain of the best trial over the first and its standard error, paired by fold."""
        differences = self.best.folds - self.trials[0].folds
        return float(differences.mean()), _standard_error(differences)

    @property
    def proposed(self) -> Mapping[str, Any]:
        """Return the parameters to change; none if the gain is within a standard error."""
        gain, error = self.gain
        current = self.trials[0].params
        changed = {name: value for name, value in self.best.params.items() if value != current[name]}
        return changed if gain > error else {}

    def lines(self) -> Iterator[str]:
        """Yield a summary for the terminal."""
        first, best, (gain, error) = self.trials[0], self.best, self.gain
        yield f"{self.model}: {len(self.trials)} trials, F1 ± standard error over the folds"
        yield f"  params.yaml  {first.mean:.4f} ± {first.standard_error:.4f}  {_format_params(first.params)}"
        yield f"  best         {best.mean:.4f} ± {best.standard_error:.4f}  {_format_params(best.params)}"
        outcome = "proposed" if self.proposed else "not proposed: within a standard error"
        yield f"  gain         {gain:+.4f} ± {error:.4f}  {outcome}"


def search(model: str, data: Path, params: Path, trials: int, log: Callable[[str, Trial], object]) -> Search:
    """Run trials for one model; `log` is called with the name of each and its result.

    Args:
        model: `text` or `image`.
        data: Folder with `raw/`, `splits/` and `taxonomy/`, as `make data` writes it.
        params: Parameters file; its values are the first trial, and those of what is not searched.
        trials: Number of trials, 2 or more.
        log: Called after each trial.

    Raises:
        CatalogueError: If there are too few products to train on.
    """
    defaults = step_parameters(STEPS[model], params)
    space = NETWORK if FINE_TUNED[model](defaults) else LINEAR[model]
    current = {name: defaults[name] for name in space}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=27))
    study.enqueue_trial(current)
    distributions = {name: _including(current[name], distribution) for name, distribution in space.items()}
    train_once = _trainer(model, data, defaults)
    found: list[Trial] = []
    for number in range(trials):
        asked = study.ask(distributions)
        values = {name: _rounded(value) for name, value in asked.params.items()} if number else current
        found.append(Trial(values, train_once(values)))
        study.tell(asked, found[-1].mean)
        log(f"{model}-{number}", found[-1])
    return Search(model, tuple(found))


def log_search(tracking: Tracking, parent: str) -> Callable[[str, Trial], object]:
    """Return a callback for `search` that writes each trial as a run nested below `parent`."""

    def log(name: str, trial: Trial) -> None:
        metrics = {"weighted_f1": trial.mean, "weighted_f1_standard_error": trial.standard_error}
        curves = {"fold_weighted_f1": trial.folds.tolist()}
        tracking.log_run(RunRecord(name, trial.params, metrics, {"kind": "trial"}, curves=curves), parent)

    return log


def proposal(params: str, searches: list[Search]) -> str:
    """Return the text of a parameters file with the proposed values; comments and order stay."""
    changes = {STEPS[one.model]: one.proposed for one in searches}
    lines, section = [], ""
    for line in params.splitlines():
        if found := re.match(r"(\w+):", line):
            section = found[1]
        key = re.match(r"  (\w+):", line)
        changed = key is not None and key[1] in changes.get(section, {})
        lines.append(f"  {key[1]}: {changes[section][key[1]]}" if key and changed else line)
    return "\n".join(lines) + "\n"


def run_name() -> str:
    """Return the name of the run of a search."""
    return f"tune-{datetime.now(UTC):%Y%m%dT%H%M%S}"


def _trainer(model: str, data: Path, defaults: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], NDArray[np.float64]]:
    """Return a function from parameters to the F1 on each fold."""
    train, validation = (data / "splits" / f"{split}.parquet" for split in ("train", "validation"))
    products, _ = read_labelled(train, validation)
    folds = folds_of(products, defaults.get("seed", 27))
    step = import_module(f"components.{STEPS[model]}.step")
    inputs = (train, validation) if model == "text" else (train, validation, data / "raw")
    taxonomy = _taxonomy(data, products["code"].astype(str).value_counts())

    def scores(values: Mapping[str, Any]) -> NDArray[np.float64]:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "out_of_fold.parquet"
            step.run(*inputs, Path(folder) / "model", output, taxonomy, **{**defaults, **values})
            predicted = read_out_of_fold(output)
        positions = {code: position for position, code in enumerate(predicted.codes)}
        rows = predicted.rows_of(products["product_id"].to_numpy())
        used = (rows >= 0) & products["code"].isin(positions).to_numpy()
        labels = np.array([positions[code] for code in products["code"][used]], np.int64)
        probabilities, fold_of = predicted.probabilities[rows[used]], folds[used]
        found = [weighted_f1(probabilities[fold_of == one], labels[fold_of == one]) for one in np.unique(fold_of)]
        if len(found) < 2:
            raise CatalogueError(f"{int(used.sum())} products are too few to cross-validate; add products")
        return np.array(found)

    return scores


def _taxonomy(data: Path, counts: "pd.Series[int]") -> Taxonomy:
    folder = data / "taxonomy"
    taxonomy = read_taxonomy(folder) if folder.is_dir() else earlier_taxonomy()
    return taxonomy.with_answerable({str(code): int(count) for code, count in counts.items()})


def _including(value: Any, distribution: BaseDistribution) -> BaseDistribution:
    """Return a distribution that contains a value, which params.yaml may have outside of the search space."""
    match distribution:
        case FloatDistribution(low=low, high=high):
            return FloatDistribution(min(low, value), max(high, value), log=True)
        case CategoricalDistribution(choices=choices):
            return CategoricalDistribution([*choices, *({value} - {*choices})])
    return distribution


def _rounded(value: Any) -> Any:
    """Return a float with three significant digits, so that a proposal has the values of the trial."""
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _format_params(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in params.items())
