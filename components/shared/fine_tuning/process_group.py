"""The processes of one training: the one that runs the step, or those that torchrun started."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

_TIMEOUT = timedelta(hours=1)
"""Longest wait for the other processes: the first one exports the model and writes checkpoints."""


@dataclass(frozen=True, slots=True)
class Processes:
    """One process among those of a training; all train the same network."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and reports progress."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network with its gradients averaged over the processes."""
        return DistributedDataParallel(network) if self.count > 1 else network

    def sum(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the sum of an array over all processes."""
        if self.count == 1:
            return values
        tensor = torch.from_numpy(values).to(self.device)
        dist.all_reduce(tensor)
        summed: NDArray[np.float32] = tensor.cpu().numpy()
        return summed

    def of_first(self, value: float) -> float:
        """Return the value of the first process.

        Clocks differ, and all processes must stop after the same step.
        """
        if self.count == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(tensor, src=0)
        return float(tensor.item())


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the process group that torchrun describes in the environment; without it there is one process.

    Each process uses the GPU with its local rank, with NCCL, or the CPU, with Gloo.
    """
    if not dist.is_torchelastic_launched():
        yield Processes(0, 1, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        return
    local_rank = int(dist.get_node_local_rank())
    on_gpu = torch.cuda.device_count() > local_rank
    device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_TIMEOUT)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device)
    finally:
        dist.destroy_process_group()
