"""Mixed precision: which type a device computes in, and whether gradients need scaling."""

from __future__ import annotations

import contextlib

import torch


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager:
    """Mixed precision for a device; "auto" means float16 or bfloat16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        if device.type != "cuda":
            return contextlib.nullcontext()
        precision = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def scales(device: torch.device, precision: str) -> bool:
    """Only float16 has a range so small that gradients need scaling."""
    if precision == "auto":
        return device.type == "cuda" and not torch.cuda.is_bf16_supported()
    return precision == "float16"
