"""Further CSSN cases of the known kinds run as they are: other widths, depths, organs, shapes, rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import parity.cssn  # noqa: F401 (registers its checks)
from parity.case import Case, run_check
from parity.fill import filled_state
from SegToolkitLib.methods.cssn.layers import normalised, resample
from SegToolkitLib.methods.cssn.loss import segmentation_loss
from SegToolkitLib.methods.cssn.network import build_network
from SegToolkitLib.methods.cssn.plan import Intensity, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.pseudo import cross_losses
from SegToolkitLib.methods.cssn.settings import CrossSettings, LossSettings

Spec = dict[str, Any]
RNG = np.random.default_rng(5)
RTOL = {"rtol": 1e-4, "atol": 1e-5}


def noise(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def binary(*shape: int) -> np.ndarray:
    return (RNG.random(shape) < 0.3).astype(np.float32)


def further_forward(kind: str, name: str, size: tuple[int, int, int]) -> Spec:
    """Four stages, three organs, another window and thinning; the final output alone."""
    network = NetworkPlan(kind=kind, channels=(2, 2, 3, 4), blocks=(1, 2, 1))
    plan = StagePlan(network=network, size=size, intensity=Intensity(window=(-100, 200)))
    built = build_network(plan, 3).eval()
    shapes = {key: list(value.shape) for key, value in built.state_dict().items()}
    built.load_state_dict(filled_state(shapes))
    raw = torch.from_numpy(200 * noise(1, 1, 20, 24, 22))
    with torch.inference_mode():
        logits = built(normalised(resample(raw, size), plan.intensity))
        if kind == "efficient":
            logits = resample(logits, raw.shape[2:])
    settings = {
        "network": name,
        "channels": [2, 2, 3, 4],
        "classes": 3,
        "blocks": [1, 2, 1, 9],
        "input_size": list(size),
        "window": [-100, 200],
        "postprocess": kind == "efficient",
    }
    arrays = {"raw": raw.numpy(), "logits_s3_c2": logits[:, ::2, ::3, ::3, ::3].numpy()}
    return {"settings": settings, "state_dict": shapes, "tolerance": {"logits": "max abs diff <= 1e-4"}} | {
        "arrays": arrays
    }


def further_losses() -> Spec:
    """One loss of the three, without gradient."""
    logits, target = noise(3, 2, 4, 5, 6), binary(3, 2, 4, 5, 6)
    settings = LossSettings(kind="dice_focal", focal_mode="released")
    loss = segmentation_loss(torch.from_numpy(logits), torch.from_numpy(target), settings, average=False)
    arrays = {"logits": logits, "target": target, "diceAndFocal_sum": loss.numpy().reshape(1)}
    return {"settings": {}, "state_dict": {}, "tolerance": RTOL, "arrays": arrays}


def further_semi_supervision() -> Spec:
    """One rule, another threshold, loss and number of organs; no filter of images."""
    arrays = {name: 2 * noise(1, 2, 4, 5, 6) for name in ("logits_a", "logits_b", "logits_a_u", "logits_b_u")}
    arrays["target"] = binary(1, 2, 4, 5, 6)
    a, b = (
        torch.cat([torch.from_numpy(arrays[f"logits_{name}{end}"]) for end in ("", "_u")]) for name in "ab"
    )
    cross = CrossSettings(threshold=0.8)
    result = cross_losses(a, b, torch.from_numpy(arrays["target"]), LossSettings(kind="dice"), cross)
    arrays["corrected_loss_b"] = result.b.numpy().reshape(1)
    settings = {"loss": "dice", "pseudo_threshold": 0.8}
    return {"settings": settings, "state_dict": {}, "tolerance": RTOL, "arrays": arrays}


def further_filter() -> Spec:
    """Two states, two organs; the last image lacks one of them."""
    maps = RNG.integers(0, 3, (3, 2, 6, 6, 6)).astype(np.float32)
    maps[2, 1][maps[2, 1] == 2] = 0
    arrays = {"uif_maps": maps, "uif_complete": np.array([1, 1, 0])}
    settings = {"loss": "dice", "uif": {"organs": 2}}
    return {"settings": settings, "state_dict": {}, "tolerance": {"all": "exact"}, "arrays": arrays}


def further_training() -> Spec:
    """Two steps of four stages; the losses of one rule alone, each to a tolerance of its own."""
    network = NetworkPlan(kind="unet", channels=(2, 2, 3, 4), dropout=0)
    plan = StagePlan(network=network, size=(16, 16, 16))
    networks = [build_network(plan, 2).train() for _ in range(2)]
    shapes = {key: list(value.shape) for key, value in networks[0].state_dict().items()}
    for one, prefix in zip(networks, ("model.", "model_1."), strict=True):
        filled = filled_state({prefix + key: shape for key, shape in shapes.items()})
        one.load_state_dict({key.removeprefix(prefix): value for key, value in filled.items()})
    arrays = {
        "image": noise(1, 1, 16, 16, 16),
        "image_u": noise(1, 1, 16, 16, 16),
        "target": binary(1, 2, 16, 16, 16),
    }
    x, u, target = (torch.from_numpy(arrays[name]) for name in ("image", "image_u", "target"))
    parameters = [value for one in networks for value in one.parameters()]
    optimiser = torch.optim.Adam(parameters, 0.01, (0.9, 0.99), weight_decay=1e-4)
    lost = []
    for _ in range(2):
        # Apart, as the authors do it.
        a, b = (torch.cat([one(x), one(u)]) for one in networks)
        result = cross_losses(a, b, target, LossSettings(kind="dice_bce"), CrossSettings())
        optimiser.zero_grad()
        result.a.backward()
        result.b.backward()
        optimiser.step()
        lost.append([result.a.item(), result.b.item()])
    arrays["corrected_losses"] = np.array(lost, np.float32)
    settings = {
        "network": "UNet",
        "channels": [2, 2, 3, 4],
        "classes": 2,
        "input_size": [16, 16, 16],
        "loss": "diceAndBce",
        "lr": 0.01,
        "betas": [0.9, 0.99],
        "l2_penalty": 1e-4,
        "steps": 2,
        "dropout": "off",
    }
    return {"settings": settings, "state_dict": shapes, "tolerance": {"losses_rtol": 1e-3}, "arrays": arrays}


# Kind of the case, what makes it, the array that is expected.
FURTHER: dict[str, tuple[str, Callable[[], Spec], str]] = {
    "coarse": (
        "unet_coarse_forward",
        lambda: further_forward("unet", "UNet", (16, 32, 16)),
        "logits_s3_c2",
    ),
    "fine": (
        "efficientseg_fine_forward",
        lambda: further_forward("efficient", "EfficientSegNet", (32, 64, 32)),
        "logits_s3_c2",
    ),
    "losses": ("losses", further_losses, "diceAndFocal_sum"),
    "semi-supervision": ("semi_supervision", further_semi_supervision, "corrected_loss_b"),
    "filter": ("semi_supervision", further_filter, "uif_complete"),
    "training": ("train_three_steps", further_training, "corrected_losses"),
}


def written(folder: Path, kind: str, spec: Spec) -> Case:
    path = folder / "further.json"
    arrays = spec["arrays"]
    known = {name: value for name, value in spec.items() if name != "arrays"}
    path.write_text(json.dumps({"method": "cssn", "kind": kind, **known}), encoding="utf-8")
    np.savez(path.with_suffix(".npz"), **arrays)
    return Case.load(path)


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_case_runs_and_a_wrong_number_or_none_fails(tmp_path: Path, name: str) -> None:
    kind, make, expected = FURTHER[name]
    spec = make()
    run_check(written(tmp_path, kind, spec))
    arrays = spec["arrays"]
    wrong = {**arrays, expected: arrays[expected] * 1.01 + 0.01}
    with pytest.raises(AssertionError, match=expected):
        run_check(written(tmp_path, kind, {**spec, "arrays": wrong}))
    del arrays[expected]
    with pytest.raises(AssertionError, match="no expected array was compared"):
        run_check(written(tmp_path, kind, spec))


def test_a_key_that_the_network_lacks_fails(tmp_path: Path) -> None:
    kind, make, _ = FURTHER["coarse"]
    spec = make()
    spec["state_dict"]["aux.weight"] = [1, 1, 1, 1, 1]
    with pytest.raises(AssertionError, match="authors' keys and shapes"):
        run_check(written(tmp_path, kind, spec))
