"""Long work in short pieces, so that the window stays alive."""

from __future__ import annotations

import time
from collections.abc import Iterator

# Read or written at once; takes a few milliseconds, so that a piece of 15 ms ends in time.
CHUNK_BYTES = 2 << 20


class Steps:
    """Work given as a generator; each of its yields is a place where it may pause.

    Subclasses implement ``_work``. After an exception the work is over; ``step`` raises it once.
    """

    def __init__(self) -> None:
        self.fraction = 0.0
        self._task: Iterator[None] | None = None
        self._over = False

    def _work(self) -> Iterator[None]:
        raise NotImplementedError

    def step(self, milliseconds: float = 15) -> bool:
        """Go on for about so long; True when all is done."""
        if self._over:
            return True
        if self._task is None:
            self._task = self._work()
        end = time.perf_counter() + milliseconds / 1000
        try:
            while True:
                next(self._task)
                if time.perf_counter() >= end:
                    return False
        except StopIteration:
            self._over = True
            self.fraction = 1.0
            return True
        except BaseException:
            self._over = True
            raise

    def finish(self) -> None:
        """Do all the rest at once."""
        while not self.step(1000):
            pass

    def close(self) -> None:
        """Give up; what was begun is taken back."""
        self._over = True
        if self._task is not None:
            self._task.close()
