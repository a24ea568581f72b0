"""One simulation from beginning to end.

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

from inference.simulation.corrections import Corrections
from inference.simulation.crowd import Crowd, gathered, read_accounts
from inference.simulation.display import shown
from inference.simulation.gateway import Gateway, connected
from inference.simulation.replay import Answer, Ask, NotAnswered, Outcome, Replay, moments
from inference.simulation.report import Simulation
from inference.simulation.settings import Settings
from inference.simulation.unseen import Product, Unseen, choose

OK = 200


def simulate(settings: Settings, console: Console) -> Simulation:
    """Replay the unseen products as the settings say."""
    unseen = Unseen(settings.data_dir)
    products = choose(unseen.products(), n=settings.n, half=settings.half, seed=settings.seed)
    # All of them before the first request: neither disk nor store may delay one.
    photos = unseen.photos(products)
    if settings.offline is not None:
        return _through_models(settings, settings.offline, products, photos, console)
    return asyncio.run(_through_gateway(settings, products, photos, console))


async def _through_gateway(
    settings: Settings, products: Sequence[Product], photos: dict[str, bytes], console: Console
) -> Simulation:
    run, accounts = _new_id(), read_accounts(settings.accounts_file)
    async with (
        connected(settings.url, settings.timeout_s) as gateway,
        gathered(gateway, accounts, run, correct=settings.correct > 0) as crowd,
    ):
        corrections = Corrections(gateway, crowd, share=settings.correct, seed=settings.seed, run=run)

        async def after(product: Product, answer: Answer) -> None:
            await corrections.consider(product, answer.prediction_id, answer.code)

        sent = corrections.sent if settings.correct else None
        began = time.monotonic()
        with shown(console, len(products), lambda: sent) as tell:
            replay = Replay(_asking(gateway, crowd, photos), after, tell)
            outcomes = await replay.run(products, moments(settings.rate, len(products), settings.seed))
    took_s = time.monotonic() - began
    return Simulation(run, _asked(settings), len(products), took_s, outcomes, sent, replay.given_up)


def _asking(gateway: Gateway, crowd: Crowd, photos: dict[str, bytes]) -> Ask:
    """Return how a product is asked about: by the users in turn, and once, for a repetition would not be in time."""
    turns = itertools.cycle(crowd.users)

    async def ask(product: Product) -> Answer:
        reply = await gateway.ask(next(turns), "POST", "/predict", _body(product, photos))
        if reply.status != OK:
            raise NotAnswered(f"{reply.status}: {reply.detail}")
        try:
            return _answer(reply.body)
        except (KeyError, TypeError, ValueError) as error:
            raise NotAnswered(f"the answer is not a prediction: {type(error).__name__} {error}") from error

    return ask


def _body(product: Product, photos: dict[str, bytes]) -> dict[str, str]:
    body = {"designation": product.designation, "description": product.description}
    if product.photo:
        body["image"] = base64.b64encode(photos[product.photo]).decode()
    return {name: value for name, value in body.items() if value}


def _answer(body: Any) -> Answer:
    return Answer(
        code=int(body["category"]["code"]),
        confidence=float(body["confidence"]),
        degraded=bool(body["degraded"]),
        release=str(body["release"]),
        prediction_id=str(body["prediction_id"]),
    )


def _through_models(
    settings: Settings, release: Path, products: Sequence[Product], photos: dict[str, bytes], console: Console
) -> Simulation:
    from inference.simulation.offline import Models  # noqa: PLC0415 - needs the image libraries, which a replay does not

    models = Models(release)
    began = time.monotonic()
    with console.status("") as status:
        answers = models.answer(products, photos, lambda done: status.update(f"{done:,} of {len(products):,}"))
    took_s = time.monotonic() - began
    outcomes = [
        Outcome(product, 0.0, 0.0, 0.0, answer, "" if answer else "nothing to be seen")
        for product, answer in zip(products, answers, strict=True)
    ]
    return Simulation(_new_id(), _asked(settings), len(products), took_s, outcomes, measured_latency=False)


def _asked(settings: Settings) -> dict[str, Any]:
    if settings.offline is not None:
        names: Sequence[str] = ("n", "half", "seed", "data_dir", "offline")
    else:
        names = ("url", "rate", "n", "correct", "half", "seed", "data_dir")
    return {name: str(value) if isinstance(value := getattr(settings, name), Path) else value for name in names}


def _new_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
