"""Samples drawn by their numbers, ahead of the training where there are processes for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from torch.utils.data import DataLoader, Dataset

Sample = TypeVar("Sample")


class _Samples(Dataset[Any]):
    def __init__(self, draw: Callable[[int], Any]) -> None:
        self.draw = draw

    def __getitem__(self, number: int) -> Any:
        return self.draw(number)


def drawn(draw: Callable[[int], Sample], numbers: Sequence[int], workers: int) -> Iterator[Sample]:
    """The samples of these numbers, in this order.

    Args:
        draw: number -> sample; with ``workers`` it must survive pickling.
        numbers: which.
        workers: processes that draw ahead; 0 draws here.
    """
    loader = DataLoader(
        _Samples(draw),
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        collate_fn=_as_it_is,
    )
    yield from loader


def _as_it_is(sample: Any) -> Any:
    return sample
