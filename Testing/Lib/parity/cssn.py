"""Checks of the CSSN cases on networks, losses and updates; the specification's section 9 explains each."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity.case import Case, check
from parity.fill import filled_state
from SegToolkitLib.methods.cssn.layers import normalised, resample
from SegToolkitLib.methods.cssn.loss import segmentation_loss
from SegToolkitLib.methods.cssn.network import build_network, encoder_name
from SegToolkitLib.methods.cssn.plan import Intensity, NetworkPlan, StagePlan
from SegToolkitLib.methods.cssn.pseudo import cross_losses, pseudo_labels
from SegToolkitLib.methods.cssn.reliability import Judgement, complete, ranked, reliability
from SegToolkitLib.methods.cssn.settings import CrossSettings, LossSettings

# The authors' names and ours.
LOSSES = {"dice": "dice", "diceAndBce": "dice_bce", "diceAndFocal": "dice_focal"}
NETWORKS = {"UNet": "unet", "EfficientSegNet": "efficient"}


def _loss(name: str) -> LossSettings:
    """All cases have the focal loss as the authors coded it."""
    return LossSettings(kind=LOSSES[name], focal_mode="released")


def _plan(settings: dict[str, Any]) -> StagePlan:
    channels = settings["channels"]
    assert settings.get("depth", len(channels) - 1) == len(channels) - 1
    network = NetworkPlan(
        kind=NETWORKS[settings["network"]],
        channels=channels,
        # The authors list one number more than they read.
        blocks=settings.get("blocks", [2] * len(channels))[: len(channels) - 1],
        dropout=0.0 if settings.get("dropout") == "off" else 0.2,
    )
    window = settings.get("window", Intensity().window)
    return StagePlan(network=network, size=settings["input_size"], intensity=Intensity(window=window))


def _network(case: Case, prefix: str = "") -> nn.Module:
    """Build the case's network; ``prefix`` stands before a key when its values are filled."""
    shapes = case.spec["state_dict"]
    network = build_network(_plan(case.settings), case.settings["classes"])
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    assert own == shapes, "the network must have the authors' keys and shapes"
    filled = filled_state({prefix + key: shape for key, shape in shapes.items()})
    network.load_state_dict({key.removeprefix(prefix): value for key, value in filled.items()})
    return network


def _hold_thinned(case: Case, name: str, got: Tensor) -> None:
    """Compare with ``name``, ``name_s2`` (every 2nd voxel) or ``name_c4`` (every 4th channel)."""
    for array in case.arrays:
        if match := re.fullmatch(rf"{name}(?:_s(\d+))?(?:_c(\d+))?", array):
            step, channels = (int(number or 1) for number in match.groups())
            case.hold(got[:, ::channels, ::step, ::step, ::step], array, name)


def _forward(case: Case) -> None:
    """Run the network between its input and output layer."""
    plan, settings = _plan(case.settings), case.settings
    network = _network(case).eval()
    seen: dict[str, Tensor] = {}

    def record(name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda _module, _inputs, output: seen.update({name: output.clone()}))

    deepest = len(settings["channels"]) - 1
    record(f"x{deepest}", network.get_submodule(encoder_name(deepest)))
    if plan.network.kind == "efficient":
        record("context", network.get_submodule("context_block"))
    with torch.inference_mode():
        x = raw = case.tensor("raw")
        if settings.get("preprocess", True):
            x = normalised(resample(raw, plan.size), plan.intensity)
        seen["after_input_layer"] = x
        seen["logits"] = seen["net_logits"] = network(x)
        if settings.get("postprocess", False):
            seen["logits"] = resample(seen["net_logits"], raw.shape[2:])
    for name, value in seen.items():
        _hold_thinned(case, name, value)
    axes = (0, 2, 3, 4)
    case.hold(seen["logits"].mean(axes), "logit_mean")
    case.hold(seen["logits"].std(axes, correction=0), "logit_std")


check("cssn", "unet_coarse_forward")(_forward)
check("cssn", "efficientseg_fine_forward")(_forward)


@check("cssn", "losses")
def losses(case: Case) -> None:
    for name in sorted(LOSSES):
        logits = case.tensor("logits").requires_grad_()
        loss = segmentation_loss(logits, case.tensor("target"), _loss(name))
        loss.backward()
        summed = segmentation_loss(logits, case.tensor("target"), _loss(name), average=False)
        case.hold(loss, name, "losses")
        case.hold(summed, f"{name}_sum", "losses")
        case.hold(logits.grad, f"{name}_grad", "grad")


def _rules(case: Case) -> list[str]:
    """Which rules of pseudo-labels the case has results for."""
    return sorted({name.split("_")[0] for name in case.arrays} & {"released", "corrected"})


def _cross(settings: dict[str, Any], rule: str) -> CrossSettings:
    return CrossSettings(
        pseudo_labels=rule,
        threshold=settings.get("pseudo_threshold", 0.5),
        weight=settings.get("cross_weight", 1.0),
    )


def _label_map(labels: Tensor) -> Tensor:
    """[N, C, Z, Y, X] to [N, Z, Y, X]: 0 is background, k the organ of channel k - 1."""
    return labels.argmax(1).add(1) * labels.any(1)


@check("cssn", "semi_supervision")
def semi_supervision(case: Case) -> None:
    settings = case.settings
    assert settings.get("supervised_weight", 1.0) == 1.0
    for rule in _rules(case):
        cross = _cross(settings, rule)
        logits = {name: case.tensor(f"logits_{name}").requires_grad_() for name in ("a", "b", "a_u", "b_u")}
        a, b = (torch.cat([logits[name], logits[f"{name}_u"]]) for name in ("a", "b"))
        for name, given in (("a", a), ("b", b)):
            labels = pseudo_labels(given, rule, cross.threshold)
            case.hold(_label_map(labels), f"{rule}_pseudo_from_{name}", "pseudo")
        result = cross_losses(a, b, case.tensor("target"), _loss(settings["loss"]), cross)
        (result.a + result.b).backward()
        case.hold(result.a, f"{rule}_loss_a", "losses")
        case.hold(result.b, f"{rule}_loss_b", "losses")
        for name, leaf in logits.items():
            case.hold(leaf.grad, f"{rule}_grad_{name}", "grad")
    if "uif_maps" in case.arrays:
        _uif(case)


def _uif(case: Case) -> None:
    """Judge images by their label maps [images, checkpoints, Z, Y, X]; the rank lists them, best first."""
    chosen = case.settings.get("uif", {})
    assert chosen.get("reference", "last") == "last"
    maps = case.arrays["uif_maps"].astype(np.int16)
    organs = range(1, chosen.get("organs", int(maps.max())) + 1)
    rows = [
        Judgement(str(index), value, 1 - value, complete(states[-1], organs))
        for index, states in enumerate(maps)
        for value in [reliability(list(states), organs)]
    ]
    case.hold(np.array([row.reliability for row in rows]), "uif_reliability", "uif")
    case.hold(np.array([row.complete for row in rows]), "uif_complete", "uif")
    case.hold(np.array([int(row.id) for row in ranked(rows)]), "uif_rank", "uif")


@check("cssn", "train_three_steps")
def train_three_steps(case: Case) -> None:
    settings = case.settings
    assert settings.get("optimizer", "Adam") == "Adam"
    labelled, target = case.tensor("image"), case.tensor("target")
    images = torch.cat([labelled, case.tensor("image_u")])
    order = case.spec.get("parameter_order", list(case.spec["state_dict"]))
    for rule in _rules(case):
        networks = [_network(case, prefix).train() for prefix in ("model.", "model_1.")]
        optimiser = torch.optim.Adam(
            [parameter for network in networks for parameter in network.parameters()],
            settings["lr"],
            tuple(settings["betas"]),
            weight_decay=settings["l2_penalty"],
        )
        lost, norms = [], {}
        for step in range(settings["steps"]):
            a, b = (network(images) for network in networks)
            result = cross_losses(a, b, target, _loss(settings["loss"]), _cross(settings, rule))
            optimiser.zero_grad()
            (result.a + result.b).backward()
            if step == 0:
                norms = [_norms({k: p.grad for k, p in n.named_parameters()}, order) for n in networks]
            optimiser.step()
            lost.append(torch.stack([result.a, result.b]))
        case.hold(torch.stack(lost), f"{rule}_losses", "losses")
        for name, network, gradients in zip("ab", networks, norms, strict=True):
            case.hold(
                _norms(dict(network.named_parameters()), order), f"{rule}_param_norm_{name}", "param_norm"
            )
            _hold_gradients(case, gradients, f"{rule}_grad_norm_{name}_step1")


def _hold_gradients(case: Case, got: Tensor, name: str) -> None:
    """Compare norms; of those that are all but 0 only that they are.

    The first shortcut has one input channel and a kernel of one voxel: the norm after it takes its scale out
    again, so that its gradient is 0 but for the norm's epsilon, and float32 leaves rounding alone of it.
    """
    if name not in case.arrays:
        return
    expected = case.arrays[name]
    there = expected > 1e-3 * expected.max()
    case.check("grad_norm", got[there], expected[there], name)
    assert (got[~there] <= 2e-3 * expected.max()).all(), (
        f"{case.path.stem}: {name} has large values for small"
    )


def _norms(tensors: dict[str, Tensor], order: list[str]) -> Tensor:
    return torch.stack([tensors[key].norm() for key in order])
