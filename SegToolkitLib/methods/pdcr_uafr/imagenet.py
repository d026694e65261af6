"""Weights of an Xception trained on ImageNet, for the backbone to begin with.

The file (xception-b5690688.pth) holds the original Xception, whose strides lie in pooling layers and whose
middle flow has half as many blocks. The released code silently leaves out tensors whose names the backbone
does not have. The file's inputs lie within -1 and 1; fine-tuning makes up for that.
Source: released code of PDCR and UAFR; Cadene, pretrained-models.pytorch (weights).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.pdcr_uafr.xception import Xception
from SegToolkitLib.models.foreign import read_checkpoint

Rule = Literal["mended", "released"]
# The file's last middle block stands for all those that it lacks; after it comes its last block.
LAST_MIDDLE, LAST = 11, 12
# The file's second block begins with a ReLU, ours does not.
SHIFTED = re.compile(r"block2\.rep\.(\d+)\.(.+)")
FURTHER = {"bn3": ("bn3", "bn4"), "conv4": ("conv5",), "bn4": ("bn5",)}


@dataclass(frozen=True)
class Loaded:
    """How far a file went.

    Attributes:
        loaded: names of the backbone's tensors that were set.
        fresh: names of those that keep their fresh weights, but for heads and the counters of norms.
        unused: names in the file that nothing took.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    unused: tuple[str, ...]

    def text(self) -> str:
        """What a person reads."""
        return (
            f"{len(self.loaded)} tensors of the backbone come from the file and {len(self.fresh)} keep fresh"
            f" weights; {len(self.unused)} of the file have no place"
        )


def load_imagenet(backbone: Xception, file: str | os.PathLike[str], rule: Rule = "mended") -> Loaded:
    """Set the backbone's weights from a local file.

    Args:
        backbone: with the published widths; is changed.
        file: the weights.
        rule: "mended" also takes what the released code misses: block 2's main path, the last block's skip.

    Raises:
        SegToolkitError: "other-network": nothing in the file fits, nothing is changed; or what
            :func:`read_checkpoint` raises.
    """
    given = read_checkpoint(file)
    own = backbone.state_dict()
    loaded: list[str] = []
    unused: list[str] = []
    for name, value in given.items():
        if "pointwise" in name and value.ndim == 2:
            value = value[..., None, None]
        places = [key for key in _places(name, backbone.blocks, rule, own) if key in own]
        fitting = [key for key in places if own[key].shape == value.shape]
        for key in fitting:
            with torch.no_grad():
                own[key].copy_(value)
        loaded += fitting
        unused += [] if fitting else [name]
    if not loaded:
        raise SegToolkitError(
            "other-network",
            f"None of the {len(given)} tensors of {file} fits the backbone.",
            "Choose the file xception-b5690688.pth, and the published widths.",
        )
    apart = ("uncertainty", "multilayerloss", "num_batches_tracked")
    fresh = [key for key in own if key not in set(loaded) and not any(part in key for part in apart)]
    return Loaded(tuple(loaded), tuple(fresh), tuple(unused))


def _places(name: str, last: int, rule: Rule, own: Collection[str]) -> Iterator[str]:
    """Where a tensor of the file goes; ``last`` is the number of the backbone's last block."""
    part, _, rest = name.partition(".")
    if rule == "released" and name not in own:
        return
    if rule == "mended" and (match := SHIFTED.fullmatch(name)):
        yield f"block2.rep.{int(match[1]) - 1}.{match[2]}"
    elif part == f"block{LAST}":
        yield f"block{last}.{rest}"
    elif part == f"block{LAST_MIDDLE}":
        yield from (f"block{number}.{rest}" for number in range(LAST_MIDDLE, last))
    else:
        yield from (f"{place}.{rest}" for place in FURTHER.get(part, (part,)))
