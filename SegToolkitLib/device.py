"""Where to compute."""

from __future__ import annotations

import torch

from SegToolkitLib.errors import SegToolkitError


def choose_device(name: str = "auto") -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" or "mps" into a device that exists.

    ROCm builds of torch call their GPUs "cuda" too.

    Raises:
        SegToolkitError: the device is unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SegToolkitError(
            "unknown-device",
            f"There is no kind of device called {name!r}.",
            "Choose auto, cpu, cuda or cuda:N.",
        ) from error
    missing = (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()) or (
        device.type == "mps" and not torch.backends.mps.is_available()
    )
    if missing:
        raise SegToolkitError(
            "device-missing",
            f"The device {name!r} is not available: torch {torch.__version__} sees"
            f" {torch.cuda.device_count()} GPU(s).",
            "Choose --device cpu, or install a torch build that fits the GPU and its driver.",
        )
    return device
