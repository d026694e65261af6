"""Further CMER cases of the known kinds run as they are: other widths, modalities, shapes, transforms."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import parity.cmer  # registers its checks
from parity.case import Case, run_check
from SegToolkitLib.methods.cmer.network import CamNetwork, build_networks
from SegToolkitLib.methods.cmer.plan import NetworkPlan
from SegToolkitLib.methods.cmer.transforms import ReleasedRotation

Spec = dict[str, Any]
CASES = Path(__file__).parents[1] / "Data" / "parity" / "cmer"
BOUNDS = {"rtol": 1e-3, "atol": 1e-6}


def noise(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def keys_of(plan: NetworkPlan) -> dict[str, list[int]]:
    network = build_networks(plan, 2, torch.Generator())[0]
    return {key: list(value.shape) for key, value in network.state_dict().items()}


def filled(plan: NetworkPlan, prefix: str) -> CamNetwork:
    state = parity.cmer.filled_state({prefix + key: shape for key, shape in keys_of(plan).items()})
    network = CamNetwork(plan)
    network.load_state_dict({key.removeprefix(prefix): value for key, value in state.items()})
    return network


def standardised(x: Tensor) -> Tensor:
    return (x - x.mean((2, 3), keepdim=True)) / (x.std((2, 3), keepdim=True) + 1e-12)


def normalised(a: Tensor) -> Tensor:
    a = a.relu()
    low, high = a.amin((2, 3), keepdim=True), a.amax((2, 3), keepdim=True)
    return (a - low - 1e-8).relu() / (high - low + 1e-8)


def further_forward() -> Spec:
    """Width 2, three classes, two channels, axes of different deficits; no features."""
    plan = NetworkPlan(width_factor=32, image_channels=2, classes=3)
    x = noise(2, 2, 28, 21)
    with torch.no_grad():
        found = filled(plan, "p.").eval()(torch.from_numpy(x))
    assert found.cam.shape == (2, 3, 24, 16)
    settings = {"input_channels": 2, "num_classes": 3, "downsize_nb_filters_factor": 32}
    arrays = {
        "x_wide": x,
        "cam_wide": found.cam.numpy(),
        "logits_wide": found.logits[..., None, None].numpy(),
    }
    return {"settings": settings | {"fill_name_prefix": "p."}, "state_dict": keys_of(plan), "arrays": arrays}


def further_normalisation() -> Spec:
    raw = noise(2, 1, 5, 9) - 0.3
    return {
        "settings": {},
        "arrays": {"raw": raw, "expected_norm": normalised(torch.from_numpy(raw)).numpy()},
    }


def further_transforms() -> Spec:
    """One modality that is not square: a rotation, a shift and a scale of both axes."""
    cam, image = noise(2, 2, 12, 20), noise(2, 1, 12, 20)
    angles = np.array([180.0, 270.0], np.float32)
    turned = ReleasedRotation((180.0, 270.0))(torch.from_numpy(cam)).numpy()
    moved = np.zeros_like(image)
    moved[0, :, 2:, 3:], moved[1] = image[0, :, :-2, :-3], image[1]
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(image), (16, 24), mode="bilinear", align_corners=True
    )
    arrays = {
        "image": image,
        "cam_2": cam,
        "rotate_angles": angles,
        "rotate_cam_2": turned,
        "translate_px": np.array([[3, 2], [0, 0]], np.float32),
        "translate_image": moved,
        "resize16x24_image": resized.numpy(),
        "vflip_cam_2": cam[:, :, ::-1].copy(),
    }
    return {"settings": {}, "arrays": arrays}


def further_losses() -> Spec:
    """Four modalities, another weight and temperature; totals and one gradient."""
    y, lmda, temp, m = torch.tensor([1, 0, 1]), 0.8, 4.0, 4
    arrays: dict[str, np.ndarray] = {"y": y.numpy()}
    logits = torch.from_numpy(6 * noise(m, 2, 3, 2) - 3).requires_grad_()
    cams = torch.from_numpy(noise(m, 2, 3, 2, 8, 10, seed=4) - 0.4)
    maps = torch.stack([torch.stack([normalised(view)[:, 1] for view in own]) for own in cams])
    units = maps / (maps + 1e-12).flatten(3).norm(dim=3)[..., None, None]
    totals, cmer = [], []
    for i in range(m):
        ce = sum(torch.nn.functional.cross_entropy(logits[i, v], y) for v in (0, 1)) / 2
        er = ((maps[i, 0] - maps[i, 1]).square() * y[:, None, None]).mean()
        kl = across = torch.zeros(())
        for j in set(range(m)) - {i}:
            for v in (0, 1):
                teacher, student = (
                    torch.log_softmax(x / temp, 1) for x in (logits[j, v].detach(), logits[i, v])
                )
                kl = kl + 0.5 * temp**2 * (teacher.exp() * (teacher - student)).sum(1).mean() / (m - 1)
                use = y * (logits[j, 1 - v].argmax(1) == 1)
                apart = (units[i, v] - units[j, 1 - v]).square() * use[:, None, None]
                across = across + 0.5 * apart.mean() / (m - 1)
        totals.append(ce + lmda * kl + er + across)
        cmer.append(across)
    (gradient,) = torch.autograd.grad(totals[2], logits)
    for i in range(m):
        for v in (0, 1):
            arrays[f"m{i}_logits_view{v + 1}"] = logits[i, v].detach().numpy()
            arrays[f"m{i}_cam_view{v + 1}"] = cams[i, v].numpy()
    arrays["m2_grad_logits_view2"] = gradient[2, 1].numpy()
    arrays["expected_total"] = torch.stack(totals).detach().numpy()
    arrays["expected_cmer"] = torch.stack(cmer).numpy()
    return {"settings": {"num_models": m, "lmda": lmda, "temp": temp}, "arrays": arrays}


def further_maps() -> Spec:
    """Width 4, slices that are not square; the class and the grey map alone."""
    plan = NetworkPlan(width_factor=16)
    network, image = filled(plan, "a.").eval(), noise(2, 1, 16, 24)
    with torch.no_grad():
        found = network(standardised(torch.from_numpy(image)))
        maps = normalised(found.cam[:, 1:])[:, 0]
    classes = found.logits.argmax(1)
    arrays = {
        "image": image,
        "expected_class": classes.numpy(),
        "expected_cam": maps.numpy(),
        "expected_png": (255 * maps * classes[:, None, None]).floor().to(torch.uint8).numpy(),
    }
    settings = {"downsize_nb_filters_factor": 16, "fill_name_prefix": ["a."]}
    bounds = BOUNDS | {"note": "expected_png: at most 2 grey levels apart"}
    return {"settings": settings, "state_dict": keys_of(plan), "arrays": arrays, "tolerance": bounds}


def further_evaluation() -> Spec:
    """Another spacing, two thresholds; DSC and pooled ASSD of boxes whose distances are known."""
    cam = np.zeros((1, 4, 8, 8), np.uint8)
    cam[0, 1:3, 2:6, 2:6], gt = 200, np.zeros((1, 4, 8, 8), np.uint8)
    gt[0, 1:3, 2:6, 3:7] = 1
    arrays = {
        "cam": cam,
        "gt": gt,
        "thresholds": np.array([0.25, 0.75], np.float32),
        "expected_dsc": np.full((1, 2), 0.75, np.float32),
        # Of 32 voxels, all of them border, the 8 of one face lie one column (2 mm) beyond the other box.
        "expected_assd_pooled": np.full((1, 2), 0.5, np.float32),
    }
    return {"settings": {"spacing": [9.0, 5.0, 2.0]}, "arrays": arrays}


def further_training() -> Spec:
    """Three modalities of width 4, two steps with the transform that turns by half; terms alone."""
    plan, prefixes = NetworkPlan(width_factor=16), ["x.", "y.", "z."]
    image, y = torch.from_numpy(noise(3, 3, 16, 16)), torch.tensor([1, 1, 0])
    networks = [filled(plan, prefix).train() for prefix in prefixes]
    optimisers = [torch.optim.AdamW(one.parameters(), 1e-3, weight_decay=0.1) for one in networks]
    turn, terms = ReleasedRotation((180.0,) * 3), []
    for _ in range(2):
        given: dict[str, Any] = {"y": y}
        for i, network in enumerate(networks):
            one, two = (network(standardised(x[:, i : i + 1])) for x in (image, turn(image)))
            given[f"m{i}"] = (
                one.logits,
                two.logits,
                turn(normalised(one.cam))[:, 1],
                normalised(two.cam)[:, 1],
            )
        step = [_terms(given, i, len(networks)) for i in range(3)]
        terms.append(np.array([[float(term.detach()) for term in one] for one in step]).T)
        for one, optimiser in zip(step, optimisers, strict=True):
            optimiser.zero_grad()
            one[-1].backward()
        # All modalities' losses are of the same forward passes.
        for optimiser in optimisers:
            optimiser.step()
    settings = {
        "num_models": 3,
        "input_channels": [1, 1, 1],
        "downsize_nb_filters_factor": 16,
        "transform": "rotate180",
        "optimizer": "AdamW",
        "learning_rate": 1e-3,
        "weight_decay": 0.1,
        "betas": [0.9, 0.999],
        "eps": 1e-8,
        "steps": 2,
        "fill_name_prefix": prefixes,
    }
    arrays = {"image": image.numpy(), "y": y.numpy(), "expected_terms": np.stack(terms).astype(np.float32)}
    bounds = {"rtol": 2e-3, "atol": 1e-6, "note": "terms of steps 2 and 3: rtol 1e-2"}
    spec = {"settings": settings, "state_dict": keys_of(plan), "arrays": arrays, "tolerance": bounds}
    return spec | {"compared_tensors": ["classifier.weight"]}


def _terms(given: Spec, i: int, m: int) -> list[Tensor]:
    y = given["y"]
    p, q, first, second = given[f"m{i}"]
    ce = sum(torch.nn.functional.cross_entropy(x, y) for x in (p, q)) / 2
    er = ((first - second).square() * y[:, None, None]).mean()
    kl = cmer = torch.zeros(())
    for j in set(range(m)) - {i}:
        others = [x.detach() for x in given[f"m{j}"]]
        for v in (0, 1):
            teacher, student = (torch.log_softmax(x / 10, 1) for x in (others[v], (p, q)[v]))
            kl = kl + 50 * (teacher.exp() * (teacher - student)).sum(1).mean() / (m - 1)
            a, b = (
                (x / (x + 1e-12).norm(dim=(1, 2), keepdim=True)) for x in ((first, second)[v], others[3 - v])
            )
            use = y * (others[1 - v].argmax(1) == 1)
            cmer = cmer + 0.5 * ((a - b).square() * use[:, None, None]).mean() / (m - 1)
    return [ce, er, kl, cmer, ce + 0.5 * kl + er + cmer]


# Kind of the case, what makes it, an array that is expected.
FURTHER: dict[str, tuple[str, Callable[[], Spec], str]] = {
    "forward": ("unet_cam_eval", further_forward, "cam_wide"),
    "normalisation": ("normalisation", further_normalisation, "expected_norm"),
    "rotation": ("transforms", further_transforms, "rotate_cam_2"),
    "shift": ("transforms", further_transforms, "translate_image"),
    "scale": ("transforms", further_transforms, "resize16x24_image"),
    "losses": ("losses", further_losses, "expected_total"),
    "gradient": ("losses", further_losses, "m2_grad_logits_view2"),
    "maps": ("cam_maps", further_maps, "expected_png"),
    "evaluation": ("evaluation", further_evaluation, "expected_assd_pooled"),
    "training": ("train_steps", further_training, "expected_terms"),
}


def written(folder: Path, kind: str, spec: Spec) -> Case:
    path = folder / "further.json"
    known = {"method": "cmer", "kind": kind, "tolerance": BOUNDS}
    known |= {name: value for name, value in spec.items() if name != "arrays"}
    path.write_text(json.dumps(known), encoding="utf-8")
    np.savez(path.with_suffix(".npz"), **spec["arrays"])
    return Case.load(path)


@pytest.mark.parametrize("name", FURTHER)
def test_a_further_case_runs_and_a_wrong_number_fails(tmp_path: Path, name: str) -> None:
    kind, make, expected = FURTHER[name]
    spec = make()
    case = written(tmp_path, kind, spec)
    run_check(case)
    assert expected in case.compared
    arrays = dict(spec["arrays"])
    value = arrays[expected]
    # 3 grey values or 2 % are more than any bound here allows.
    arrays[expected] = value + 3 if value.dtype == np.uint8 else value + 0.02 * np.abs(value).max()
    with pytest.raises(AssertionError, match=expected):
        run_check(written(tmp_path, kind, {**spec, "arrays": arrays}))


def test_a_key_that_the_network_lacks_fails(tmp_path: Path) -> None:
    spec = further_forward()
    spec["state_dict"]["aux.weight"] = [1, 1, 1, 1]
    with pytest.raises(AssertionError, match="authors' keys and shapes"):
        run_check(written(tmp_path, "unet_cam_eval", spec))


@pytest.mark.parametrize("path", sorted(CASES.glob("*.json")), ids=lambda path: path.stem)
def test_every_expected_array_of_the_stored_cases_is_compared(path: Path) -> None:
    case = Case.load(path)
    run_check(case)
    inputs = r"x(_odd)?|image|cam(_\d)?|gt|thresholds|y|raw|weight|rotate_angles|translate_px"
    inputs += r"|m\d_(logits|cam)_view\d"
    wanted = {name for name in case.arrays if not re.fullmatch(inputs, name)} | (
        {"cam"} if path.stem.startswith("unet") else set()
    )
    assert wanted == set(case.compared)


def test_bounds_of_the_notes_are_the_cases_own() -> None:
    case = Case.load(CASES / "train_steps_bimodal.json")
    assert parity.cmer._noted(case, "expected_weight_norm") == 1e-5
    assert parity.cmer._noted(case, "expected_grad_norm") == 1e-2
    assert parity.cmer._noted(case, "terms of steps") == 1e-2
    losses = Case.load(CASES / "losses_bimodal.json")
    assert parity.cmer._noted(losses, "gradients of CAMs") == 2e-3
    changed = {**losses.arrays, "m0_grad_cam_view1": losses.arrays["m0_grad_cam_view1"] * 1.01}
    with pytest.raises(AssertionError, match="m0_grad_cam_view1"):
        run_check(Case(losses.path, losses.spec, changed))
