"""Tests of the training loop, with a tiny network."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from components.shared.fine_tuning.checkpoints import Checkpoints, NoCheckpoints, delete_abandoned, open_checkpoints
from components.shared.fine_tuning.process_group import Processes
from components.shared.fine_tuning.training_loop import Position, compute_logits, optimization_step, train_network
from components.shared.fine_tuning.training_schedule import check_schedule, rate_factor
from product_classifier.errors import InvalidSettings
from product_classifier.store.file import FileStore
from tests.components.shared.fine_tuning.linear_examples import TwoLayers, Vectors, schedule

torch.set_num_threads(1)  # the networks are tiny
ONE_PROCESS = Processes(0, 1, torch.device("cpu"))


def fit(checkpoints: Checkpoints | NoCheckpoints | None = None, **changes: float) -> tuple[TwoLayers, Position]:
    network = TwoLayers()
    ended = train_network(
        network, Vectors(200, 1), Vectors(100, 2), schedule(**changes), ONE_PROCESS, checkpoints or NoCheckpoints()
    )
    return network, ended


def weights(network: TwoLayers) -> np.ndarray:
    return torch.cat([one.detach().flatten() for one in network.parameters()]).numpy()


def test_a_network_is_trained_for_the_epochs() -> None:
    network, ended = fit()

    assert (40, 4, 4) == (ended.step, ended.epoch, len(ended.scores))
    assert ended.best_f1 > 0.8
    logits = compute_logits(network, Vectors(100, 2), ONE_PROCESS, 7)
    assert (100, 4) == logits.shape
    assert ended.best_f1 <= (logits.argmax(axis=1) == Vectors(100, 2).labels).mean() + 0.05


def test_equal_seeds_give_equal_networks() -> None:
    assert np.allclose(weights(fit()[0]), weights(fit()[0]), atol=1e-4)
    assert not np.allclose(weights(fit()[0]), weights(fit(seed=28)[0]), atol=1e-2)


def test_gradients_are_accumulated_over_micro_batches() -> None:
    whole, accumulated, vectors = TwoLayers().eval(), TwoLayers().eval(), Vectors(20, 1)

    for network, parts in ((whole, 1), (accumulated, 4)):
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        batches = [vectors.load(rows, None) for rows in np.array_split(np.arange(20), parts)]
        optimization_step(network, optimizer, batches, schedule(), ONE_PROCESS)

    assert not np.allclose(weights(TwoLayers()), weights(whole), atol=1e-3)
    assert np.allclose(weights(whole), weights(accumulated), atol=1e-5)


def test_training_ends_without_gain_and_keeps_the_best_epoch() -> None:
    _, ended = fit(epochs=60, patience=2)

    assert ended.epoch < 60
    assert ended.best_epoch == ended.epoch - 2
    assert ended.best_f1 == max(ended.scores)
    assert 10 * ended.epoch == ended.step


def test_training_ends_when_its_time_is_over() -> None:
    _, ended = fit(epochs=10**6, budget_s=0.3, patience=10**6)

    assert ended.ended
    assert 0.3 <= ended.seconds < 30


def test_pretrained_and_new_layers_have_separate_learning_rates() -> None:
    network, _ = fit(learning_rate=1e-12)
    before = TwoLayers()

    assert torch.allclose(before.body[0].weight, network.body[0].weight, atol=1e-6)
    assert not torch.allclose(before.head.weight, network.head.weight, atol=1e-2)


def test_the_learning_rate_rises_then_decays() -> None:
    factors = [rate_factor(share / 100) for share in range(100)]

    assert 0.05 == factors[0]
    assert 10 == int(np.argmax(factors))
    assert np.all(np.diff(factors[10:]) < 0)
    assert factors[-1] < 0.01


@pytest.mark.parametrize("name", ["network", "body"])
def test_a_diverging_network_is_an_error(name: str) -> None:
    network = TwoLayers()
    with torch.no_grad():
        (network.head if name == "network" else network.body[0]).weight.fill_(float("nan"))

    with pytest.raises(InvalidSettings, match=r"learning_rate: with 0\.01 the network diverged; use a smaller one"):
        train_network(network, Vectors(40, 1), Vectors(10, 2), schedule(), ONE_PROCESS, NoCheckpoints())


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("epochs", 0, "is 0; use 1 or more"),
        ("batch_size", -1, "is -1; use 0 or more"),
        ("micro_batch_size", -8, "is -8; use 0 or more"),
        ("patience", 0, "is 0; use 1 or more"),
        ("budget_s", 0.0, "is 0.0; use a number above 0"),
        ("learning_rate", float("nan"), "is nan; use a number above 0"),
        ("head_learning_rate", -1e-3, "is -0.001; use a number above 0"),
    ],
)
def test_numbers_that_cannot_train_are_named(name: str, value: float, reason: str) -> None:
    with pytest.raises(InvalidSettings, match=re.escape(f"train_text.{name}: {reason}")):
        check_schedule("train_text", schedule(**{name: value}))


@pytest.mark.parametrize(
    ("products", "processes", "size"), [(10, 1, 16), (12_000, 1, 120), (12_000, 2, 60), (10**6, 1, 256)]
)
def test_a_suitable_batch_size_depends_on_the_number_of_products(products: int, processes: int, size: int) -> None:
    assert size == schedule(batch_size=0).products_per_step(products, processes)


class Interrupted(Exception):
    """The process ends here, in a test that does not need another process."""


def interrupt(_: int) -> None:
    raise Interrupted


@pytest.mark.parametrize("interrupted_at", [1, 10, 17, 39])
def test_an_interrupted_training_continues_with_the_same_steps(tmp_path: Path, interrupted_at: int) -> None:
    saved = Checkpoints(FileStore(tmp_path), "one", interval_s=0)
    until = Vectors(200, 1, lambda loaded: interrupt(loaded) if loaded == interrupted_at else None)
    with pytest.raises(Interrupted):
        train_network(TwoLayers(), until, Vectors(100, 2), schedule(), ONE_PROCESS, saved)

    assert_continues(saved, interrupted_at)


@pytest.mark.slow
def test_a_killed_training_continues_with_the_same_steps(tmp_path: Path) -> None:
    code = f"""
import os, signal, torch
from pathlib import Path
from components.shared.fine_tuning.checkpoints import Checkpoints
from components.shared.fine_tuning.process_group import Processes
from components.shared.fine_tuning.training_loop import train_network
from product_classifier.store.file import FileStore
from tests.components.shared.fine_tuning.linear_examples import TwoLayers, Vectors, schedule
torch.set_num_threads(1)
vectors = Vectors(200, 1, lambda loaded: loaded == 17 and os.kill(os.getpid(), signal.SIGKILL))
saved = Checkpoints(FileStore(Path({str(tmp_path)!r})), "one", interval_s=0)
train_network(TwoLayers(), vectors, Vectors(100, 2), schedule(), Processes(0, 1, torch.device("cpu")), saved)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=200)
    assert -signal.SIGKILL == killed.returncode

    assert_continues(Checkpoints(FileStore(tmp_path), "one", interval_s=0), 17)


def assert_continues(saved: Checkpoints, loaded: int) -> None:
    """Assert that a training interrupted when it loaded that batch ends as one that was not."""
    found = saved.load()
    assert (0 if found is None else found["position"]["step"]) in range(loaded - 2, loaded + 1)
    continued, ended = fit(saved)

    uninterrupted, expected = fit()
    assert (expected.step, expected.scores) == (ended.step, ended.scores)
    assert np.allclose(weights(uninterrupted), weights(continued), atol=1e-4)


def test_a_training_that_had_ended_continues_with_its_best_network(tmp_path: Path) -> None:
    saved = Checkpoints(FileStore(tmp_path), "ended", interval_s=0)
    first, _ = fit(saved)
    repeated, ended = fit(saved)

    assert 40 == ended.step
    assert np.array_equal(weights(first), weights(repeated))


def delete_part(store: FileStore, key: str) -> None:
    store.delete(key)


def damage_part(store: FileStore, key: str) -> None:
    store.put(key, b"damaged")


@pytest.mark.parametrize("change", [delete_part, damage_part])
def test_a_damaged_checkpoint_is_not_used(tmp_path: Path, change: Callable[[FileStore, str], None]) -> None:
    store = FileStore(tmp_path)
    fit(saved := Checkpoints(store, "one", interval_s=0))
    assert saved.load() is not None

    change(store, next(key for key in store.list() if not key.endswith("latest.json")))

    assert saved.load() is None


def test_one_checkpoint_is_kept_and_none_after_the_end(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    fit(saved := Checkpoints(store, "one", interval_s=0))

    assert 2 == len(list(store.list("checkpoints/one/")))
    saved.delete()
    assert [] == list(store.list())


def test_checkpoints_that_were_abandoned_for_a_week_are_deleted(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    fit(Checkpoints(store, "one", interval_s=0))
    now_s = (tmp_path / "checkpoints/one/latest.json").stat().st_mtime

    delete_abandoned(store, now_s + 6 * 86_400)
    assert list(store.list())
    delete_abandoned(store, now_s + 8 * 86_400)
    assert [] == list(store.list())


def test_other_inputs_have_other_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"products")
    url = (tmp_path / "store").as_uri()
    FileStore(tmp_path / "store", create=True)
    first = open_checkpoints(url, ("train_text", schedule()), [tmp_path / "train"])
    assert isinstance(first, Checkpoints)
    fit(first)

    def found(values: object) -> bool:
        return open_checkpoints(url, values, [tmp_path / "train"]).load() is not None

    assert found(("train_text", schedule()))
    assert not found(("train_text", schedule(seed=1)))
    (tmp_path / "train").write_bytes(b"other products")
    assert not found(("train_text", schedule()))
