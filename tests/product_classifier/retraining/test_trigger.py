import os
import random
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import RetrainActive, StoreUnavailable
from product_classifier.retraining import RunStore, acquire_run, list_runs, read_snapshot, request_run
from product_classifier.retraining.drift_request import DriftRequest, write_drift_request
from product_classifier.retraining.launcher import Execution
from product_classifier.retraining.run_records import claim_key, manifest_key, result_key
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import PENDING_S, Trigger
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import Countdown, Dying, FakeClock, FakeLauncher, correct, dying

SCHEDULES = int(os.environ.get("TRIGGER_SCHEDULES", "200"))
SETTINGS = RetrainSettings.model_validate({"min_corrections": 3, "RETRAIN_COOLDOWN": 100, "lease_s": 10})


class World:
    """A store, a pipeline API, a clock and any number of triggers."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.clock = FakeClock()
        self.launcher = FakeLauncher(self.store, self.clock)

    def trigger(self, countdown: Countdown | None = None, settings: RetrainSettings = SETTINGS) -> Trigger:
        if countdown is None:
            return Trigger(self.store, self.launcher, settings, self.clock)
        store, launcher = Dying(self.store, countdown), Dying(self.launcher, countdown)
        return Trigger(store, launcher, settings, self.clock)  # type: ignore[arg-type]

    def settle(self, *triggers: Trigger) -> list[str]:
        """Reconcile, finish runs and advance the clock until nothing changes."""
        seen = []
        for _ in range(12):
            active = triggers or (self.trigger(),)  # by default a new process each time
            seen += [trigger.reconcile().step for trigger in active]
            self.launcher.finish()
            self.clock.pass_(30)
        return seen


@pytest.fixture
def world() -> World:
    return World()


def test_below_the_threshold_nothing_starts(world: World) -> None:
    for product in range(2):
        correct(world.store, product)

    assert set(world.settle()) == {"waiting"}


def test_enough_corrections_start_one_run_and_not_a_second(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    world.settle()

    assert [run.superseded for run in world.launcher.runs] == [False]


def request_after_drift(world: World, min_corrections: int = 2) -> None:
    request = DriftRequest(
        window_id="d-20260302T120000-0123abcd",
        release="r",
        min_corrections=min_corrections,
        created=world.clock.now(),
    )
    write_drift_request(world.store, request)


def test_after_drift_fewer_corrections_start_one_run_with_that_cause(world: World) -> None:
    request_after_drift(world)
    for product in range(2):
        correct(world.store, product)
    world.settle(world.trigger(), world.trigger())

    assert ["drift"] == [run.cause for run in list_runs(RunStore(world.store))]


def test_after_drift_no_run_starts_without_new_labels(world: World) -> None:
    request_after_drift(world)
    correct(world.store, 0)
    result = world.trigger().reconcile()

    assert {"waiting"} == set(world.settle())
    assert "drift in d-20260302T120000-0123abcd: 1 of 2 trusted corrections are new" == result.reason


def test_a_run_that_succeeded_after_the_drift_answers_it(world: World) -> None:
    request_after_drift(world)
    for product in range(3):
        correct(world.store, product)
    world.settle()
    for product in range(3, 5):
        correct(world.store, product)
    world.settle()

    assert ["threshold"] == [run.cause for run in list_runs(RunStore(world.store))]


def test_many_corrections_of_one_user_start_nothing(world: World) -> None:
    for product in range(30):
        correct(world.store, product, user="mallory", role="user")
        correct(world.store, product, user="mallory", role="user", code=CHALLENGE.codes[1])

    assert set(world.settle()) == {"waiting"}


def test_corrections_during_a_run_start_the_next_one(world: World) -> None:
    trigger = world.trigger()
    for product in range(3):
        correct(world.store, product)
    trigger.reconcile()
    for product in range(3, 6):
        correct(world.store, product)
    world.settle(trigger)

    sizes = [len(read_snapshot(world.store, run.snapshot).corrections) for run in world.launcher.runs]
    assert sizes == [3, 6]


def test_the_next_run_waits_for_the_cooldown(world: World) -> None:
    trigger = world.trigger()
    for product in range(3):
        correct(world.store, product)
    while trigger.reconcile().step != "closed":
        world.launcher.finish()
    for product in range(3, 6):
        correct(world.store, product)

    assert trigger.reconcile().step == "cooling"
    world.clock.pass_(101)
    assert trigger.reconcile().step == "claimed"


@pytest.mark.parametrize("jump", [-86_400 * 365, -3600, 3600, 86_400 * 365])
def test_a_clock_that_jumps_neither_blocks_nor_doubles_runs(world: World, jump: float) -> None:
    trigger = world.trigger()
    for product in range(3):
        correct(world.store, product)
    trigger.reconcile()
    world.clock.jump(jump)
    world.settle(trigger)
    world.clock.jump(-jump)
    for product in range(3, 6):
        correct(world.store, product)
    world.settle(trigger)

    assert len(world.launcher.runs) == 2


def test_corrections_of_a_rejected_release_are_in_the_watermark(world: World) -> None:
    trigger = world.trigger()
    for product in range(3):
        correct(world.store, product)
    trigger.reconcile()
    trigger.reconcile()
    world.launcher.finish(promoted=False)
    world.settle(trigger)

    assert len(world.launcher.runs) == 1


def test_a_failed_run_is_followed_by_another_after_a_doubled_cooldown(world: World) -> None:
    trigger = world.trigger()
    for product in range(3):
        correct(world.store, product)
    started: list[float] = []
    for _ in range(200):
        if trigger.reconcile().step == "started":
            started.append(world.clock.seconds)
        world.launcher.finish(killed=len(started) < 4)
        world.clock.pass_(10)

    pauses = [later - earlier for earlier, later in pairwise(started)]
    assert len(started) == 4
    assert pauses == sorted(pauses)
    assert pauses[2] > 2 * pauses[0]


def test_a_run_that_takes_too_long_is_stopped(world: World) -> None:
    trigger = world.trigger()
    for product in range(3):
        correct(world.store, product)
    steps = []
    for _ in range(5):
        steps.append(trigger.reconcile().step)
        world.clock.pass_(SETTINGS.run_timeout_s / 2 + 1)

    assert steps[:4] == ["claimed", "started", "running", "running"]
    assert (steps[4], world.launcher.runs[0].state) == ("closed", Execution.FAILED)


def test_the_view_of_a_run_says_why_it_does_not_start_until_it_does(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    trigger = world.trigger()
    reasons = []
    for world.launcher.pending in ("", "train: no node has 900 GiB", "train: no node has 900 GiB", ""):
        for _ in range(3):
            trigger.reconcile()
        reasons.append(list_runs(RunStore(world.store))[0].reason)
        world.clock.pass_(PENDING_S)

    assert [None, "train: no node has 900 GiB", "train: no node has 900 GiB", None] == reasons


def test_a_run_that_is_stopped_before_it_starts_ends_with_the_reason(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    trigger, world.launcher.pending = world.trigger(), "train: no such image"
    for _ in range(4):
        trigger.reconcile()
        world.clock.pass_(SETTINGS.run_timeout_s)

    (run,) = list_runs(RunStore(world.store))
    assert "failed" == run.state
    assert f"stopped after {SETTINGS.run_timeout_s:.0f} s; train: no such image" == run.reason


def test_a_run_that_cannot_start_is_finished_with_its_reason(world: World) -> None:
    world.launcher.refuse = True
    for product in range(3):
        correct(world.store, product)
    trigger = world.trigger()
    trigger.reconcile()

    assert "no such parameter" in trigger.reconcile().reason


def test_a_run_whose_execution_was_deleted_fails_and_is_not_restarted(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    trigger = world.trigger()
    trigger.reconcile()
    trigger.reconcile()
    world.launcher.begin()
    world.launcher.runs.clear()

    assert "no longer exists" in trigger.reconcile().reason
    world.settle(trigger)
    assert [run.run_id[:14] for run in world.launcher.runs] == ["retrain-000002"]


def test_a_lost_response_starts_no_second_run(world: World) -> None:
    world.launcher.lose_replies = 1
    for product in range(3):
        correct(world.store, product)
    world.settle()

    assert len(world.launcher.runs) == 1


def test_an_outage_of_the_api_ends_with_one_run(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    triggers = [world.trigger() for _ in range(3)]
    world.launcher.away = True
    for _ in range(60):
        for trigger in triggers:
            trigger.reconcile()
        world.clock.pass_(10)
    world.launcher.away = False
    world.settle(*triggers)

    assert len(world.launcher.runs) == 1


def test_an_unavailable_store_is_reported_and_loses_nothing(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    trigger = world.trigger()
    world.store.away = True
    with pytest.raises(StoreUnavailable):
        trigger.reconcile()
    world.store.away = False
    world.settle(trigger)

    assert len(world.launcher.runs) == 1


def count_ticks(scenario: Callable[[World, Countdown], None]) -> int:
    countdown = Countdown()
    scenario(World(), countdown)
    return countdown.ticks


def one_run(world: World, countdown: Countdown) -> None:
    for product in range(3):
        correct(world.store, product)
    trigger = world.trigger(countdown)
    with dying():
        for _ in range(6):
            trigger.reconcile()
            world.launcher.finish()


CRASH_POINTS = count_ticks(one_run)


@pytest.mark.parametrize("at", range(1, CRASH_POINTS + 1))
def test_a_trigger_that_crashes_at_any_call_leaves_exactly_one_run(world: World, at: int) -> None:
    one_run(world, Countdown(at))
    world.settle()

    assert [run.superseded for run in world.launcher.runs] == [False]


def test_crashes_are_injected_at_the_expected_number_of_calls() -> None:
    assert CRASH_POINTS >= 15


class Scheduler:
    """Runs threads one call at a time in a random order; some of them crash."""

    def __init__(self, seed: int, threads_count: int, crashes: int) -> None:
        self._random = random.Random(seed)
        self._go = [threading.Semaphore(0) for _ in range(threads_count)]
        self._waiting = threading.Semaphore(0)
        self._alive = set(range(threads_count))
        self._crash_at = dict.fromkeys(self._random.sample(range(threads_count), crashes), 0)
        for thread_id in self._crash_at:
            self._crash_at[thread_id] = self._random.randrange(1, 60)

    def countdown(self, thread_id: int) -> Countdown:
        scheduler = self

        class ScheduledCountdown(Countdown):
            def tick(self) -> None:
                scheduler._waiting.release()
                scheduler._go[thread_id].acquire()
                super().tick()

        return ScheduledCountdown(self._crash_at.get(thread_id, 0))

    def finish(self, thread_id: int) -> None:
        self._alive.discard(thread_id)
        self._waiting.release()

    def run(self) -> None:
        """Wait until all threads are blocked, then release one at a time."""
        for _ in self._go:
            self._waiting.acquire()
        while self._alive:
            self._go[self._random.choice(sorted(self._alive))].release()
            self._waiting.acquire()


@pytest.mark.slow
@pytest.mark.parametrize("triggers", [2, 3, 5])
def test_concurrent_triggers_that_may_crash_start_exactly_one_run(triggers: int) -> None:
    started = []
    for seed in range(SCHEDULES):
        world = World()
        for product in range(3):
            correct(world.store, product)
        scheduler = Scheduler(seed, triggers, crashes=random.Random(seed).randrange(triggers))

        def reconcile(thread_id: int, world: World = world, scheduler: Scheduler = scheduler) -> None:
            with dying():
                trigger = world.trigger(scheduler.countdown(thread_id))
                for _ in range(4):
                    trigger.reconcile()
            scheduler.finish(thread_id)

        threads = [threading.Thread(target=reconcile, args=(thread_id,)) for thread_id in range(triggers)]
        for thread in threads:
            thread.start()
        scheduler.run()
        for thread in threads:
            thread.join()
        world.settle()
        started.append(len(world.launcher.runs))

    assert started == [1] * SCHEDULES


def test_an_execution_started_by_a_suspended_trigger_is_superseded(world: World) -> None:
    """The pipeline API has no idempotency key: an execution started late must detect that it owns no run."""
    for product in range(3):
        correct(world.store, product)
    world.trigger().reconcile()
    world.trigger().reconcile()
    (run,) = world.launcher.runs
    world.launcher.begin()
    world.launcher.start(run.run_id, run.snapshot)
    world.settle()

    assert [run.superseded for run in world.launcher.runs] == [False, True]


def test_only_the_owner_acquires_a_run_again(world: World) -> None:
    run_store, now = RunStore(world.store), world.clock.now()
    claim = request_run(run_store, (), "adam", now)
    acquired = [acquire_run(run_store, claim.run_id, execution, now) for execution in ("a", "a", "b")]
    run_store.finish(1, claim.run_id, "failed", "killed", now)

    assert [*acquired, acquire_run(run_store, claim.run_id, "a", now)] == [True, True, False, False]
    assert not acquire_run(run_store, "retrain-000009-000000000000", "a", now)


def test_of_two_admins_one_starts_the_run_and_the_other_gets_its_id(world: World) -> None:
    first, second = RunStore(world.store), RunStore(world.store)
    run = request_run(first, (), "adam", world.clock.now())
    with pytest.raises(RetrainActive) as refused:
        request_run(second, (), "eve", world.clock.now())
    world.settle()

    assert refused.value.run_id == run.run_id
    assert [(view.cause, view.requested_by, view.state) for view in list_runs(first)] == [
        ("manual", "adam", "succeeded")
    ]


def test_a_damaged_claim_is_finished_and_followed_by_another_run(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    trigger = world.trigger()
    trigger.reconcile()
    world.store.objects[claim_key(1)] = b"{"
    world.settle()

    assert [run.run_id[:14] for run in world.launcher.effective()] == ["retrain-000002"]


def test_a_damaged_watermark_causes_one_additional_run(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    world.settle()
    world.store.objects[manifest_key(world.launcher.runs[0].snapshot)] = b"{}"
    world.settle()
    world.settle()

    assert len(world.launcher.runs) == 2


def test_a_run_with_a_damaged_result_is_finished(world: World) -> None:
    correct(world.store, 0)
    request_run(RunStore(world.store), (), "adam", world.clock.now())
    world.settle()
    world.store.objects[result_key(1)] = b"\xff"

    assert set(world.settle()) == {"waiting"}


def test_damaged_corrections_are_reported_and_skipped(world: World) -> None:
    good = [correct(world.store, product) for product in range(3)]
    day = good[0].key.rpartition("/")[0]
    damaged = {
        f"{day}/half.json": good[0].to_json()[:40],
        f"{day}/{good[0].feedback_id}.review.json": b"\x00",
        f"{day}/renamed.json": good[1].to_json(),
        f"{day}/empty.json": b"",
        f"{day}/other.json": b'{"hello": 1}',
    }
    world.store.objects.update(damaged)
    trigger = world.trigger()

    assert trigger.reconcile().corrections == 3
    assert trigger.feedback_index.damaged.keys() == damaged.keys()


def test_a_snapshot_is_named_by_its_content_and_damage_is_detected(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    world.settle()
    sha256 = world.launcher.runs[0].snapshot
    world.store.objects[manifest_key(sha256)] += b" "

    with pytest.raises(Exception, match="does not have the hash"):
        read_snapshot(world.store, sha256)


def test_a_trained_label_is_not_new_when_it_is_submitted_again(world: World) -> None:
    for product in range(3):
        correct(world.store, product)
    world.settle()
    for product in range(3):
        correct(world.store, product, user="rolf")
    world.clock.pass_(timedelta(days=1).total_seconds())

    assert set(world.settle()) == {"waiting"}
