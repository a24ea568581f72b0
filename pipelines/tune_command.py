"""Search the hyper-parameters of models and write what was found as a proposal for params.yaml."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from components.shared.tracking import RunRecord, Tracking
from pipelines.settings import PipelineSettings
from pipelines.tune import STEPS, log_search, proposal, run_name, search
from product_classifier.store.folders import protect_state_folder


@dataclass(frozen=True, slots=True)
class Request:
    """What to search for, on which data, and where the proposal is written."""

    data: Path
    """Folder with the splits, as `python -m pipelines data` writes it."""
    params: Path
    output: Path
    models: list[str] | None
    """Models to search for, `text` and `image`; None for both."""
    trials: int


def propose_params(settings: PipelineSettings, request: Request, console: Console) -> None:
    """Search each model in turn, print its trials, write the best values; all of it is a run in MLflow."""
    protect_state_folder(settings.state)
    tracking = Tracking(settings.tracking, settings.experiment)
    started = datetime.now(UTC)
    parent = tracking.log_run(RunRecord(run_name(), tags={"kind": "search"}, started=started))
    searches = []
    for model in request.models or STEPS:
        log = log_search(tracking, parent)
        searches.append(search(model, request.data, request.params, request.trials, log))
        for line in searches[-1].lines():
            console.print(line, highlight=False, markup=False)
    text = request.params.read_text(encoding="utf-8") if request.params.exists() else ""
    request.output.write_text(proposal(text, searches), encoding="utf-8")
    best = {f"{one.model}.weighted_f1": one.best.mean for one in searches}
    files = {"params.proposed.yaml": request.output}
    tracking.extend_run(parent, RunRecord("", metrics=best, files=files, ended=datetime.now(UTC)))
    console.print(f"proposal for {request.params}: {request.output}", highlight=False)
