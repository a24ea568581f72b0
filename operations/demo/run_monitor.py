"""Poll the gateway as an admin until a condition of the retraining run holds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from inference.simulation.gateway_client import GatewayClient, UserAccount, connected
from operations.demo.processes import DemoStepFailed, RunningServices

POLL_S = 1.0
REQUEST_TIMEOUT_S = 30.0

T = TypeVar("T")


class RunMonitor:
    """Polls `/retrain` and `/predict`; every method raises `DemoStepFailed` on a timeout."""

    def __init__(self, url: str, admin: UserAccount, services: RunningServices) -> None:
        self._url = url
        self._admin = admin
        self._services = services

    def request_run(self) -> None:
        """Start a run with the corrections there are."""

        async def requested(gateway: GatewayClient) -> Any:
            return await gateway.request_with_retries(self._admin, "POST", "/retrain", {})

        self._poll(requested, REQUEST_TIMEOUT_S, "POST /retrain did not succeed")

    def wait_for_run(self, timeout_s: float, corrections: int) -> dict[str, Any]:
        """Return the first run that has started; `corrections` is for the error message."""

        async def started(gateway: GatewayClient) -> dict[str, Any] | None:
            page = await self._get(gateway, "/retrain")
            return next((run for run in page["runs"] if run["state"] != "waiting"), None)

        return self._poll(started, timeout_s, f"{corrections} corrections are trusted, but no run has started")

    def wait_for_verdict(self, run_id: str, timeout_s: float) -> dict[str, Any]:
        """Return a finished run; raise `DemoStepFailed` with its reason if it has no verdict."""

        async def finished(gateway: GatewayClient) -> dict[str, Any] | None:
            run: dict[str, Any] = await self._get(gateway, f"/retrain/{run_id}")
            return run if run["state"] in {"succeeded", "failed"} else None

        run = self._poll(finished, timeout_s, f"run {run_id} has not finished")
        if run["state"] != "succeeded" or not run["verdict"]:
            raise DemoStepFailed(f"run {run_id} has {run['state']} without a verdict: {run['reason']}")
        return run

    def wait_for_release(self, release: str, timeout_s: float) -> None:
        """Return when predictions come from a release."""

        async def served(gateway: GatewayClient) -> bool | None:
            prediction = await gateway.request_with_retries(
                self._admin, "POST", "/predict", {"designation": "Piscine gonflable"}
            )
            return prediction["release"] == release or None

        self._poll(served, timeout_s, f"{release} was promoted, but is not served")

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs."""

        async def listed(gateway: GatewayClient) -> list[dict[str, Any]]:
            runs: list[dict[str, Any]] = (await self._get(gateway, "/retrain"))["runs"]
            return runs

        return self._poll(listed, REQUEST_TIMEOUT_S, "GET /retrain did not succeed")

    async def _get(self, gateway: GatewayClient, path: str) -> Any:
        return await gateway.request_with_retries(self._admin, "GET", path)

    def _poll(self, condition: Callable[[GatewayClient], Awaitable[T | None]], timeout_s: float, failure: str) -> T:
        async def poll() -> T:
            until = asyncio.get_running_loop().time() + timeout_s
            async with connected(self._url, REQUEST_TIMEOUT_S) as gateway:
                while self._services.is_alive and asyncio.get_running_loop().time() < until:
                    if (found := await condition(gateway)) is not None:
                        return found
                    await asyncio.sleep(POLL_S)
            if self._services.is_alive:
                raise DemoStepFailed(f"{failure} within {timeout_s:.0f} s")
            raise DemoStepFailed("the services have exited")

        return asyncio.run(poll())
