"""The session of few-shot: the worker keeps the model, the support and the last volumes for the next run."""

from __future__ import annotations

from typing import ClassVar

from SegToolkitGui.ModelSession import ModelSession


class FewShotSession(ModelSession):
    """One worker for all that few-shot does, and what it told about models and devices."""

    modelsBody: ClassVar[dict] = {"method": "alpnet"}
