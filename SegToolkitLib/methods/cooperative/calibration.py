"""What usual slices look like to freshly trained networks, so that others can be told from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cooperative.data import as_inference_sees
from SegToolkitLib.methods.cooperative.network import Networks
from SegToolkitLib.methods.cooperative.predict import predict
from SegToolkitLib.methods.cooperative.scans import Scan
from SegToolkitLib.methods.cooperative.settings import CooperativeSettings
from SegToolkitLib.methods.cooperative.typicality import Signatures, Typicality, calibrate
from SegToolkitLib.training.validation import evaluating

# Slices of the training, and of the held-out scans; of more, every second, third, ... is taken.
MOST_SLICES = 600


def calibrated(
    networks: Networks,
    train: Sequence[Scan],
    held_out: Sequence[Scan],
    settings: CooperativeSettings,
    device: torch.device,
    reporter: Reporter,
) -> Typicality:
    """Learn from training slices, and take the threshold from held-out ones where there are any.

    Args:
        networks: with the weights that are kept, on ``device``.
        train, held_out: scans of the run.
        settings: of the run.
        device: where to work.
        reporter: hears of progress.
    """
    with evaluating(networks):
        training = _signatures(networks, train, settings, device, reporter, "looking at training cases")
        others = _signatures(networks, held_out, settings, device, reporter, "looking at held-out cases")
    return calibrate(training, others)


def _signatures(
    networks: Networks,
    scans: Sequence[Scan],
    settings: CooperativeSettings,
    device: torch.device,
    reporter: Reporter,
    phase: str,
) -> Signatures:
    every = -(-sum(len(scan.arrays["label"]) for scan in scans) // MOST_SLICES)
    width = settings.network.channels[-1]
    found: list[Signatures] = [np.empty((0, 2 + width), np.float32)]
    before = 0
    for done, scan in enumerate(scans, start=1):
        # Counted over all scans, or else the first slices of each would be taken more often than the last.
        first, before = -before % every, before + len(scan.arrays["label"])
        image, label = (scan.arrays[name][first::every] for name in ("image", "label"))
        reporter.progress(phase, done, len(scans))
        if not len(image):
            continue
        pixels, _ = as_inference_sees(image, label, settings.input)
        outputs = predict(
            networks,
            pixels,
            settings.inference,
            signatures=True,
            device=device,
            precision=settings.precision,
        )
        found.append(outputs.signatures)
    return np.concatenate(found)
