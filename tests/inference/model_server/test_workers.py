"""Work of several users on a few threads."""

import asyncio
import threading

import pytest

from inference.http.problems import Overloaded
from inference.http.request_user import request_user
from inference.model_server.workers import LONG_WAITING, WorkerPool


async def start(workers: WorkerPool, user: str, work: object, *, long: bool = True) -> "asyncio.Task[object]":
    request_user.set(user)
    task = asyncio.create_task((workers.run_long if long else workers.run)(work))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    return task


async def test_users_take_turns() -> None:
    workers, release, order = WorkerPool(1, 64), threading.Event(), []
    tasks = [await start(workers, "ada", lambda: release.wait(10))]
    tasks += [await start(workers, "ada", lambda: order.append("ada")) for _ in range(8)]
    tasks += [await start(workers, "bob", lambda: order.append("bob"), long=False) for _ in range(2)]

    release.set()
    await asyncio.gather(*tasks)
    workers.close()

    assert {0, 1, 2, 3} >= {position for position, user in enumerate(order) if user == "bob"}
    assert (8, 2) == (order.count("ada"), order.count("bob"))


async def test_long_work_of_one_user_leaves_a_thread_to_the_others() -> None:
    workers, release = WorkerPool(2, 64), threading.Event()
    large = [await start(workers, "ada", lambda: release.wait(10)) for _ in range(4)]

    other = await start(workers, "bob", lambda: "in time", long=False)
    assert "in time" == await asyncio.wait_for(other, 5)

    release.set()
    assert [True] * 4 == await asyncio.gather(*large)
    workers.close()


async def test_the_long_work_of_one_user_that_may_wait_is_limited() -> None:
    workers, release = WorkerPool(1, 64), threading.Event()
    large = [await start(workers, "ada", lambda: release.wait(10)) for _ in range(LONG_WAITING)]

    with pytest.raises(Overloaded, match="large photos"):
        await (await start(workers, "ada", lambda: None))
    other = await start(workers, "bob", lambda: "accepted")
    release.set()

    assert "accepted" == await other
    await asyncio.gather(*large)
    assert "again" == await (await start(workers, "ada", lambda: "again"))
    workers.close()


async def test_canceled_work_leaves_its_place_at_once() -> None:
    workers, release = WorkerPool(1, 1), threading.Event()
    running = await start(workers, "ada", lambda: release.wait(10))
    for _ in range(100):
        waiting = await start(workers, "ada", lambda: None)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0)

    last = await start(workers, "ada", lambda: "ran")
    release.set()

    assert "ran" == await last
    assert True is await running
    workers.close()
