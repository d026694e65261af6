"""Several processes that train together, as torchrun starts them; one process is a group of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast

from SegToolkitLib.errors import SegToolkitError

if TYPE_CHECKING:
    import torch
    from torch.distributed import Store

T = TypeVar("T")

# Others wait for as long as one process prepares data or validates; a dead one is noticed by torchrun.
PATIENCE = timedelta(hours=6)


@dataclass(frozen=True)
class Group:
    """Which of the processes this is.

    Attributes:
        rank: number of this process; 0 is the leader, the only one that writes.
        world: how many there are.
        local_rank: number of this process on its machine, which is the number of its GPU.
        restarts: how often torchrun has started the group again.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    restarts: int = 0

    @classmethod
    def from_environment(cls) -> Group:
        """The group that torchrun's variables describe; a lone process where they are missing."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
        if any(name not in os.environ for name in names):
            return cls()
        rank, world, local = (int(os.environ[name]) for name in names[:3])
        return cls(rank, world, local, int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")))

    @property
    def leader(self) -> bool:
        """Whether this process writes the run folder."""
        return self.rank == 0

    def device(self, wanted: torch.device) -> torch.device:
        """The device of this process: a GPU each, whatever number was wanted (ROCm's are "cuda" too).

        Raises:
            SegToolkitError: "too-few-gpus": the machine has fewer GPUs than processes.
        """
        import torch

        if self.world == 1 or wanted.type != "cuda":
            return wanted
        if self.local_rank >= torch.cuda.device_count():
            raise SegToolkitError(
                "too-few-gpus",
                f"Process {self.local_rank} of this machine has no GPU: there are"
                f" {torch.cuda.device_count()}.",
                "Start no more processes than GPUs (torchrun --nproc-per-node), or give --device cpu.",
            )
        return torch.device("cuda", self.local_rank)

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Meet the other processes, and part from them at the end."""
        if self.world == 1:
            yield
            return
        import torch
        from torch import distributed

        if device.type == "cuda":
            torch.cuda.set_device(device)
        # What is said between processes goes through gloo, gradients on GPUs through nccl.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(
            backend, store=self._store(), rank=self.rank, world_size=self.world, timeout=PATIENCE
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def _store(self) -> Store:
        """Where the processes find each other.

        torchrun keeps one store over all restarts (torch 2.6 to 2.13 at least), where the addresses of
        the processes that died would be found: each start has names of its own there.
        """
        from torch.distributed import PrefixStore
        from torch.distributed.rendezvous import rendezvous

        store, _, _ = next(rendezvous("env://", self.rank, self.world, timeout=PATIENCE))
        return PrefixStore(f"start_{self.restarts}", store)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by rank, on every process."""
        if self.world == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values

    def share(self, value: T) -> T:
        """The leader's value, on every process."""
        if self.world == 1:
            return value
        import torch
        from torch import distributed

        values = [value if self.leader else None]
        distributed.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return cast(T, values[0])

    def first(self, action: Callable[[], T]) -> T:
        """Let the leader act while the others wait; they get its result, or its error."""
        if self.world == 1:
            return action()
        result: Any = None
        failure: Exception | None = None
        if self.leader:
            try:
                result = action()
            except Exception as error:
                failure = error
        told = failure if failure is None or isinstance(failure, SegToolkitError) else _unexpected(failure)
        result, told = self.share((result, told))
        if failure is not None:
            raise failure
        if told is not None:
            raise told
        return cast(T, result)


ALONE = Group()


def _unexpected(error: Exception) -> SegToolkitError:
    return SegToolkitError("leader-failed", f"The first process failed ({type(error).__name__}: {error}).")
