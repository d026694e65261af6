"""Checks of the cooperative cases on networks, losses, masks and updates; the specification's section 9
explains each."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from parity.case import Case, check
from parity.fill import filled_state
from SegToolkitLib.methods.cooperative.checkpoints import plan_of
from SegToolkitLib.methods.cooperative.gradients import Collected
from SegToolkitLib.methods.cooperative.loss import HARD, IMAGE_WEIGHT, STANDARD, image_loss, segmentation_loss
from SegToolkitLib.methods.cooperative.masking import dropout_factors, scores, soft_factors, targets
from SegToolkitLib.methods.cooperative.network import NAMES, Networks, build_networks
from SegToolkitLib.methods.cooperative.norms import norms_of, untracked
from SegToolkitLib.methods.cooperative.optimiser import build_optimiser
from SegToolkitLib.methods.cooperative.plan import InferencePlan
from SegToolkitLib.methods.cooperative.settings import OptimiserSettings, StepSettings
from SegToolkitLib.methods.cooperative.step import Step, cooperative_step
from SegToolkitLib.methods.cooperative.stn import TEMPERATURE, exact_shape, predict, soft_shape

# The cases give gradients of masks so many times as large.
GRADIENT_SCALE = 1e6
# Relative rounding error of a float32 number, and how many times it is tried out.
ROUNDING = 2.0**-24
ROUNDINGS = 12


def _sentence(value: Any) -> str:
    """A tolerance in the words that the shared reader knows."""
    if not isinstance(value, dict):
        return str(value)
    named = {name: value[name] for name in ("rtol", "atol") if name in value}
    if isinstance(named.get("atol"), str):
        return " and ".join([named["atol"], *([f"relative {named['rtol']}"] if "rtol" in named else [])])
    return " ".join(f"{name} {number}" for name, number in named.items())


def _hold(case: Case, got: Any, array: str, group: str = "") -> None:
    """Compare with an array that the case may leave out, by the tolerance of its name or of its ``group``."""
    if array not in case.arrays:
        return
    stated = case.spec["tolerance"]
    value = next((stated[name] for name in (array, group, "default", "all") if name in stated), stated)
    words = {**case.spec, "tolerance": {array: _sentence(value)}}
    replace(case, spec=words).check(array, got, array)


def _networks(case: Case) -> Networks:
    """Build the case's networks; those that it does not give keep fresh weights."""
    shapes = {name.removesuffix(".pth"): keys for name, keys in case.spec["state_dict"].items()}
    thin: Any = {
        name: {key: torch.empty(shape) for key, shape in keys.items()} for name, keys in shapes.items()
    }
    plan, classes = plan_of(thin)
    settings = case.settings
    if "image_decoder_activation" in settings:
        plan = plan.model_copy(update={"reconstruction": settings["image_decoder_activation"] or "none"})
    assert classes == settings.get("num_classes", classes)
    assert plan.image_channels == settings.get("image_channels", plan.image_channels)
    assert plan.decoupler_bias == settings.get("decoupler_bias", plan.decoupler_bias)
    networks = build_networks(plan, classes, seed=0)
    scale = case.spec.get("weight_scale", 1.0)
    for name, keys in shapes.items():
        own = {key: list(value.shape) for key, value in networks[name].state_dict().items()}
        assert own == keys, f"{name} must have the authors' keys and shapes"
        filled = filled_state({f"{name}.{key}": shape for key, shape in keys.items()}, scale)
        networks[name].load_state_dict({key.removeprefix(f"{name}."): value for key, value in filled.items()})
    return networks


def _labels(case: Case, name: str = "in_label") -> Tensor:
    return case.tensor(name).long()


def _forward(case: Case) -> None:
    networks = _networks(case).eval()
    with torch.inference_mode():
        codes = networks.encode(case.tensor("in_image"))
        _hold(case, codes.image, "z_i")
        _hold(case, codes.shape, "z_s")
        _hold(case, networks.segment(codes.shape), "segmentation_logits")
        reconstruction = networks.reconstruct(codes.image)
    for name in ("reconstruction", "reconstruction_no_sigmoid"):
        _hold(case, reconstruction, name)


check("cooperative", "ftn_forward")(_forward)
check("cooperative", "legacy_checkpoint_forward")(_forward)


@check("cooperative", "stn_and_predict")
def stn_and_predict(case: Case) -> None:
    networks = _networks(case).eval()
    temperature = case.settings.get("stn_temperature", TEMPERATURE)
    with torch.inference_mode():
        for array in sorted(case.arrays):
            if match := re.fullmatch(r"pred_n_iter_(\d+)", array):
                plan = InferencePlan(passes=int(match[1]), temperature=temperature)
                _hold(case, predict(networks, case.tensor("in_image"), plan).last, array)
        logits = predict(networks, case.tensor("in_image"), InferencePlan(passes=1)).first
        exact = exact_shape(_labels(case), networks.classes)
        encode = networks["shape_encoder"]
        _hold(case, encode(soft_shape(logits, temperature)), "shape_code_from_logits")
        _hold(case, encode(exact), "shape_code_from_label")
        _hold(case, networks.correct(exact), "stn_logits_from_label")


def _norm_of(parameters: list[Tensor]) -> Tensor:
    return torch.stack([one.detach().norm() for one in parameters]).norm() if parameters else torch.zeros(())


def _by_file(case: Case, networks: Networks, value: Any) -> np.ndarray:
    """A number for each file, in the case's order."""
    order = case.spec.get("per_file_order", list(NAMES))
    return np.array([float(value(networks[name])) for name in order])


def _gradient_norms(case: Case, networks: Networks, norms: bool = False) -> np.ndarray:
    """Of all parameters' gradients, or of those of the norms' scales and shifts."""

    def of_file(module: nn.Module) -> Tensor:
        owners: list[nn.Module] = list(norms_of(module)) if norms else [module]
        return _norm_of([one.grad for owner in owners for one in owner.parameters() if one.grad is not None])

    return _by_file(case, networks, of_file)


def _norm_sums(case: Case, networks: Networks) -> dict[str, np.ndarray]:
    return {
        "bn_running_mean_sum_after": _by_file(
            case, networks, lambda m: sum(n.running_mean.double().sum() for n in norms_of(m))
        ),
        "bn_running_var_sum_after": _by_file(
            case, networks, lambda m: sum(n.running_var.double().sum() for n in norms_of(m))
        ),
        "bn_batches_tracked_after": _by_file(
            case, networks, lambda m: norms_of(m)[0].num_batches_tracked
        ).astype(np.int64),
    }


@check("cooperative", "standard_losses")
def standard_losses(case: Case) -> None:
    networks = _networks(case).train()
    settings = StepSettings(mode="standard", separate=case.settings.get("separate_training", False))
    images, noise = case.tensor("in_clean_image"), case.tensor("in_noise")
    generator = torch.Generator()
    step = cooperative_step(networks, images, _labels(case), settings, generator, noise)
    step.total.backward()
    losses = torch.stack([step.losses[name] for name in STANDARD])
    _hold(case, losses, "losses_seg_image_gtshape_predshape", "losses")
    _hold(case, _gradient_norms(case, networks), "grad_norms")
    for name, value in _norm_sums(case, networks).items():
        exact = name == "bn_batches_tracked_after"
        if exact and name in case.arrays:
            assert value.tolist() == case.arrays[name].tolist(), f"{case.path.stem}: {name}"
        else:
            _hold(case, value, name, "bn_sums")
    with torch.no_grad(), untracked(networks):
        _hold(case, networks.encode((images + noise).clamp(0, 1)).image, "z_i")
    if "in_ce_logits" in case.arrays:
        logits = case.tensor("in_ce_logits").requires_grad_()
        loss = segmentation_loss(logits, _labels(case, "in_ce_label"))
        loss.backward()
        _hold(case, loss, "ce_value")
        _hold(case, logits.grad, "ce_grad")


@check("cooperative", "latent_masking")
def latent_masking(case: Case) -> None:
    """Of each code: its loss, the gradient's means, masks for each part, what is decoded of them."""
    networks = _networks(case).train()
    gradients = Collected(networks)
    images, labels = case.tensor("in_clean_image"), _labels(case)
    shares = case.settings.get("p_values", [float(p) for p in case.arrays.get("in_p", [])])
    for name in ("image", "shape"):
        code = case.tensor(f"in_{name}_code").requires_grad_()
        decode = networks.reconstruct if name == "image" else networks.segment
        decoded = decode(code)
        loss = (
            image_loss(decoded, images) / IMAGE_WEIGHT
            if name == "image"
            else segmentation_loss(decoded, labels)
        )
        gradient = gradients.only(loss, code)
        _hold_rows(case, loss.reshape(1), f"{name}_loss", "grad")
        for kind in ("channel", "spatial"):
            means = scores(gradient, kind)
            _hold_rows(case, means * GRADIENT_SCALE, f"{name}_grad_{kind}_mean", "grad")
            masks = [targets(means, share) for share in shares]
            _hold(case, (~torch.stack(masks)).float(), f"{name}_hard_mask_{kind}", "masks")
            if f"in_uniform_{kind}" not in case.arrays:
                continue
            factors = soft_factors(masks[-1], case.tensor(f"in_uniform_{kind}"))
            _hold(case, factors, f"{name}_soft_mask_{kind}", "masks")
            shape = (*factors.shape, 1, 1) if kind == "channel" else (len(code), 1, *code.shape[2:])
            with torch.no_grad(), untracked(networks):
                made = decode(code * factors.reshape(shape))
            generated = "image" if name == "image" else "shape"
            _hold(case, made, f"generated_{generated}_{kind}", "generated")
            _hold(case, made[:1], f"generated_{generated}_{kind}_sample0", "generated")
    if "in_dropout_keep" in case.arrays:
        kept = case.tensor("in_dropout_keep").bool()
        _hold(case, dropout_factors(kept, 0.5), "dropout_expected_scale", "masks")


def _hold_rows(case: Case, got: Tensor, array: str, group: str) -> None:
    """Compare row by row, where the tolerance is a part of the row's maximum."""
    if array not in case.arrays:
        return
    stated = case.spec["tolerance"].get(group, {})
    words = str(stated.get("atol", "")) if isinstance(stated, dict) else ""
    if "row maximum" not in words:
        _hold(case, got, array, group)
        return
    part, relative = float(words.split()[0]), float(stated.get("rtol", 0))
    expected = torch.from_numpy(case.arrays[array])
    bound = part * expected.abs().amax(-1, keepdim=True) + relative * expected.abs()
    worst = ((got - expected).abs() / bound).max()
    assert worst <= 1, f"{case.path.stem}: {array} is {float(worst):.2f} times as far off as is allowed"
    case.compared.append(array)


def _mask(settings: dict[str, Any]) -> dict[str, Any]:
    kinds = {"channel": "channel", "spatial": "spatial"}
    return {
        "kind": kinds[settings["mask"]],
        "max_threshold": settings["p"],
        "random_threshold": False,
        "soft": settings.get("soft", False),
    }


class _Updates:
    """Updates of a case's networks, from its beginning."""

    def __init__(self, case: Case) -> None:
        given = case.settings
        assert {given["image_code"].get("loss", "mse"), given["shape_code"].get("loss", "ce")} == {
            "mse",
            "ce",
        }
        masking = {"image": _mask(given["image_code"]), "shape": _mask(given["shape_code"])}
        separate = given.get("separate_training", False)
        match = re.search(r"lr ([\d.e-]+\d)", str(given.get("optimizer")))
        self.case = case
        self.settings = StepSettings.model_validate({"masking": masking, "separate": separate})
        self.rate = float(match[1]) if match else 1e-4
        self.networks = _networks(case).train()

    def step(self, noise: Tensor) -> Step:
        """Gradients of one update."""
        self.networks.zero_grad()
        images, labels = self.case.tensor("in_clean_image"), _labels(self.case)
        step = cooperative_step(self.networks, images, labels, self.settings, torch.Generator(), noise)
        step.total.backward()
        return step

    def gradients(self) -> dict[str, Tensor]:
        return {
            key: one.grad.clone() for key, one in self.networks.named_parameters() if one.grad is not None
        }

    def undetermined(self) -> dict[str, float]:
        """How much of its largest value each gradient of the first update owes to the rounding of float32.

        Leaky ReLU has a kink. Of the millions of units some dozens are as near to it as rounding errors are
        large, and each changes gradients by up to a hundredth: two ways to add the same numbers differ as
        much. So weights are changed by one rounding error, at random, and the gradients compared.
        """
        first = self.case.tensor("in_noise")[0]
        found: list[dict[str, Tensor]] = []
        for seed in range(ROUNDINGS + 1):
            self.networks.load_state_dict(_networks(self.case).state_dict())
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for one in self.networks.parameters() if seed else ():
                    one.mul_(1 + ROUNDING * (2 * torch.rand(one.shape, generator=generator) - 1))
            self.step(first)
            found.append(self.gradients())
        return {
            key: max(float((other[key] - value).abs().max()) for other in found[1:])
            for key, value in found[0].items()
        }


@check("cooperative", "cooperative_step")
def cooperative_update(case: Case) -> None:
    updates = _Updates(case)
    networks = updates.networks
    optimiser = build_optimiser(networks, OptimiserSettings(learning_rate=updates.rate))
    found: dict[str, list[Any]] = {}
    first: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
    for row, noise in enumerate(case.tensor("in_noise")):
        step = updates.step(noise)
        before = {key: value.detach().clone() for key, value in networks.named_parameters()}
        norms = _gradient_norms(case, networks)
        if row == 0:
            _hold_examples(case, step)
            if "grad_norms_bn_affine_step1" in case.arrays:
                affine = _gradient_norms(case, networks, norms=True)
                _hold_updates(case, affine, "grad_norms_bn_affine_step1", "grad_norms")
        gradients = updates.gradients()
        optimiser.step()
        if row == 0:
            changes = {
                key: (value.detach() - before[key]) / updates.rate
                for key, value in networks.named_parameters()
            }
            first = gradients, changes
        losses = [step.losses[name] for name in (*STANDARD, *HARD)]
        rows = {
            "losses": torch.stack([*losses, step.total.detach()]).numpy(),
            "grad_norms": norms,
            "param_norms_after": _by_file(case, networks, lambda m: _norm_of(list(m.parameters()))),
            **_norm_sums(case, networks),
        }
        for name, value in rows.items():
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        if name in case.arrays:
            group = "bn_sums" if name.endswith("sum_after") else name
            _hold_updates(case, np.stack(values), name, group)
    assert first is not None
    _hold_first(case, *first, _Updates(case))


def _hold_examples(case: Case, step: Step) -> None:
    assert step.examples.logits is not None
    logits = "generated_segmentation_logits_step1"
    _hold(case, step.examples.images, "generated_image_step1", "generated")
    _hold(case, step.examples.logits, logits, "generated")
    _hold(case, step.examples.logits[:1], f"{logits}_sample0", "generated")


def _hold_first(
    case: Case, gradients: dict[str, Tensor], changes: dict[str, Tensor], again: _Updates
) -> None:
    """Compare gradients and changes of the first update, changes where the gradient's sign is clear.

    Where the case's tolerance is not met, twice what float32 leaves open of that gradient is allowed.
    """
    stated = case.spec["tolerance"].get("delta_over_lr_step1", {})
    match = re.search(r"> ([\d.e-]+\d)", str(stated.get("where", "")))
    share, bound = float(match[1]) if match else 0.0, float(stated.get("atol", 0.02))
    open_parts: dict[str, float] = {}
    for array, expected in case.arrays.items():
        what, _, named = array.partition("__")
        if what not in ("grad_step1", "delta_over_lr_step1"):
            continue
        key = ".".join(named.split("__"))
        # Of large kernels the case gives the first rows.
        gradient, changed = (values[key][: len(expected)] for values in (gradients, changes))
        try:
            if what == "grad_step1":
                _hold(case, gradient, array, "grad_step1")
                continue
            worst = _worst(changed, expected, gradient.abs() > share * gradients[key].abs().max())
            assert worst <= bound
        except AssertionError:
            open_parts = open_parts or again.undetermined()
            left = 2 * open_parts[key]
            if what == "grad_step1":
                worst = float((gradient - torch.from_numpy(expected)).abs().max())
                bound_here = left
            else:
                clear = gradient.abs() > share * gradients[key].abs().max() + left
                worst, bound_here = _worst(changed, expected, clear), bound
            assert worst <= bound_here, (
                f"{case.path.stem}: {array} is off by {worst:.3g}, float32 leaves {bound_here:.3g}"
            )
        case.compared.append(array)


def _worst(changed: Tensor, expected: np.ndarray, where: Tensor) -> float:
    return float((changed - torch.from_numpy(expected))[where].abs().max())


def _hold_updates(case: Case, got: np.ndarray, array: str, group: str) -> None:
    """Compare update by update; tolerances may be given for the first and for the later ones."""
    stated = case.spec["tolerance"].get(array, case.spec["tolerance"].get(group, "exact"))
    parts = (
        {key: value for key, value in stated.items() if key.startswith("row")}
        if isinstance(stated, dict)
        else {}
    )
    expected = case.arrays[array]
    if not parts or expected.ndim == 1:
        value = parts.get("row1", stated) if parts else stated
        words = {**case.spec, "tolerance": {array: _sentence(value)}}
        replace(case, spec=words).check(array, got, expected, array)
        return
    for rows, value in parts.items():
        first, _, last = rows.removeprefix("rows").removeprefix("row").partition("_")
        chosen = slice(int(first) - 1, int(last or first))
        if "not compared" in str(value):
            continue
        here, there = got[chosen], expected[chosen]
        if match := re.fullmatch(r"column total only, (.*)", str(value)):
            here, there, value = here[:, -1], there[:, -1], match[1]
        words = {**case.spec, "tolerance": {array: _sentence(value)}}
        replace(case, spec=words).check(array, here, there, f"{array} {rows}")
