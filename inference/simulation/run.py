"""Run one simulation.

done = simulate(Settings(), Console())
"""

import asyncio
import base64
import itertools
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from inference.simulation.correction_simulator import CorrectionSimulator
from inference.simulation.display import progress_line
from inference.simulation.gateway_client import GatewayClient, UserAccount, connected
from inference.simulation.open_loop import (
    OpenLoopReplay,
    Predict,
    RequestFailed,
    RequestOutcome,
    SimulatedPrediction,
    poisson_arrivals,
)
from inference.simulation.report import Simulation
from inference.simulation.settings import Settings
from inference.simulation.simulated_users import SimulatedUsers, provision_users, read_accounts
from inference.simulation.unseen import UnseenCatalogue, UnseenProduct, select
from product_classifier.taxonomy.stored_codes import from_stored

OK = 200


def simulate(settings: Settings, console: Console) -> Simulation:
    """Replay unseen products against the gateway, or through a release if `settings.offline` names one."""
    unseen = UnseenCatalogue(settings.data_dir)
    products = select(unseen.products(), n=settings.n, half=settings.half, seed=settings.seed)
    # Read before the first request, so that disk and store delay none.
    photos = unseen.photos(products)
    if settings.offline is not None:
        return _predict_offline(settings, settings.offline, products, photos, console)
    return asyncio.run(_replay(settings, products, photos, console))


async def _replay(
    settings: Settings,
    products: Sequence[UnseenProduct],
    photos: dict[str, bytes],
    console: Console,
) -> Simulation:
    run = _new_id()
    if settings.token_file is not None:
        accounts: tuple[UserAccount, ...] = (UserAccount("token", "user", token_file=settings.token_file),)
    else:
        accounts = read_accounts(settings.accounts_file)
    async with (
        connected(settings.url, settings.timeout_s) as gateway,
        provision_users(gateway, accounts, run, correct=settings.correct > 0) as users,
    ):
        simulator = CorrectionSimulator(gateway, users, share=settings.correct, seed=settings.seed, run=run)

        async def on_prediction(product: UnseenProduct, prediction: SimulatedPrediction) -> None:
            await simulator.correct_if_wrong(product, prediction.prediction_id, prediction.code)

        counts = simulator.counts if settings.correct else None
        began = time.monotonic()
        with progress_line(console, len(products), counts) as on_outcome:
            replay = OpenLoopReplay(_predictor(gateway, users, photos), on_prediction, on_outcome)
            outcomes = await replay.run(products, poisson_arrivals(settings.rate, len(products), settings.seed))
    duration_s = time.monotonic() - began
    return Simulation(run, _reported(settings), len(products), duration_s, outcomes, counts, replay.abort_reason)


def _predictor(gateway: GatewayClient, users: SimulatedUsers, photos: dict[str, bytes]) -> Predict:
    """Return a function that sends `/predict` as each user in turn, without retries, which would distort latency."""
    turns = itertools.cycle(users.users)

    async def predict(product: UnseenProduct) -> SimulatedPrediction:
        response = await gateway.request(next(turns), "POST", "/predict", _body(product, photos))
        if response.status != OK:
            raise RequestFailed(f"{response.status}: {response.detail}")
        try:
            return _parse(response.body)
        except (KeyError, TypeError, ValueError) as error:
            raise RequestFailed(f"the response is not a prediction: {type(error).__name__} {error}") from error

    return predict


def _body(product: UnseenProduct, photos: dict[str, bytes]) -> dict[str, str]:
    body = {"designation": product.designation, "description": product.description}
    if product.photo:
        body["image"] = base64.b64encode(photos[product.photo]).decode()
    return {name: value for name, value in body.items() if value}


def _parse(body: Any) -> SimulatedPrediction:
    return SimulatedPrediction(
        code=from_stored(body["category"]["code"]),
        confidence=float(body["confidence"]),
        degraded=bool(body["degraded"]),
        release=str(body["release"]),
        prediction_id=str(body["prediction_id"]),
    )


def _predict_offline(
    settings: Settings,
    release: Path,
    products: Sequence[UnseenProduct],
    photos: dict[str, bytes],
    console: Console,
) -> Simulation:
    from inference.simulation.offline import OfflineModels  # noqa: PLC0415 - needs image libraries, a replay does not

    models = OfflineModels(release)
    began = time.monotonic()
    with console.status("") as status:
        predictions = models.predict(products, photos, lambda done: status.update(f"{done:,} of {len(products):,}"))
    duration_s = time.monotonic() - began
    outcomes = [
        RequestOutcome(product, 0.0, 0.0, 0.0, prediction, "" if prediction else "neither text nor photo is usable")
        for product, prediction in zip(products, predictions, strict=True)
    ]
    return Simulation(_new_id(), _reported(settings), len(products), duration_s, outcomes, measured_latency=False)


def _reported(settings: Settings) -> dict[str, Any]:
    """Return the settings that the report lists."""
    if settings.offline is not None:
        names: Sequence[str] = ("n", "half", "seed", "data_dir", "offline")
    else:
        names = ("url", "rate", "n", "correct", "half", "seed", "data_dir")
    return {name: str(value) if isinstance(value := getattr(settings, name), Path) else value for name in names}


def _new_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
