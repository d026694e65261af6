"""Names of nnU-Net v1's plain U-Net, and what v2 calls the same tensors; importing this imports no torch.

Source: nnU-Net v1 (the authors' copy) and dynamic-network-architectures 0.4.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LAYERS = {"conv": ("conv", "all_modules.0"), "instnorm": ("norm", "all_modules.1")}


def stages_of(keys: Iterable[str]) -> int:
    """Number of stages of a v1 network: one more than it has upsampling convolutions."""
    return 1 + len({match[1] for key in keys if (match := re.match(r"tu\.(\d+)\.", key))})


def v2_names(key: str, stages: int) -> tuple[str, ...]:
    """All names that a tensor of a v1 network has in v2's state dict.

    v2 lists a tensor of the encoder or of a convolution's unit several times. Heads and projections of this
    method, which v2 does not have, keep their names.

    Args:
        key: in the v1 state dict.
        stages: of the network, see :func:`stages_of`.
    """
    last = stages - 1
    if match := re.fullmatch(r"conv_blocks_context\.(\d+)\.(.+)", key):
        stage, rest = int(match[1]), match[2]
        inner = r"(?P<unit>\d+)\.blocks\.0" if stage == last else r"blocks\.(?P<unit>\d+)"
        names = _unit(rest, inner, f"encoder.stages.{stage}.0")
        return (*names, *(f"decoder.{name}" for name in names))
    if match := re.fullmatch(r"conv_blocks_localization\.(\d+)\.(.+)", key):
        return _unit(match[2], r"(?P<unit>\d+)\.blocks\.0", f"decoder.stages.{match[1]}")
    if match := re.fullmatch(r"tu\.(\d+)\.(.+)", key):
        return (f"decoder.transpconvs.{match[1]}.{match[2]}",)
    if match := re.fullmatch(r"seg_outputs\.(\d+)\.(.+)", key):
        return (f"decoder.seg_layers.{match[1]}.{match[2]}",)
    return (key,)


def zero_biases(keys: Iterable[str]) -> dict[str, str]:
    """Biases that v2 has and v1 lacks, to be filled with zeros.

    Returns:
        Name in v2 -> v1 key of the weight whose bias it is; the bias has as many numbers as that convolution
        has outputs (axis 1 of an upsampling convolution's weight, axis 0 of a segmentation head's).
    """
    found = {}
    for key in keys:
        if match := re.fullmatch(r"(tu|seg_outputs)\.(\d+)\.weight", key):
            part = {"tu": "transpconvs", "seg_outputs": "seg_layers"}[match[1]]
            found[f"decoder.{part}.{match[2]}.bias"] = key
    return found


def _unit(rest: str, inner: str, above: str) -> tuple[str, ...]:
    match = re.fullmatch(rf"{inner}\.(?P<layer>conv|instnorm)\.(?P<leaf>\w+)", rest)
    if match is None:
        return (f"{above}.{rest}",)
    unit, layer, leaf = match["unit"], match["layer"], match["leaf"]
    return tuple(f"{above}.convs.{unit}.{name}.{leaf}" for name in LAYERS[layer])
