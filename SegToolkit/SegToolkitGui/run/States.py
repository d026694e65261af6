"""In which state a run is; the panel takes what is enabled and shown from it."""

from enum import Enum


class State(Enum):
    """States of a run, in their usual order."""

    IDLE = "idle"
    PREPARING = "preparing"  # volumes and outlines are being written for the worker
    RUNNING = "running"  # the worker computes
    IMPORTING = "importing"  # results are being put into the scene
    CANCELLING = "cancelling"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def busy(self):
        """Whether a run is under way."""
        return self in (State.PREPARING, State.RUNNING, State.IMPORTING, State.CANCELLING)
