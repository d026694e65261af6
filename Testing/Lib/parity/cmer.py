"""Checks of the CMER cases; the specification's section 9 explains each kind."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parity.case import Case, check
from parity.fill import filled_state
from SegToolkitLib.methods.cmer.loss import Terms, View, Views, losses
from SegToolkitLib.methods.cmer.maps import eight_bit, evidence, slice_maps
from SegToolkitLib.methods.cmer.network import CamNetwork, Networks, activation, bare_networks
from SegToolkitLib.methods.cmer.normalise import normalised, standardised
from SegToolkitLib.methods.cmer.optimiser import build_optimiser
from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, NetworkPlan
from SegToolkitLib.methods.cmer.scoring import Sweep, score_case
from SegToolkitLib.methods.cmer.settings import CmerSettings, LossSettings, OptimiserSettings
from SegToolkitLib.methods.cmer.step import training_step
from SegToolkitLib.methods.cmer.transforms import (
    Flip,
    Identity,
    ReleasedRotation,
    Resize,
    Shifts,
    Transform,
)

RELEASED = InputPlan(fit="crop")
TERMS = ("ce", "er", "kl", "cmer", "total")


def _plan(settings: dict[str, Any]) -> NetworkPlan:
    channels = settings.get("input_channels", 1)
    channels = set(channels) if isinstance(channels, list) else {channels}
    assert len(channels) == 1, "all networks of a model have equally many input channels"
    return NetworkPlan(
        width_factor=settings.get("downsize_nb_filters_factor", 1),
        image_channels=channels.pop(),
        classes=settings.get("num_classes", 2),
        dropout=settings.get("dropout", False),
    )


def _prefixes(settings: dict[str, Any]) -> list[str]:
    given = settings.get("fill_name_prefix", [""])
    return given if isinstance(given, list) else [given]


def _networks(case: Case) -> Networks:
    """One network for each prefix that keys have when their values are filled."""
    shapes, prefixes = case.spec["state_dict"], _prefixes(case.settings)
    networks = bare_networks(_plan(case.settings), len(prefixes)).to_empty(device="cpu")
    for network, prefix in zip(networks, prefixes, strict=True):
        own = {key: list(value.shape) for key, value in network.state_dict().items()}
        assert own == shapes, "the network must have the authors' keys and shapes"
        filled = filled_state(
            {prefix + key: shape for key, shape in shapes.items()}, case.settings.get("weight_scale", 1.0)
        )
        network.load_state_dict({key.removeprefix(prefix): value for key, value in filled.items()})
    return networks


def _network(case: Case) -> CamNetwork:
    networks = _networks(case)
    assert len(networks) == 1
    network = networks[0].eval()
    assert isinstance(network, CamNetwork)
    return network


def _loss(settings: dict[str, Any]) -> LossSettings:
    return LossSettings(
        kl_weight=settings.get("lmda", 0.5),
        temperature=settings.get("temp", 10),
        kl="released",
        cmer_reduction=settings.get("cmer_reduction", "mean"),
    )


def _hold(case: Case, got: Any, expected: str, rtol: float | None = None, atol: float | None = None) -> None:
    """Compare where the case has the array; a note of the case may give that array other bounds."""
    if expected not in case.arrays:
        return
    bounds = case.spec["tolerance"]
    if rtol is not None:
        bounds = {"note": f"rtol {rtol} atol {bounds.get('atol', 0) if atol is None else atol}"}
        noted = Case(case.path, {**case.spec, "tolerance": bounds}, case.arrays, case.compared)
        noted.check("note", got, expected)
    else:
        case.check(expected, got, expected)


def _noted(case: Case, words: str) -> float | None:
    """The relative bound that the note of the tolerance gives ``words``, if it does."""
    match = re.search(rf"{words}[^;]*?rtol (\d[\d.]*(?:e[-+]?\d+)?)", case.spec["tolerance"].get("note", ""))
    return float(match[1]) if match else None


@check("cmer", "unet_cam_eval")
def unet_cam_eval(case: Case) -> None:
    network = _network(case)
    network.train(case.settings.get("mode", "eval") == "train")
    for name in [name for name in case.arrays if re.fullmatch(r"x(_\w+)?", name)]:
        end = name[1:]
        with torch.inference_mode():
            found = activation(network, case.tensor(name), RELEASED)
        _hold(case, found.logits[:, :, None, None], f"logits{end}")
        _hold(case, found.cam, f"cam{end}")
        _hold(case, found.features.mean((2, 3)), f"feature_mean{end}")


@check("cmer", "normalisation")
def normalisation(case: Case) -> None:
    if "image" in case.arrays:
        _hold(case, standardised(case.tensor("image")), "expected_standardised")
    raw = case.tensor("raw").requires_grad_()
    found = normalised(raw)
    _hold(case, found, "expected_norm")
    _hold(case, normalised(raw[2 % len(raw)]), "expected_norm_3d")
    if "expected_grad" in case.arrays:
        (found * case.tensor("weight")).sum().backward()
        # A map of one positive value has all pixels for its extremes; what they get is rounding.
        flat = raw.detach().relu().flatten(2)
        useful = ~((flat.amax(2) == flat.amin(2)) & (flat.amax(2) > 0))
        assert raw.grad is not None
        case.check("expected_grad", raw.grad[useful], case.arrays["expected_grad"][useful.numpy()])


@check("cmer", "transforms")
def transforms(case: Case) -> None:
    known: dict[str, Transform] = {"hflip": Flip(True), "vflip": Flip(False)}
    if "rotate_angles" in case.arrays:
        known["rotate"] = ReleasedRotation(tuple(case.arrays["rotate_angles"].tolist()))
    if "translate_px" in case.arrays:
        known["translate"] = Shifts(tuple((dx, dy) for dx, dy in case.arrays["translate_px"].tolist()))
    inputs = [name for name in case.arrays if re.fullmatch(r"image|cam_\d+", name)]
    for array in case.arrays:
        match = re.fullmatch(rf"(\w+?)_({'|'.join(inputs)})", array)
        if match:
            size = re.fullmatch(r"resize(\d+)(?:x(\d+))?", match[1])
            transform = Resize(int(size[1]), int(size[2] or size[1])) if size else known[match[1]]
            _hold(case, transform(case.tensor(match[2])), array)


@check("cmer", "losses")
def cmer_losses(case: Case) -> None:
    assert case.settings.get("transform", "identity") == "identity"
    numbers = sorted(int(m[1]) for name in case.arrays if (m := re.fullmatch(r"m(\d+)_logits_view1", name)))
    assert case.settings.get("num_models", len(numbers)) == len(numbers)
    leaves = {
        f"m{number}_{kind}_view{view}": case.tensor(f"m{number}_{kind}_view{view}").requires_grad_()
        for number in numbers
        for kind in ("logits", "cam")
        for view in (1, 2)
    }

    def seen(number: int, view: int) -> View:
        cam = leaves[f"m{number}_cam_view{view}"]
        return View(leaves[f"m{number}_logits_view{view}"], normalised(evidence(cam, "class1")))

    views = [Views(seen(number, 1), seen(number, 2)) for number in numbers]
    terms = losses(views, case.tensor("y"), _loss(case.settings))
    for name in TERMS:
        _hold(
            case,
            torch.stack([getattr(one, name) for one in terms]),
            f"expected_{name}",
            _noted(case, "terms"),
        )
    # Other modalities are constants, so that the sum gives each leaf the gradient of its own modality.
    torch.stack([one.total for one in terms]).sum().backward()
    for name, leaf in leaves.items():
        expected = re.sub(r"_(?=logits|cam)", "_grad_", name)
        _hold(case, leaf.grad, expected, _noted(case, "gradients of CAMs") if "cam" in name else None)


@check("cmer", "cam_maps")
def cam_maps(case: Case) -> None:
    network, slices = _network(case), case.tensor("image")
    names = {"cam": "cam", "gradcam": "gradcam", "gradcam++": "gradcampp"}
    for kind, name in names.items():
        # Each slice alone, as the case says.
        found = [slice_maps(network, one[None], RELEASED, MapPlan(kind=kind)) for one in slices]
        maps = torch.cat([one.maps for one in found])
        _hold(case, maps, f"expected_{name}")
        if kind != "cam":
            continue
        with torch.inference_mode():
            logits = [activation(network, standardised(one[None]), RELEASED).logits for one in slices]
        _hold(case, torch.cat(logits), "expected_logits")
        if "expected_class" in case.arrays:
            classes = torch.cat([one.present for one in found]).long()
            case.check("expected_class", classes, case.arrays["expected_class"], "expected_class")
        if "expected_png" in case.arrays:
            grey = eight_bit(torch.cat([one.gated() for one in found])).int()
            expected = case.arrays["expected_png"].astype(np.int32)
            apart = re.search(r"expected_png: at most (\d+)", case.spec["tolerance"].get("note", ""))
            assert np.abs(grey.numpy() - expected).max() <= (int(apart[1]) if apart else 0), "expected_png"
            case.compared.append("expected_png")


@check("cmer", "evaluation")
def evaluation(case: Case) -> None:
    thresholds = case.arrays["thresholds"]
    spacing = case.settings.get("spacing", (1.0, 1.0, 1.0))
    for name, definition in (("assd", "directed"), ("assd_pooled", "pooled")):
        sweep = Sweep.of(
            {
                str(number): score_case(cam, truth, spacing, thresholds, definition)
                for number, (cam, truth) in enumerate(
                    zip(case.arrays["cam"], case.arrays["gt"] > 0.5, strict=True)
                )
            },
            thresholds.tolist(),
        )
        _hold(case, sweep.assd, f"expected_{name}")
        _hold(case, _mean_std(sweep.assd_over_cases()), f"expected_{name}_mean_std")
        if definition == "directed":
            _hold(case, sweep.dsc, "expected_dsc")
            _hold(case, _mean_std(sweep.dsc_over_cases()), "expected_dsc_mean_std")


def _mean_std(found: Any) -> np.ndarray:
    return np.stack([found.mean, found.std])


def _transform(name: str, samples: int) -> Transform:
    """The transform pi of all steps, by the case's name for it."""
    if match := re.fullmatch(r"(resize|rotate)(\d+)", name):
        number = int(match[2])
        return (
            Resize(number, number) if match[1] == "resize" else ReleasedRotation((float(number),) * samples)
        )
    return {"identity": Identity(), "hflip": Flip(True), "vflip": Flip(False)}[name]


@check("cmer", "train_steps")
def train_steps(case: Case) -> None:
    chosen = case.settings
    assert chosen.get("optimizer", "AdamW") == "AdamW"
    networks = _networks(case).train()
    image, tags = case.tensor("image"), case.tensor("y")
    settings = CmerSettings(loss=_loss(chosen), input=RELEASED, network=_plan(chosen))
    rates = OptimiserSettings(
        learning_rate=chosen["learning_rate"],
        weight_decay=chosen["weight_decay"],
        betas=chosen["betas"],
        epsilon=chosen["eps"],
    )
    optimiser = build_optimiser(networks, rates)
    keys = case.spec["compared_tensors"]
    terms = []
    for number in range(chosen["steps"]):
        step = training_step(
            networks, image, tags, settings, torch.Generator(), _transform(chosen["transform"], len(image))
        )
        optimiser.zero_grad()
        step.total.backward()
        terms.append(torch.stack([_stacked(step.terms, name) for name in TERMS]))
        gradients = [{key: value.grad for key, value in network.named_parameters()} for network in networks]
        if number == 0:
            _hold(case, _norms(gradients, keys), "expected_grad_norm", _noted(case, "expected_grad_norm"))
        optimiser.step()
        if number == 0:
            states = [network.state_dict() for network in networks]
            _hold(case, _norms(states, keys), "expected_weight_norm", _noted(case, "expected_weight_norm"))
            buffers = [
                f"{norm}.running_{what}"
                for norm in ("inc.conv.conv.1", "backbone.1")
                for what in ("mean", "var")
            ]
            _hold(case, _norms(states, buffers), "expected_bn_norm")
    if "expected_terms" in case.arrays:
        later = _noted(case, "terms of steps") or _noted(case, "terms")
        _hold_steps(case, torch.stack(terms), later)


def _hold_steps(case: Case, got: Tensor, later: float | None) -> None:
    """Compare the first step by the case's bounds, and those after it by ``later``."""
    expected, bounds = case.arrays["expected_terms"], case.spec["tolerance"]
    case.check("expected_terms", got[:1], expected[:1], "expected_terms")
    loose = {**bounds, "rtol": max(later or 0, bounds["rtol"])}
    further = Case(case.path, {**case.spec, "tolerance": loose}, case.arrays, case.compared)
    further.check("expected_terms", got[1:], expected[1:], "expected_terms")


def _stacked(terms: tuple[Terms, ...], name: str) -> Tensor:
    return torch.stack([getattr(one, name) for one in terms])


def _norms(tensors: list[dict[str, Tensor]], keys: list[str]) -> Tensor:
    return torch.stack([torch.stack([own[key].detach().norm() for key in keys]) for own in tensors])
