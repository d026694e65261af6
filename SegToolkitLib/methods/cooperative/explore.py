"""What becomes of a slice when its codes get holes: a sheet of decoded images, label maps and entropies.

Source: released notebook of cooperative training (three kinds of masks, fixed parts from 0 to 0.5, soft).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from SegToolkitLib.evaluation.sheet import codes_in, legend, tile, write_sheet
from SegToolkitLib.methods.cooperative.examples import code_gradient
from SegToolkitLib.methods.cooperative.mask_settings import MaskSettings
from SegToolkitLib.methods.cooperative.masking import KINDS, masked
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.plan import InferencePlan
from SegToolkitLib.methods.cooperative.predict import logit_difference, residual, uncertainty
from SegToolkitLib.methods.cooperative.stn import Prediction, predict

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
SQUARE = (1.0, 1.0)
Grey = NDArray[np.uint8]


@torch.no_grad()
def explore(
    networks: Networks,
    pixels: NDArray[np.float32],
    truth: NDArray[np.uint8] | None,
    plan: InferencePlan,
    names: Mapping[int, str],
    path: Path,
    title: str,
    *,
    seed: int = 0,
    soft: bool = True,
    shares: Sequence[float] = SHARES,
) -> None:
    """Write the sheet as a PNG.

    Its first row shows what the networks make of the slice itself. Then, for each kind of mask, one row has
    the image decoded from the image code with holes, one the segmentation decoded from the shape code with
    holes, and one its entropy; more is masked from left to right.

    Args:
        networks: in evaluation mode; computes where they are.
        pixels: of one slice, [rows, columns].
        truth: classes of the slice, which choose what is masked; None takes the model's own result.
        plan: of the model.
        names: class -> name.
        path: of the PNG.
        title: a line above.
        seed: of the masks; each column has the same numbers.
        soft: weaken what is masked, in place of taking it away.
        shares: part of channels or places that is masked, by column.
    """
    device = next(networks.parameters()).device
    image = torch.from_numpy(np.ascontiguousarray(pixels))[None, None].to(device)
    found = predict(networks, image, plan)
    chosen = found.labels(plan.average) if truth is None else torch.from_numpy(truth)[None].long().to(device)
    grey = _grey(image)
    outline = None if truth is None else truth
    tiles = _plain(networks, image, found, plan, outline)
    filled = [_classes(found.first), _classes(found.last)]
    codes = networks.encode(image)
    for kind in KINDS:
        images, labels, entropies = [], [], []
        for share in shares:
            settings = MaskSettings(kind=kind, max_threshold=share, random_threshold=False, soft=soft)
            decoded = []
            for of_image, code in ((True, codes.image), (False, codes.shape)):
                gradient = None
                if kind != "dropout":
                    gradient = code_gradient(networks, code, image, chosen, settings, of_image=of_image)
                generator = torch.Generator().manual_seed(seed)
                holes = masked(code, kind, settings, generator, gradient).code
                decoded.append(networks.reconstruct(holes) if of_image else networks.segment(holes))
            text = f"{kind} {share:g}"
            classes = _classes(decoded[1])
            filled.append(classes)
            images.append(tile(_grey(decoded[0]), None, outline, SQUARE, f"image, {text}"))
            labels.append(tile(grey, classes, outline, SQUARE, f"segmentation, {text}"))
            entropy = _scaled(uncertainty(decoded[1], plan.temperature)[0])
            entropies.append(tile(entropy, None, outline, SQUARE, f"entropy, {text}"))
        tiles += [*images, *labels, *entropies]
    width = len(shares)
    blank = Image.new("RGB", tiles[0].size)
    # The first row may be shorter or longer than the others.
    first = len(tiles) - 3 * len(KINDS) * width
    tiles[first:first] = [blank] * (-first % width)
    bits = math.log2(networks.classes)
    write_sheet(
        path,
        tiles,
        width,
        legend(codes_in(truth, *filled), names),
        "fill: found" + ("" if truth is None else ", line: truth"),
        title,
        f"Entropy of the probabilities at temperature {plan.temperature:g}: black 0, white {bits:.3g} bits."
        " Differences: black 0, white the largest.",
    )


def _plain(
    networks: Networks, image: Tensor, found: Prediction, plan: InferencePlan, truth: NDArray[np.uint8] | None
) -> list[Image.Image]:
    """The slice itself: what is found without and with shape correction, and where to look."""
    grey, redrawn = _grey(image), networks.reconstruct(found.code)
    apart = logit_difference(found.first, found.last).float().mean(1)[0]
    last = found.labels(plan.average)[0].byte().cpu().numpy()
    return [
        tile(grey, None, truth, SQUARE, "image"),
        tile(grey, _classes(found.first), truth, SQUARE, "first guess (FTN)"),
        tile(grey, last, truth, SQUARE, f"after {found.passes} passes (FTN + STN)"),
        tile(_scaled(_stretched(apart)), None, truth, SQUARE, "|STN - FTN|, logits"),
        tile(_grey(redrawn), None, None, SQUARE, "reconstruction"),
        tile(
            _scaled(_stretched(residual(image, redrawn)[0])), None, truth, SQUARE, "|image - reconstruction|"
        ),
    ]


def _stretched(values: Tensor) -> Tensor:
    return values / values.max().clamp(min=1e-6)


def _classes(logits: Tensor) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = logits.argmax(1)[0].byte().cpu().numpy()
    return found


def _grey(images: Tensor) -> Grey:
    return _scaled(images[0, 0])


def _scaled(values: Tensor) -> Grey:
    """[Y, X] within 0 and 1 -> 0 to 255."""
    grey: Grey = (values.float().clamp(0, 1) * 255).round().byte().cpu().numpy()
    return grey
