"""Work of several users on a few threads."""

import asyncio
import gc
import threading
import weakref
from contextlib import suppress

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

    with pytest.raises(Overloaded, match="long work"):
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


async def test_work_that_fails_is_freed_without_the_garbage_collector() -> None:
    class Body:
        """Stands for the request that the work holds."""

    def fail(_: Body) -> None:
        raise ValueError("refused")

    pool = WorkerPool(1, 4)
    body = Body()
    freed = weakref.ref(body)
    gc.disable()
    try:
        with pytest.raises(ValueError, match="refused"):
            await pool.run(fail, body)
        del body
        await pool.run(lambda: None)  # the thread has left the frame of the work before
        assert freed() is None
    finally:
        gc.enable()
        pool.close()


async def test_canceled_work_that_has_started_holds_its_place_until_it_ends() -> None:
    pool, go = WorkerPool(1, 0), threading.Event()
    running = asyncio.create_task(pool.run(go.wait))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(Overloaded):
        await pool.run(lambda: None)
    go.set()
    for _ in range(100):
        with suppress(Overloaded):
            assert 7 == await pool.run(lambda: 7)
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("the place was not given back")
    pool.close()
