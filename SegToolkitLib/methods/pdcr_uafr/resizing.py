"""From the network's logits to classes at the size of the image.

Source: released code of PDCR and UAFR.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def classes_at(logits: Tensor, size: Sequence[int], resize: Literal["first", "after"] = "first") -> Tensor:
    """The best class of every pixel.

    Args:
        logits: [B, classes, Y, X] at the network's size.
        size: rows and columns wanted.
        resize: "first": logits are interpolated (bilinear, corners not aligned), then the best is taken;
            "after": the best is taken, then each pixel repeated (nearest).

    Returns:
        int64 [B, *size].
    """
    if resize == "first":
        return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False).argmax(1)
    found = logits.argmax(1, keepdim=True).float()
    return F.interpolate(found, size=tuple(size), mode="nearest")[:, 0].long()
