"""Open-loop load from inside the cluster: `python -c <this file>` in a pod of the simulation.

A port forward ends with its pod; a pod reaches the gateway through its Service, as the product's clients do. Every
other request uses a new connection. Prints one JSON line: responses by status, failures with their times, degraded.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

URL = os.environ.get("URL", "http://auth-proxy")
RATE = float(os.environ.get("RATE", "20"))
SECONDS = float(os.environ.get("SECONDS", "30"))
TIMEOUT_S = 30.0


class Load:
    """Sends bodies in turn at a fixed rate, whether or not earlier responses have arrived."""

    def __init__(self, session: aiohttp.ClientSession, token: str, bodies: list[dict[str, str]]) -> None:
        self._session = session
        self._token = token
        self._bodies = bodies
        self._start_s = time.time()
        self.failures: list[tuple[float, str]] = []
        self.statuses: Counter[int] = Counter()
        self.releases: Counter[str] = Counter()
        self.degraded = 0
        self.longest_s = 0.0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(RATE * SECONDS)):
                await asyncio.sleep(max(0.0, self._start_s + number / RATE - time.time()))
                tasks.create_task(self._send(number))

    async def _send(self, number: int) -> None:
        sent = time.time()
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Connection": "close"} if number % 2 else {})
        body = self._bodies[number % len(self._bodies)]
        try:
            async with self._session.post(f"{URL}/predict", json=body, headers=headers) as response:
                document: dict[str, Any] = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.failures.append((sent, f"{type(error).__name__}: {error}"))
            return
        self.longest_s = max(self.longest_s, time.time() - sent)
        self.statuses[response.status] += 1
        if response.status == 200:
            self.degraded += document["degraded"]
            self.releases[document["release"]] += 1
        else:
            self.failures.append((sent, f"{response.status} {document.get('detail')}"))


async def main(password: str) -> None:
    form = {"username": "demo-user", "password": password}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.post(f"{URL}/token", data=form) as response:
            token = (await response.json())["access_token"]
        load = Load(session, token, json.loads(os.environ["BODIES"]))
        sys.stdout.write("started\n")
        sys.stdout.flush()
        await load.run()
    fields = ("statuses", "failures", "degraded", "releases", "longest_s")
    sys.stdout.write(json.dumps({name: getattr(load, name) for name in fields}) + "\n")


asyncio.run(main(json.loads(Path("/etc/accounts/accounts.json").read_text())["demo-user"]["password"]))
