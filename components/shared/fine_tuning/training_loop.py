"""Train a network within a number of epochs and seconds."""

import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's convention
from numpy.typing import NDArray
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel

from components.shared import progress
from components.shared.fine_tuning.batches import epoch_batches, load_ahead, micro_batches
from components.shared.fine_tuning.checkpoints import Checkpoints, NoCheckpoints
from components.shared.fine_tuning.examples import Batch, Examples
from components.shared.fine_tuning.process_group import Processes
from components.shared.fine_tuning.training_schedule import Schedule, rate_factor
from product_classifier.errors import InvalidSettings
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.observability import get_logger


@dataclass
class Position:
    """How far a training is; with the network and the optimizer it is the content of a checkpoint."""

    step: int = 0
    """Optimization steps done."""
    epoch: int = 0
    batch: int = 0
    """Batches of the epoch that are done."""
    seconds: float = 0.0
    best_f1: float = -1.0
    best_epoch: int = -1
    ended: bool = False
    scores: list[float] = field(default_factory=list)
    """F1 on the validation split after each epoch."""


def train_network(
    network: nn.Module,
    examples: Examples,
    validation: Examples,
    schedule: Schedule,
    processes: Processes,
    checkpoints: Checkpoints | NoCheckpoints,
) -> Position:
    """Train `network`; return where it ended.

    The network is left on the CPU with the parameters of the best epoch.

    Batches, augmentation and dropout of a step depend on the seed and the number of the step alone: a training that
    continues from a checkpoint does the same steps as one that was not interrupted. If the epochs do not fit into
    `budget_s`, the number of steps depends on the machine, and the learning rate still decays to its end.

    Raises:
        InvalidSettings: If the logits become infinite.
    """
    trainer = _Trainer(network, examples, validation, schedule, processes, checkpoints)
    trainer.run()
    return trainer.position


def compute_logits(
    network: nn.Module, examples: Examples, processes: Processes, micro_batch: int
) -> NDArray[np.float32]:
    """Return logits `[n, classes]`; each process computes a share, and all return the whole."""
    rows = np.argsort(examples.lengths, kind="stable")[processes.rank :: processes.count]
    parts = np.array_split(rows, -(-len(rows) // micro_batch)) if len(rows) else []
    network.eval()
    found: NDArray[np.float32] | None = None
    with torch.inference_mode(), mixed_precision(processes.device):
        for part, batch in zip(parts, load_ahead(examples, parts, None, processes.device), strict=True):
            logits = network(*batch.inputs).float().cpu().numpy()
            found = np.zeros((len(examples.labels), logits.shape[1]), np.float32) if found is None else found
            found[part] = logits
    classes = int(processes.of_first(0 if found is None else found.shape[1]))
    return processes.sum(np.zeros((len(examples.labels), classes), np.float32) if found is None else found)


@contextlib.contextmanager
def mixed_precision(device: torch.device) -> Iterator[None]:
    """Multiply in bfloat16 on a GPU that can; a CPU computes in float32.

    Attention leaves out cuDNN, which plans anew for each length of batches: on an H200 it took two thirds of the time.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        backends = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        with sdpa_kernel(backends), torch.autocast("cuda", torch.bfloat16):
            yield
    else:
        yield


def optimization_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Batch],
    schedule: Schedule,
    processes: Processes,
) -> None:
    """Do one step with the mean gradient of the micro-batches `parts` of all processes."""
    size = sum(len(batch.labels) for batch in parts)
    optimizer.zero_grad(set_to_none=True)
    for number, batch in enumerate(parts):
        accumulates = isinstance(model, DistributedDataParallel) and number < len(parts) - 1
        with model.no_sync() if accumulates else contextlib.nullcontext():
            with mixed_precision(processes.device):
                logits = model(*batch.inputs)
            smoothing = schedule.label_smoothing
            loss = F.cross_entropy(logits.float(), batch.labels, label_smoothing=smoothing, reduction="sum")
            (loss / size).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def optimizer_of(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Return AdamW with a learning rate for new parameters and one for others.

    Biases and the parameters of normalizations do not decay.
    """
    new = {id(one) for one in network.new_parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in new, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "maximum": schedule.head_learning_rate if is_new else schedule.learning_rate,
                "weight_decay": schedule.weight_decay if is_matrix else 0.0,
            }
            for (is_new, is_matrix), parameters in groups.items()
        ],
        lr=schedule.learning_rate,
        fused=True,
    )


class _Trainer:
    def __init__(
        self,
        network: nn.Module,
        examples: Examples,
        validation: Examples,
        schedule: Schedule,
        processes: Processes,
        checkpoints: Checkpoints | NoCheckpoints,
    ) -> None:
        self.network, self.examples, self.validation = network.to(processes.device), examples, validation
        self.schedule, self.processes, self.checkpoints = schedule, processes, checkpoints
        self.position = Position()
        self.best: dict[str, torch.Tensor] = {}
        self.batch_size = schedule.products_per_step(len(examples.labels), processes.count)
        self.micro_batch = schedule.products_in_memory(processes.device.type)
        self.steps_per_epoch = len(self._batches(0))
        self.report = progress.on_stderr() if processes.is_first else lambda *_: None
        self.started_s = time.monotonic()
        self.optimizer = optimizer_of(network, schedule)
        if processes.device.type == "cuda":
            torch.set_float32_matmul_precision("high")

    def run(self) -> None:
        self._restore()
        model = self.processes.wrap(self.network)
        self.started_s = time.monotonic() - self.position.seconds
        while not self.position.ended:
            self._train_epoch(model)
            self._finish_epoch()
            self._save()
        if self.best:
            self.network.load_state_dict(self.best)
        self.network.cpu()

    def _train_epoch(self, model: nn.Module) -> None:
        """Do the steps of the epoch that are left."""
        place, total = self.position, self.schedule.epochs * self.steps_per_epoch
        batches = self._batches(place.epoch)[place.batch :]
        parts = [micro_batches(rows, self.micro_batch) for rows in batches]
        flat = [part for parts_of_batch in parts for part in parts_of_batch]
        first = place.step
        seeds = [self._seed(first + number) for number, some in enumerate(parts) for _ in some]
        loaded = load_ahead(self.examples, flat, seeds, self.processes.device)
        model.train()
        for parts_of_batch in parts:
            if (spent := self._spent(total)) >= 1:
                place.ended = True
                break
            for group in self.optimizer.param_groups:
                group["lr"] = group["maximum"] * rate_factor(spent)
            torch.manual_seed(self._seed(place.step))
            some = itertools.islice(loaded, len(parts_of_batch))
            optimization_step(model, self.optimizer, list(some), self.schedule, self.processes)
            place.step, place.batch = place.step + 1, place.batch + 1
            place.seconds = time.monotonic() - self.started_s
            self.report("training steps", place.step, total)
            if self.checkpoints.is_due():
                self._save()

    def _finish_epoch(self) -> None:
        """Compare the network with the best so far; end after the last epoch or without gain for long."""
        place = self.position
        place.epoch, place.batch = place.epoch + 1, 0
        if len(self.validation.labels):
            logits = compute_logits(self.network, self.validation, self.processes, self.micro_batch)
            if not np.isfinite(logits).all():
                rate = self.schedule.learning_rate
                raise InvalidSettings(f"learning_rate: with {rate:g} the network diverged; use a smaller one")
            place.scores.append(weighted_f1(logits, self.validation.labels))
            get_logger().info("epoch_finished", epoch=place.epoch, steps=place.step, validation_f1=place.scores[-1])
            if place.scores[-1] > place.best_f1:
                place.best_f1, place.best_epoch = place.scores[-1], place.epoch
                self.best = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
            place.ended = place.ended or place.epoch - place.best_epoch >= self.schedule.patience
        place.ended = place.ended or place.epoch >= self.schedule.epochs
        place.seconds = time.monotonic() - self.started_s

    def _spent(self, total: int) -> float:
        """Return the share of the training that is done, in steps or in seconds, whichever is more.

        Recomputed at each step: on a busy machine the first steps do not predict the speed of the others.
        """
        share = max(self.position.step / total, (time.monotonic() - self.started_s) / self.schedule.budget_s)
        return self.processes.of_first(share)

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        place = self.processes
        return epoch_batches(self.examples.lengths, self.batch_size, place.rank, place.count, self.schedule.seed, epoch)

    def _seed(self, step: int) -> int:
        numbers = self.schedule.seed, step, self.processes.rank
        return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)

    def _save(self) -> None:
        if not self.processes.is_first:
            return
        self.checkpoints.save(
            {
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "best": self.best,
                "position": asdict(self.position),
            }
        )

    def _restore(self) -> None:
        if (found := self.checkpoints.load()) is None:
            return
        self.network.load_state_dict(found["network"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.best, self.position = found["best"], Position(**found["position"])
        get_logger().info("checkpoint_restored", steps=self.position.step, epoch=self.position.epoch)
