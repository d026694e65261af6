"""Checks of the PDCR and UAFR cases; the specification's section 9 explains each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from math import ceil
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from parity.case import Case, check
from parity.fill import filled_state
from SegToolkitLib.evaluation.confusion import Confusion
from SegToolkitLib.evaluation.image_scores import ImageScores, score_table
from SegToolkitLib.methods.pdcr_uafr.layers import decoder_cells, encoder_cells, pdcr_layers
from SegToolkitLib.methods.pdcr_uafr.loss import cross_loss, single_loss
from SegToolkitLib.methods.pdcr_uafr.network import HEAD_NAMES, DeepLab
from SegToolkitLib.methods.pdcr_uafr.network3d import UNet3d, UNet3dPlan
from SegToolkitLib.methods.pdcr_uafr.optimiser import build_optimiser
from SegToolkitLib.methods.pdcr_uafr.pdcr import PDCR, Layer, Target, sample, soft_labels
from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import RULES_3D, PdcrRules, PdcrSettings
from SegToolkitLib.methods.pdcr_uafr.plan import (
    DEFAULT_POSITIONS,
    POSITIONS,
    InputPlan,
    NetworkPlan,
    UafrPlan,
)
from SegToolkitLib.methods.pdcr_uafr.resizing import classes_at
from SegToolkitLib.methods.pdcr_uafr.sampling import Cells, raster
from SegToolkitLib.methods.pdcr_uafr.schedule import rates
from SegToolkitLib.methods.pdcr_uafr.settings import OptimiserSettings, ScheduleSettings
from SegToolkitLib.methods.pdcr_uafr.step import NAMES, training_step
from SegToolkitLib.methods.pdcr_uafr.uafr import UAFR, Confidence, confidence_maps

N = TypeVar("N", bound=nn.Module)
METRICS = {"mDice": "dice", "mIoU": "iou"}
SCHEDULES = {"cos": "cosine", "step": "step", "exp": "exponential"}


def _hold(case: Case, group: str, got: Any, array: str) -> None:
    """Compare with an array that a case may leave out, by its own tolerance, or else that of its group.

    A group may name exceptions in brackets: "1e-4 (encoder_out: 1e-3 relative to the array maximum)".
    """
    if array not in case.arrays:
        return
    stated = case.spec["tolerance"]
    sentence = str(stated[array] if array in stated else stated.get(group, stated.get("all")))
    for remark in re.findall(r"\(([^()]*)\)", sentence):
        name, colon, words = remark.partition(":")
        if colon and array.startswith(name.strip()):
            number, *rest = words.split()
            sentence = f"max abs error <= {number} {' '.join(rest)}"
    spec = {**case.spec, "tolerance": {array: sentence}}
    replace(case, spec=spec).check(array, got, array)


def _scale(case: Case) -> float:
    return case.spec.get("weight_scale", case.settings.get("weight_scale", 1.0))


def _built(kind: Callable[[], N]) -> N:
    """A network without weights, which takes no time."""
    with torch.device("meta"):
        return kind()


def _fill(case: Case, network: N) -> N:
    """Give a network the case's weights; where the case lists them, all keys and shapes must be its own."""
    own = {key: list(value.shape) for key, value in network.state_dict().items()}
    listed = case.spec.get("state_dict")
    if isinstance(listed, dict):
        assert own == listed, "the network must have the authors' keys and shapes"
    network.load_state_dict(filled_state(own, _scale(case)), assign=True)
    return network.requires_grad_()


def _thinned(found: Tensor, expected: np.ndarray, array: str) -> Tensor:
    """Every so-manieth channel, as the array's name says, and cell, as its shape says; the first image."""
    axes = found.ndim - 2
    found = found[0] if expected.ndim < found.ndim else found
    step = int(match[1]) if (match := re.search(r"_every(\d+)$", array)) else 1
    sizes = zip(found.shape[-axes:], expected.shape[-axes:], strict=True)
    cells = [slice(None, None, ceil(n / m)) for n, m in sizes]
    return found[(..., slice(None, None, step), *cells)]


def _plan(settings: dict[str, Any], **changes: Any) -> NetworkPlan:
    flags = settings.get("uncertainty_att_layerchoice", UafrPlan(positions=DEFAULT_POSITIONS).flags)
    return NetworkPlan(
        output_stride=settings.get("output_stride", 16), uafr=UafrPlan(positions=flags), **changes
    )


def _images(case: Case) -> Tensor:
    plan = InputPlan()
    mean = torch.tensor(case.settings.get("mean", plan.mean))
    std = torch.tensor(case.settings.get("std", plan.std))
    scaled = case.tensor("image_uint8").float() / plan.intensity_scale
    return ((scaled - mean) / std).permute(0, 3, 1, 2).contiguous()


@check("pdcr_uafr", "net2d_forward")
def net2d_forward(case: Case) -> None:
    network = _built(lambda: DeepLab(_plan(case.settings), case.settings["num_classes"]))
    _fill(case, network).eval()
    images = _images(case)
    patterns = {
        r"hid_layer(\d)": "encoder.{}",
        r"cross_embed(\d)": "cross.{}",
        r"dec_(low|mid)": "decoder.{}",
    }
    features = {
        array: target.format(match[1])
        for array in case.arrays
        for pattern, target in patterns.items()
        if (match := re.match(rf"{pattern}(?:_every\d+)?$", array))
    }
    with torch.inference_mode():
        with confidence_maps(network) as maps:
            logits, found = network.with_features(images, sorted(set(features.values())))
        deep, _, _ = network.backbone(images)
    _hold(case, "logits", logits, "logits")
    for array, name in features.items():
        _hold(case, "others", _thinned(found[name], case.arrays[array], array), array)
    for array, expected in case.arrays.items():
        if match := re.match(r"confidence_(\d+)$", array):
            got = maps[HEAD_NAMES[POSITIONS[int(match[1])]]]
            _hold(case, "others", got.reshape(expected.shape), array)
        elif array.startswith("encoder_out"):
            _hold(case, "others", _thinned(deep, expected, array), array)


def _head(case: Case, prefix: str) -> tuple[UAFR, str]:
    """The case's head whose keys begin so, and what comes before the numbers in its keys."""
    shapes = case.spec["state_dict"]
    first = next(key for key in shapes if key.startswith(prefix) and key.endswith(".0.weight"))
    stem = first.removesuffix("0.weight")
    hidden, channels, kernel, *_ = shapes[first]
    own = {key.removeprefix(stem): shape for key, shape in shapes.items() if key.startswith(stem)}
    last = next(key for key in ("3.weight", "4.weight") if key in own)
    head = UAFR(
        channels,
        hidden,
        kernel,
        norm="batch" if "1.running_mean" in own else "instance",
        dims=len(shapes[first]) - 2,
        dropout=0.1 if last == "4.weight" else 0.0,
        bias="0.bias" in own,
        classes=own[last][0],
    )
    assert {key: list(one.shape) for key, one in head.state_dict().items()} == own
    filled = filled_state({f"{stem}{key}": shape for key, shape in own.items()}, _scale(case))
    head.load_state_dict({key.removeprefix(stem): value for key, value in filled.items()})
    return head, stem


@check("pdcr_uafr", "uafr_block")
def uafr_block(case: Case) -> None:
    for name, prefix in {"enc": "encoder.", "dec": "decoder.", "vol": "att."}.items():
        if f"{name}_feature" not in case.arrays:
            continue
        head, _ = _head(case, prefix)
        head.eval()
        feature = case.tensor(f"{name}_feature").requires_grad_()
        kept = feature.detach().clone()
        out = head(feature)
        _hold(case, "out", out, f"{name}_out")
        _hold(case, "confidence", head.confidence(feature), f"{name}_confidence")
        if f"{name}_probe" in case.arrays:
            (out * case.tensor(f"{name}_probe")).sum().backward()
            _hold(case, "grad", feature.grad, f"{name}_grad")
        assert torch.equal(feature.detach(), kept), "the head must not change its input"
        if f"{name}_out_trainmode" in case.arrays:
            _hold(case, "out", head.train()(kept), f"{name}_out_trainmode")
    if "extreme_logits" in case.arrays:
        confidence = Confidence()(case.tensor("extreme_logits"))
        for array in ("extreme_confidence_2d", "extreme_confidence_3d"):
            _hold(case, "confidence", confidence, array)


def _grid(size: tuple[int, ...], stride: int) -> list[int]:
    return [ceil(n / stride) for n in size]


@check("pdcr_uafr", "soft_labels_2d")
def soft_labels_2d(case: Case) -> None:
    settings = case.settings
    for array, expected in case.arrays.items():
        if match := re.match(r"rf_table_(\d+)(?:x(\d+))?$", array):
            rows = [*encoder_cells(settings.get("output_stride", 16)), *decoder_cells().values()]
            height, width = int(match[1]), int(match[2] or match[1])
            table = [
                [one.offset] * 2 + [one.stride] * 2 + [one.field] * 2
                + [ceil(width / one.stride), ceil(height / one.stride)]
                for one in rows[: len(expected)]
            ]  # fmt: skip
            _hold(case, "index", np.array(table), array)
    if "grid_hwn" in case.arrays:
        wanted = np.full_like(case.arrays["grid_index_rc"], -1)
        for row, (height, width, count) in enumerate(case.arrays["grid_hwn"].tolist()):
            positions = raster((height, width), count)
            wanted[row, : len(positions)] = positions.numpy()
        _hold(case, "index", wanted, "grid_index_rc")
    mask = case.tensor("mask")
    size = tuple(mask.shape[2:])
    sizes = tuple(settings["patch_sizes"])
    chosen = {**settings.get("layers", {}), **settings.get("cross_layers", {})}
    for name, one in chosen.items():
        cross = name in settings.get("cross_layers", {})
        cells = Cells(one["stride"], 1, one.get("centre_offset", 0))
        margin = one.get("margin", settings.get("margin", 9))
        layer = Layer(name, "cross" if cross else "encoder", one["samples"], margin, (cells, cells))
        grid = _grid(size, one["stride"])
        rules = PdcrRules(patch_sizes=sizes, cross_sampler="raster")
        positions = sample(layer, grid, rules)
        _hold(case, "index", positions, f"{name}_index_rc")
        target = Target.of(mask, mask, name, rules)
        _hold(case, "ratio", soft_labels(layer, positions, grid, target, rules)[..., 0], f"{name}_ratio")
        array = f"{name}_ratio_as_released"
        if array in case.arrays:
            released = rules.model_copy(update={"positions": "released"})
            got = soft_labels(layer, positions, grid, target, released)[..., 0]
            # Outside the image the authors' mean of nothing is NaN.
            known = ~np.isnan(case.arrays[array])
            arrays = {**case.arrays, array: case.arrays[array][known]}
            _hold(replace(case, arrays=arrays), "ratio", got.numpy()[known], array)


@check("pdcr_uafr", "pdcr_loss_2d")
def pdcr_loss_2d(case: Case) -> None:
    settings = case.settings
    temperature = settings.get("temperature", 1.0)
    for array in case.arrays:
        match = re.fullmatch(r"(single|cross)_(series|avg)_(paper|released)", array)
        if match is None:
            continue
        kind, mode, form = match.groups()
        ratios = "ratios" if kind == "single" else "cross_ratios_a"
        weights = settings.get("patch_size_weights") or [1.0] * case.arrays[ratios].shape[1]
        options: dict[str, Any] = {
            "average": weights if mode == "avg" else None,
            "form": form,
            "reduction": "mean" if form == "paper" else "sum",
        }
        if kind == "single":
            given = {"": case.tensor("features").requires_grad_()}
            loss = single_loss(given[""], case.tensor("ratios")[..., None], temperature, **options)
        else:
            given = {f"_{end}": case.tensor(f"cross_features_{end}").requires_grad_() for end in "ab"}
            shares = [case.tensor(f"cross_ratios_{end}")[..., None] for end in "ab"]
            loss = cross_loss(*given.values(), *shares, temperature, **options)
        loss.backward()
        _hold(case, form, loss, array)
        for end, features in given.items():
            _hold(case, "grad", features.grad, f"{array}_grad{end}")


def _triple(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (int(value),) * 3


@check("pdcr_uafr", "pdcr_loss_3d")
def pdcr_loss_3d(case: Case) -> None:
    settings = case.settings
    labels = case.tensor("labels").long()
    names = [re.fullmatch(r"feature_stride(\w+)", array) for array in case.arrays]
    ends = [match[1] for match in names if match]
    layers = []
    for term, prefix in (("encoder", "feature"), ("cross", "embed")):
        rows = zip(ends, settings["jumps"], settings["rf_sizes"], settings["sample_strides"], strict=True)
        for end, jump, field, steps in rows:
            cells = tuple(Cells(j, f) for j, f in zip(_triple(jump), _triple(field), strict=True))
            if f"{prefix}_stride{end}" in case.arrays:
                layers.append(Layer(f"{prefix}_stride{end}", term, cells=cells, steps=_triple(steps)))
    for form, positions in (("right", "right"), ("released", "released")):
        rules = RULES_3D.model_copy(
            update={
                "temperature": settings["temperature"],
                "classes": settings["classes"],
                "positions": positions,
            }
        )
        features = {layer.name: case.tensor(layer.name).requires_grad_() for layer in layers}
        terms = PDCR(layers, rules)(features, labels)
        _hold(case, "loss", terms.encoder, f"single_{form}")
        _hold(case, "loss", terms.cross, f"cross_{form}")
        (terms.encoder + terms.cross).backward()
        for kind, prefix in (("single", "feature"), ("cross", "embed")):
            own = {
                end: features[f"{prefix}_stride{end}"] for end in ends if f"{prefix}_stride{end}" in features
            }
            norms = torch.stack([one.grad.norm() for one in own.values() if one.grad is not None])
            _hold(case, "grad", norms, f"{kind}_{form}_grad_norms")
            for end, one in own.items():
                _hold(case, "grad", one.grad, f"{kind}_{form}_grad{end}")
        for layer, end in zip(layers, ends, strict=False):
            array = f"ratio_stride{end}_{form}"
            if array in case.arrays:
                found = features[layer.name]
                grid = found.shape[2:]
                target = Target.of(labels, found, layer.name, rules)
                ratios = soft_labels(layer, sample(layer, grid, rules), grid, target, rules)
                _hold(case, "ratio", ratios.reshape(case.arrays[array].shape), array)


@check("pdcr_uafr", "net3d_forward")
def net3d_forward(case: Case) -> None:
    plan, classes = UNet3dPlan.of_shapes(case.spec["state_dict"])
    assert classes == case.settings.get("num_classes", classes)
    network = _fill(case, _built(lambda: UNet3d(plan, classes))).eval()
    with torch.inference_mode(), confidence_maps(network) as maps:
        found = network.with_features(case.tensor("input"))
        assert torch.equal(network(case.tensor("input")), found.logits[0])
    for array, expected in case.arrays.items():
        if match := re.fullmatch(r"logits_(\d+)", array):
            _hold(case, "logits", found.logits[int(match[1])], array)
        elif match := re.fullmatch(r"confidence_(\d+)", array):
            _hold(case, "others", maps[f"att.{match[1]}"].reshape(expected.shape), array)
        elif match := re.match(r"(skip|embed)(\d+)", array):
            kind = {"skip": "skip", "embed": "projected"}[match[1]]
            feature = found.features[f"{kind}.{match[2]}"]
            _hold(case, "others", _thinned(feature, expected, array), array)


class _Training:
    """A training case from its beginning."""

    def __init__(self, case: Case) -> None:
        given = case.settings
        self.case = case
        self.masks = case.tensor("mask")[:, 0].long()
        self.images = _images(case)
        self.settings = PdcrSettings(
            temperature=given["temperature"],
            patch_sizes=given["patch_sizes"],
            encoder_layers=given["encoder_layers"]["layers"],
            encoder_samples=given["encoder_layers"]["samples"],
            decoder_samples=given["decoder_features"],
            cross_layers=given["cross_layers"]["layers"],
            cross_samples=given["cross_layers"]["samples"],
            cross_sampler="raster",
        )
        changes: dict[str, Any] = {}
        if given.get("dropout") == 0:
            # The heads' keys count their dropout, so it is switched off below.
            changes = {"dropout": 0, "last_dropout": 0}
        self.network = _built(lambda: DeepLab(_plan(given, **changes), len(given["class_weight"])))
        for part in self.network.modules():
            if isinstance(part, nn.Dropout) and given.get("dropout") == 0:
                part.p = 0.0
        self.layers = pdcr_layers(self.network.plan, self.settings, tuple(self.images.shape[2:]))
        self.pdcr = PDCR(self.layers, self.settings)
        _fill(case, self.network).train()

    def losses(self) -> tuple[np.ndarray, Tensor]:
        weights = self.case.settings["class_weight"]
        step = training_step(
            self.network, self.images, self.masks, self.settings, self.pdcr, class_weights=weights
        )
        values = [*(step.losses[name] for name in NAMES), step.total.detach()]
        return torch.stack(values).numpy(), step.total

    def ratios(self, layer: Layer) -> Tensor:
        assert layer.cells is not None
        size = tuple(self.masks.shape[1:])
        grid = [ceil(n / cells.stride) for n, cells in zip(size, layer.cells, strict=True)]
        target = Target.of(self.masks, self.images, layer.name, self.settings)
        return soft_labels(layer, sample(layer, grid, self.settings), grid, target, self.settings)[..., 0]


@check("pdcr_uafr", "train_steps_2d")
def train_steps_2d(case: Case) -> None:
    training = _Training(case)
    network, settings = training.network, case.settings
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with torch.no_grad():
        _hold(case, "losses_trainmode_bn", training.losses()[0], "losses_trainmode_bn")
        for name in ("running_mean", "running_var"):
            _hold(case, "bn1", getattr(network.backbone.bn1, name), f"bn1_{name}")
    # The steps have the first weights' running statistics, and leave them.
    network.load_state_dict(before, strict=False)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
    with torch.no_grad():
        cross = []
        for layer in training.layers:
            ratios = training.ratios(layer)
            if layer.term == "cross":
                cross.append(ratios)
            array = layer.name.replace("encoder.", "enc").replace("decoder.", "dec_")
            _hold(case, "ratios", ratios, f"{array}_ratio")
        if cross:
            _hold(case, "ratios", torch.stack(cross), "cross_ratio")
    chosen = OptimiserSettings(
        name=settings["optimizer"],
        learning_rate=settings["lr"],
        momentum=settings.get("momentum") or 0.0,
        betas=settings.get("betas") or (0.9, 0.999),
        weight_decay=settings.get("weight_decay", 0.0),
    )
    optimiser = build_optimiser(network.parameters(), chosen)
    parameters = dict(network.named_parameters())
    watched = [parameters[name] for name in settings["norm_params_in_grad_norms"]]
    rows = []
    for step in range(settings["steps"]):
        losses, total = training.losses()
        rows.append(losses)
        optimiser.zero_grad()
        total.backward()
        norms = torch.stack([one.grad.norm() for one in watched if one.grad is not None])
        _hold(case, "grad_norms", norms, f"grad_norms_step{step}")
        optimiser.step()
        sizes = torch.stack([one.detach().norm() for one in watched])
        _hold(case, "param_norms", sizes, f"param_norms_after{step + 1}")
    with torch.no_grad():
        rows.append(training.losses()[0])
    for group, part in (("losses_row0", slice(1)), ("losses_later", slice(1, None))):
        got, expected = np.stack(rows)[part], case.arrays["losses"][part]
        named = replace(case, arrays={**case.arrays, "losses": expected})
        _hold(named, group, got, "losses")


def _metric_row(scores: ImageScores, columns: list[str], which: str) -> list[float]:
    row = [
        scores.accuracy if name == "Acc" else getattr(scores, f"{which}_{METRICS[name]}") for name in columns
    ]
    return [-1.0 if np.isnan(value) else value for value in row]


@check("pdcr_uafr", "eval_and_schedule")
def eval_and_schedule(case: Case) -> None:
    settings = case.settings
    classes, columns = settings["num_classes"], settings["metric_columns"]
    truth = case.arrays["gt"][:, 0]
    for resize in ("first", "after"):
        end = f"resize_{resize}"
        found = classes_at(case.tensor("logits"), truth.shape[1:], resize).numpy()
        _hold(case, "pred", found, f"pred_{end}")
        tables = []
        for one, other in zip(truth, found, strict=True):
            table = Confusion(classes)
            table.add(one, other)
            tables.append(table)
        _hold(case, "pred", np.stack([table.counts for table in tables]), f"confusion_{end}")
        scores = [ImageScores.of(table, "released") for table in tables]
        for array, which in (("all_classes", "all_class"), ("foreground", "foreground")):
            rows = np.array([_metric_row(one, columns, which) for one in scores])
            _hold(case, "metrics", rows, f"per_image_{array}_{end}")
        macro = score_table(tables, "released", decimals=4).macro
        for array, which in (("all_classes", "all_class"), ("foreground", "foreground")):
            means = [
                macro["accuracy" if name == "Acc" else f"{which}_{METRICS[name]}"].mean for name in columns
            ]
            _hold(case, "metrics", np.array(means), f"mean_{array}_{end}")
    if "lr_table" in case.arrays:
        given = settings["schedule"]
        schedule = ScheduleSettings(
            kind=SCHEDULES[given.get("mode", "cos")],
            warm_up=given.get("warmup", 0),
            warm_up_from=given.get("start_warmup", 0.0),
            final=given.get("final_lr", 0.0),
            step_factor=given.get("step_decay", 0.1),
        )
        table = rates(schedule, given["base_lr"], given["epochs"], given["iterations_per_epoch"])
        _hold(case, "lr", table, "lr_table")
