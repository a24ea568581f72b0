from tests.pipelines.retrain.test_app import make_loop
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import FakeClock, FakeLauncher, correct


def test_an_unavailable_store_does_not_end_the_loop() -> None:
    store = FakeStore()
    loop, _ = make_loop(store, FakeLauncher(store, FakeClock()))
    store.away = True
    loop.reconcile_once()
    store.away = False
    loop.reconcile_once()

    assert {"error": 1, "waiting": 1} == loop.steps


def test_reconciling_while_steps_are_due_also_starts_the_claimed_run() -> None:
    store = FakeStore()
    loop, _ = make_loop(store, FakeLauncher(store, FakeClock()))
    correct(store, 1)

    loop.reconcile_while_due()

    assert {"claimed": 1, "started": 1} == loop.steps
