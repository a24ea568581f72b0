"""Look at a running loop as an admin does, until something has happened."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from inference.simulation.gateway import Gateway, Person, connected
from operations.demo.processes import Serving, StepMissing

EVERY_S = 1.0
REQUEST_S = 30.0

T = TypeVar("T")
Look = Callable[[], Awaitable[T | None]]


class Watcher:
    """Asks the gateway as one person."""

    def __init__(self, url: str, admin: Person, serving: Serving) -> None:
        self._url = url
        self._admin = admin
        self._serving = serving

    def run_started(self, within_s: float, counted: int) -> dict[str, Any]:
        """Wait until there is a run."""

        async def look(gateway: Gateway) -> dict[str, Any] | None:
            page = await self._get(gateway, "/retrain")
            return next((run for run in page["runs"] if run["state"] != "waiting"), None)

        return self._until(look, within_s, f"{counted} corrections count, but no run has started")

    def run_decided(self, run_id: str, within_s: float) -> dict[str, Any]:
        """Wait until a run is over; raise with its reason when it has no verdict."""

        async def look(gateway: Gateway) -> dict[str, Any] | None:
            run: dict[str, Any] = await self._get(gateway, f"/retrain/{run_id}")
            return run if run["state"] in {"succeeded", "failed"} else None

        run = self._until(look, within_s, f"run {run_id} has not ended")
        if run["state"] != "succeeded" or not run["verdict"]:
            raise StepMissing(f"run {run_id} has {run['state']} without a verdict: {run['reason']}")
        return run

    def serves(self, release: str, within_s: float) -> None:
        """Wait until answers come from a release."""

        async def look(gateway: Gateway) -> bool | None:
            answer = await gateway.insist(self._admin, "POST", "/predict", {"designation": "Piscine gonflable"})
            return answer["release"] == release or None

        self._until(look, within_s, f"{release} was promoted, but does not answer")

    def runs(self) -> list[dict[str, Any]]:
        """Return every run there was."""

        async def look(gateway: Gateway) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await self._get(gateway, "/retrain"))["runs"]
            return found

        return self._until(look, REQUEST_S, "the runs cannot be listed")

    async def _get(self, gateway: Gateway, path: str) -> Any:
        return await gateway.insist(self._admin, "GET", path)

    def _until(self, look: Callable[[Gateway], Awaitable[T | None]], within_s: float, otherwise: str) -> T:
        async def watch() -> T:
            until = asyncio.get_running_loop().time() + within_s
            async with connected(self._url, REQUEST_S) as gateway:
                while self._serving.alive and asyncio.get_running_loop().time() < until:
                    if (found := await look(gateway)) is not None:
                        return found
                    await asyncio.sleep(EVERY_S)
            raise StepMissing(f"{otherwise} within {within_s:.0f} s" if self._serving.alive else "the services ended")

        return asyncio.run(watch())
