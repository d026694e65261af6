"""The module of the extension PyTorch, with the real signatures; it never installs or imports torch.

`_torch` is what an installed torch would be (None: not installed), `_outcomes` the queue of what the next
calls of installTorch give: a module, None (the person declined or it failed) or an exception that it raises.
"""

from __future__ import annotations

from typing import Any

_torch: Any = None
_outcomes: list[Any] = []
_calls: list[dict[str, Any]] = []


class PyTorchUtilsLogic:
    """What other extensions call."""

    def installTorch(
        self,
        askConfirmation: bool = False,
        forceComputationBackend: str | None = None,
        torchVersionRequirement: str | None = None,
        torchvisionVersionRequirement: str | None = None,
    ) -> Any:
        """The torch module, None if it was not installed."""
        global _torch
        _calls.append(
            {
                "askConfirmation": askConfirmation,
                "forceComputationBackend": forceComputationBackend,
                "torchVersionRequirement": torchVersionRequirement,
                "torchvisionVersionRequirement": torchvisionVersionRequirement,
            }
        )
        outcome = _outcomes.pop(0) if _outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        _torch = outcome if outcome is not None else _torch
        return outcome

    def torchInstalled(self) -> bool:
        """Whether torch is there; a half-installed one raises TypeError, as in the extension."""
        if isinstance(_torch, Exception):
            raise _torch
        return _torch is not None

    @property
    def torch(self) -> Any:
        """The torch module, installed first if it is missing."""
        return _torch if _torch is not None else self.installTorch()
