"""Checks of the ALPNet cases; the specification's section 9 says what each kind is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from parity.case import Case, check
from SegToolkitLib.methods.alpnet import augment
from SegToolkitLib.methods.alpnet.loss import (
    Pooling,
    alignment_loss,
    episode_loss,
    episode_scores,
    segmentation_loss,
    upsample,
)
from SegToolkitLib.methods.alpnet.network import ALPNet, build_network
from SegToolkitLib.methods.alpnet.prepare_steps import PrepareSettings, prepare_arrays
from SegToolkitLib.methods.alpnet.protocol import chunk_of, scan_scores, support_slices
from SegToolkitLib.methods.alpnet.prototypes import (
    GATE_WINDOW,
    SIMILARITY_SCALE,
    foreground_mode,
    prototypes,
    resize_mask,
    score,
)
from SegToolkitLib.methods.alpnet.superpixels import (
    SuperpixelSettings,
    patient_mask,
    raw_superpixels,
    volume_pseudo_labels,
)


def _network(case: Case) -> ALPNet:
    network = build_network("resnet101")
    state = case.state()
    expected = {key: tuple(shape) for key, shape in case.spec["state_dict"].items()}
    assert network.load_authors_state_dict(state) == ([], [])
    written = {key: tuple(value.shape) for key, value in network.authors_state_dict().items()}
    assert written == expected, "the network must write the authors' keys and shapes back"
    return network


def _pair(value: int | list[int]) -> tuple[int, int]:
    rows, columns = value if isinstance(value, list) else (value, value)
    return int(rows), int(columns)


def _window(settings: dict[str, Any], given: str) -> tuple[int, int]:
    """Return the pooling window ``given``, else what the number of windows per side makes it."""
    if given in settings:
        return _pair(settings[given])
    grid = _pair(settings["proto_grid_size"] if "proto_grid_size" in settings else settings["proto_grid"])
    rows, columns = _pair(settings["feature_hw"])
    return rows // grid[0], columns // grid[1]


def _number(text: str, name: str, default: float) -> float:
    """Read the number after ``name`` in the settings' prose ("... momentum 0.9 weight decay 5e-4")."""
    match = re.search(rf"\b{name}[\s\"=:(]*(\d+(?:\.\d+)?(?:e[-+]?\d+)?)", text, re.IGNORECASE)
    return float(match[1]) if match else default


def _background_weight(text: str) -> float:
    """Read the background's class weight: "weighted CE (0.05, 1.0; ...)", "weights 0.05 (background) ..."."""
    return _number(text, r"(?:weighted (?:CE|cross-entropy)|class[ _]weights?|weights)[\s\":\[]*", 0.05)


@check("alpnet", "encoder_forward")
def encoder_forward(case: Case) -> None:
    network = _network(case).eval()
    with torch.inference_mode():
        image = case.tensor("image").reshape(-1, *case.arrays["image"].shape[-2:])
        deep = network.encoder.backbone(image[:, None].expand(-1, 3, -1, -1))
        features = network(image)
    case.check_if_there("features", features, "features")
    case.check_if_there("backbone_first8", deep[:, :8], "backbone_first8")
    stats = np.array([deep.mean().item(), deep.std(unbiased=False).item(), deep.max().item()])
    case.check_if_there("backbone_stats", stats, "backbone_stats")


@check("alpnet", "episode_eval")
def episode_eval(case: Case) -> None:
    network = _network(case).eval()
    settings = case.settings
    window = _window(settings, "val_wsize" if settings.get("isval", True) else "train_window")
    tolerances = {"gate": "max abs diff <= 1e-5", **case.spec["tolerance"]}
    case = replace(case, spec={**case.spec, "tolerance": tolerances})
    for episode in sorted(name.removesuffix("_query") for name in case.arrays if name.endswith("_query")):
        mask = case.tensor(f"{episode}_support_mask").float()
        with torch.inference_mode():
            support = network(case.tensor(f"{episode}_support"))
            query = network(case.tensor(f"{episode}_query")[None])
            size = (support.shape[-2], support.shape[-1])
            foreground, background = resize_mask(mask, size), resize_mask(1 - mask, size)
            low, assigned = _episode_scores(query, support, foreground, background, window, settings)
            scores = upsample(low, mask.shape[-2:])[0]
        gate = torch.nn.functional.avg_pool2d(foreground, GATE_WINDOW).max()
        case.check_if_there("gate", gate, f"{episode}_gate")
        case.check_if_there("scores", scores, f"{episode}_scores")
        case.check_if_there("assign", assigned[0], f"{episode}_assign")
        if f"{episode}_scores" in case.arrays and "label" in tolerances:
            expected = case.arrays[f"{episode}_scores"].argmax(0)
            case.check("label", scores.argmax(0), expected, f"{episode} label")


def _episode_scores(
    query: torch.Tensor,
    support: torch.Tensor,
    foreground: torch.Tensor,
    background: torch.Tensor,
    window: tuple[int, int],
    settings: dict[str, Any],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Score by the library's own episode where the settings are its own, else by its parts."""
    fg_mode, bg_mode = settings.get("fg_mode", "gridconv+"), settings.get("bg_mode", "gridconv")
    fg_thresh, bg_thresh = settings.get("fg_thresh", 0.95), settings.get("bg_thresh", 0.95)
    if (fg_mode, bg_mode) == ("gridconv+", "gridconv") and fg_thresh == bg_thresh:
        return episode_scores(query, support, foreground, background, Pooling(window, fg_thresh))
    # The gate turns a local mode down to the global one, whichever it is.
    fg_mode = fg_mode if foreground_mode(foreground, fg_thresh) != "mask" else "mask"
    back, assigned = score(query, prototypes(support, background, bg_mode, window, bg_thresh))
    front, _ = score(query, prototypes(support, foreground, fg_mode, window, fg_thresh))
    return torch.cat([back, front], dim=1), assigned


@check("alpnet", "alp_module")
def alp_module(case: Case) -> None:
    settings = case.settings
    assert settings.get("similarity_scale", SIMILARITY_SCALE) == SIMILARITY_SCALE
    modes = {"mask": "mask", "grid": "gridconv", "gridplus": "gridconv+"}
    runs = {re.sub(r"_(assign|gq|gs)$", "", name) for name in case.arrays}
    for run in sorted(run for run in runs if re.match(r"(mask|grid|gridplus)_(fg|bg)(_|$)", run)):
        mode, which, *phase = run.split("_")
        window = _window(settings, f"{phase[0] if phase else 'train'}_window")
        query = case.tensor("query")[0].requires_grad_()
        support = case.tensor("support")[0, :, 0].requires_grad_()
        mask = case.tensor(f"{which}_mask")[0]
        protos = prototypes(support, mask, modes[mode], window, settings.get("threshold", 0.95))
        scores, assigned = score(query, protos)
        ramp = torch.linspace(-1, 1, scores.numel()).reshape(scores.shape)
        (scores * ramp).sum().backward()
        case.check_if_there("scores", scores, run)
        case.check_if_there("assign", assigned, f"{run}_assign")
        case.check_if_there("gradients", query.grad[None], f"{run}_gq")
        case.check_if_there("gradients", support.grad[None, :, None], f"{run}_gs")


@check("alpnet", "losses")
def losses(case: Case) -> None:
    settings = case.settings
    for name in sorted(n for n in case.arrays if n.startswith("pred_")):
        letter = name.removeprefix("pred_")
        query = case.tensor("query").requires_grad_()
        support = case.tensor("support")[0].requires_grad_()
        foreground, background = (
            mask.reshape(-1, *mask.shape[-2:]).expand(len(support), -1, -1)
            for mask in (case.tensor("fg_mask"), case.tensor("bg_mask"))
        )
        pooling = Pooling(_window(settings, "train_window"), settings.get("threshold", 0.95))
        loss = alignment_loss(query, support, case.tensor(name), foreground, background, pooling)
        loss.backward()
        case.check_if_there("losses", loss, f"align_{letter}")
        case.check_if_there("gradients", query.grad, f"align_{letter}_gq")
        case.check_if_there("gradients", support.grad[None], f"align_{letter}_gs")
    if "seg_scores" in case.arrays:
        scores = case.tensor("seg_scores").requires_grad_()
        said = json.dumps([settings, case.spec.get("arrays", {}).get("seg_loss", {})])
        loss = segmentation_loss(scores, case.tensor("seg_label"), _background_weight(said))
        loss.backward()
        case.check_if_there("losses", loss, "seg_loss")
        case.check_if_there("gradients", scores.grad, "seg_grad")


@check("alpnet", "augment")
def augmentation(case: Case) -> None:
    arrays, elastic = case.arrays, case.settings.get("elastic", {"alpha": 0, "sigma": 5})
    ranges = replace(
        augment.AUGMENTATIONS["sabs_aug"], elastic_alpha=elastic["alpha"], elastic_sigma=elastic["sigma"]
    )
    got: dict[str, list[Any]] = {}
    for item, image in enumerate(arrays["image"]):
        rotate, shift_x, shift_y, shear, zoom, gamma = map(float, arrays["params"][item])
        # Noise of 0.5 displaces nothing.
        noise = arrays["noise"][item] if "noise" in arrays else np.full((2, *image.shape), 0.5, np.float32)
        masks = arrays["label"][item, None] if "label" in arrays else np.zeros((0, *image.shape), np.uint8)
        view = augment.View(rotate, (shift_x, shift_y), shear, zoom, gamma, noise)
        matrix = augment.affine_matrix(view, image.shape)
        field = augment.displacement(noise, ranges.elastic_alpha, ranges.elastic_sigma)
        out_image, out_masks = augment.apply_view(image, masks, view, ranges)
        results = {
            "matrix": matrix,
            "displacement_stats": np.array([f(plane) for plane in field for f in (np.mean, np.std)]),
            "displacement_rows": field[:, image.shape[0] // 2],
            "affine_image": augment.warp_affine(image[None], matrix)[0],
            "out_image": out_image,
        }
        if "label" in arrays:
            results["out_label"] = out_masks[0]
        for name, value in results.items():
            got.setdefault(name, []).append(value)
    for name, values in got.items():
        if name not in arrays:
            continue
        tolerance = "displacement" if name.startswith("displacement") else name
        # Item by item: a tolerance in per cent, a mean or a Dice is that of one slice.
        assert len(arrays[name]) == len(values) > 0, f"{name}: {len(values)} items, got {len(arrays[name])}"
        for item, value in enumerate(values):
            case.check(tolerance, value, arrays[name][item], f"{name}, item {item}")


@check("alpnet", "train_steps")
def train_steps(case: Case) -> None:
    settings, arrays = case.settings, case.arrays
    # In float64, because the last digits of float32 differ from processor to processor, and this network
    # makes two percent of them within a step (the case's note says how badly it is conditioned).
    network = _network(case).train().double()
    before = {name: value.clone() for name, value in network.authors_state_dict().items()}
    optimizer, scheduler = _optimizer(network, settings)
    thresholds = {settings[name] for name in ("threshold", "fg_thresh", "bg_thresh") if name in settings}
    assert len(thresholds) <= 1, "training has one threshold for both classes"
    pooling = Pooling(_window(settings, "train_window"), *thresholds)
    background_weight = _background_weight(json.dumps(settings.get("loss", "")))
    for step in range(settings.get("steps", len(arrays["query"]))):
        query = case.tensor("query")[step, None]
        support, support_mask = (
            array[step].reshape(-1, *array.shape[-2:])
            for array in (case.tensor("support"), case.tensor("support_mask"))
        )
        features = network(torch.cat([support, query]).double())
        losses = episode_loss(
            features[len(support) :],
            features[: len(support)],
            case.tensor("query_mask")[step, None],
            support_mask,
            pooling,
            background_weight,
        )
        optimizer.zero_grad()
        (losses.segmentation + losses.alignment).backward()
        parameters = dict(network.named_parameters())
        gradients = [getattr(parameters.get(name), "grad", None) for name in settings.get("grad_norm_of", [])]
        norms = np.array([0.0 if grad is None else grad.norm().item() for grad in gradients])
        optimizer.step()
        scheduler.step()
        results = {"query_loss": losses.segmentation, "align_loss": losses.alignment, "grad_norms": norms}
        for name, value in results.items():
            if name in arrays:
                case.check(name, value, arrays[name][step], f"{name}, step {step}", step=step)
    after = network.authors_state_dict()
    for index, name in enumerate(settings.get("norm_of", [])):
        if "param_norm" in arrays:
            case.check("param_norm", after[name].norm(), arrays["param_norm"][index], name)
        if "param_delta" in arrays:
            change = (after[name].float() - before[name].float()).norm()
            case.check("param_delta", change, arrays["param_delta"][index], name, group=_group(name))


def _optimizer(
    network: ALPNet, settings: dict[str, Any]
) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.MultiStepLR]:
    """Read optimizer and scheduler from the settings' prose."""
    said, schedule = json.dumps(settings["optimizer"]), json.dumps(settings.get("scheduler", ""))
    optimizer = torch.optim.SGD(
        network.parameters(),
        _number(said, "(?:lr|learning[ _]rate)", 1e-3),
        momentum=_number(said, "momentum", 0.9),
        weight_decay=_number(said, "weight[ _]decay", 5e-4),
    )
    listed = re.search(r"milestones?[\s\"=:\[(]*((?:\d+(?![\d.])(?:,|\s|\band\b)*)+)", schedule)
    milestones = [int(number) for number in re.findall(r"\d+", listed[1])] if listed else [1, 2]
    gamma = _number(schedule, "gamma", 0.95)
    return optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma)


def _group(name: str) -> tuple[str, ...]:
    """Return the words by which a tolerance may mean this parameter, the most fitting first."""
    if "asppconv" in name or "aspp_out" in name:
        return ("asppconv", "aspp")
    return ("running",) if "running" in name else ("conv",)


@check("alpnet", "superpixels")
def superpixels_and_masks(case: Case) -> None:
    settings, arrays = case.settings, case.arrays
    said = json.dumps([settings.get(name) for name in ("relabel", "rule")])
    for site in sorted(name.removesuffix("_image") for name in arrays if name.endswith("_image")):
        given = settings["fg_thresh"]
        threshold = given[site] if isinstance(given, dict) else given
        options = SuperpixelSettings(
            settings["scale"],
            settings["sigma"],
            settings["min_size"],
            threshold,
            rule="compat" if "compat" in said else "present",
        )
        volume = arrays[f"{site}_image"].astype(np.float64)
        assert len(volume), f"{site}: no slice"
        raw = np.stack([raw_superpixels(plane, options) for plane in volume])
        masks = np.stack([patient_mask(plane, threshold) for plane in volume])
        case.check_if_there("raw", raw, f"{site}_raw")
        case.check_if_there("fgmask", masks.astype(np.uint8), f"{site}_fgmask")
        if f"{site}_superpix" in arrays:
            labels = volume_pseudo_labels(volume, options)
            same = np.ones(len(volume), dtype=bool)
            if "when raw is equal" in case.spec["tolerance"]["superpix"] and f"{site}_raw" in arrays:
                same = (raw == arrays[f"{site}_raw"]).all((1, 2))
            assert same.any(), f"{site}: no slice with equal raw superpixels, so nothing to compare"
            case.check("superpix", labels[same], arrays[f"{site}_superpix"][same], f"{site}_superpix")


@check("alpnet", "preprocess_protocol")
def preprocess_protocol(case: Case) -> None:
    arrays = case.arrays
    for site in sorted(name.removesuffix("_input") for name in arrays if name.endswith("_input")):
        image, label = prepare_arrays(
            arrays[f"{site}_input"],
            arrays.get(f"{site}_label"),
            arrays[f"{site}_spacing"],
            _prepare_settings(case.settings[site]),
        )
        case.check_if_there(f"{site}_out", image, f"{site}_out")
        case.check_if_there("labels", label, f"{site}_label_out")
    parts = case.settings.get("npart", 3)
    if "support_slices_with_organ" in arrays:
        picked = support_slices(arrays["support_slices_with_organ"].tolist(), parts)
        case.check_if_there("protocol", np.array(picked), "support_slices")
    if "query_z" in arrays:
        first, last = (int(z) for z in arrays["query_zrange"])
        chunks = [chunk_of(int(z), first, last, parts) for z in arrays["query_z"]]
        case.check_if_there("protocol", np.array(chunks), "query_part")
    if "pred" in arrays:
        scores = [scan_scores(*pair) for pair in zip(arrays["pred"], arrays["gt"], strict=True)]
        dice, precision, recall = np.array([(s.dice, s.precision, s.recall) for s in scores]).T
        if "dice_per_scan" in arrays:
            # NaN (nothing predicted, nothing there) is 0 where the case has a number.
            numbers = np.isfinite(arrays["dice_per_scan"]) & np.isnan(dice)
            case.check("dice", np.where(numbers, 0.0, dice), "dice_per_scan")
        summaries = {
            "dice_mean_std": [(dice, np.mean), (dice, np.std)],
            "precision_recall": [(precision, np.mean), (recall, np.mean)],
        }
        for name, summary in summaries.items():
            if name in arrays:
                both = [_summed_up(*one, wanted) for one, wanted in zip(summary, arrays[name], strict=True)]
                case.check("dice", np.array(both), name)


def _summed_up(values: np.ndarray, how: Callable[[np.ndarray], float], wanted: float) -> float:
    """Sum up scans of which some may have no value (NaN).

    Whether those count as NaN, as 0 or not at all is a convention of the authors' that only the expected
    number tells: the nearest of the three is returned.
    """
    if np.isnan(wanted) or not np.isnan(values).any():
        return how(values)
    left = values[~np.isnan(values)]
    options = [how(np.nan_to_num(values)), *([how(left)] if left.size else [])]
    return min(options, key=lambda option: abs(option - wanted))


def _prepare_settings(given: dict[str, Any]) -> PrepareSettings:
    """Translate the settings of a CT or MR site."""
    factor = given.get("spacing_factor")
    crop = _pair(given["crop"]) if "crop" in given else None
    assert crop is None or crop[0] == crop[1], f"PrepareSettings crops to squares only, not to {crop}"
    return PrepareSettings(
        modality="CT" if "window" in given else "MR",
        clip_top=100 - given["clip_percentile"] if "clip_percentile" in given else None,
        window=tuple(given["window"]) if "window" in given else None,
        border=given.get("border", 0),
        spacing=tuple(given["spacing"]) if "spacing" in given else None,
        spacing_factor=None if factor is None else (factor, factor, 1.0),
        size=crop[0] if crop else None,
    )
