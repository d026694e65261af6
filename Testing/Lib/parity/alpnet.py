"""Checks of the ALPNet cases; the specification's section 9 says what each kind is."""

from __future__ import annotations

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
from SegToolkitLib.methods.alpnet.prototypes import GATE_WINDOW, prototypes, resize_mask, score
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


@check("alpnet", "encoder_forward")
def encoder_forward(case: Case) -> None:
    network = _network(case).eval()
    with torch.inference_mode():
        image = case.tensor("image")[None]
        deep = network.encoder.backbone(image[:, None].expand(-1, 3, -1, -1))
        features = network(image)
    case.check("features", features, "features")
    case.check("backbone_first8", deep[:, :8], "backbone_first8")
    stats = np.array([deep.mean().item(), deep.std(unbiased=False).item(), deep.max().item()])
    case.check("backbone_stats", stats, "backbone_stats")


@check("alpnet", "episode_eval")
def episode_eval(case: Case) -> None:
    network = _network(case).eval()
    window = case.settings["val_wsize"]
    pooling = Pooling((window, window), case.settings["fg_thresh"])
    episodes = sorted({name.split("_")[0] for name in case.arrays})
    assert episodes
    for episode in episodes:
        mask = case.tensor(f"{episode}_support_mask").float()
        with torch.inference_mode():
            support = network(case.tensor(f"{episode}_support"))
            query = network(case.tensor(f"{episode}_query")[None])
            size = (support.shape[-2], support.shape[-1])
            foreground, background = resize_mask(mask, size), resize_mask(1 - mask, size)
            low, assigned = episode_scores(query, support, foreground, background, pooling)
            scores = upsample(low, mask.shape[-2:])[0]
        gate = torch.nn.functional.avg_pool2d(foreground, GATE_WINDOW).max().reshape(1)
        np.testing.assert_allclose(gate, case.arrays[f"{episode}_gate"], atol=1e-5)
        case.check("scores", scores, f"{episode}_scores")
        case.check("assign", assigned[0], f"{episode}_assign")
        case.check("label", scores.argmax(0), case.arrays[f"{episode}_scores"].argmax(0), f"{episode} label")


@check("alpnet", "alp_module")
def alp_module(case: Case) -> None:
    settings = case.settings
    windows = {"train": tuple(settings["train_window"]), "val": (settings["val_window"],) * 2}
    modes = {"mask": "mask", "grid": "gridconv", "gridplus": "gridconv+"}
    runs = {
        name.rsplit("_", 1)[0] if name.endswith(("_assign", "_gq", "_gs")) else name for name in case.arrays
    }
    runs = {run for run in runs if run.split("_")[0] in modes}
    assert runs
    for run in sorted(runs - {"mask"}):
        if run not in case.arrays:
            continue
        parts = run.split("_")
        which = parts[1]
        window = windows[parts[2]] if len(parts) > 2 else windows["train"]
        query = case.tensor("query")[0].requires_grad_()
        support = case.tensor("support")[0, :, 0].requires_grad_()
        mask = case.tensor(f"{which}_mask")[0]
        protos = prototypes(support, mask, modes[parts[0]], window, settings["threshold"])
        scores, assigned = score(query, protos)
        case.check("scores", scores, run)
        if f"{run}_assign" in case.arrays:
            case.check("assign", assigned, f"{run}_assign")
        if f"{run}_gq" in case.arrays:
            ramp = torch.linspace(-1, 1, scores.numel()).reshape(scores.shape)
            (scores * ramp).sum().backward()
            case.check("gradients", query.grad[None], f"{run}_gq")
            case.check("gradients", support.grad[None, :, None], f"{run}_gs")


@check("alpnet", "losses")
def losses(case: Case) -> None:
    settings = case.settings
    pooling = Pooling(tuple(settings["train_window"]), settings["threshold"])
    for name in sorted(n for n in case.arrays if n.startswith("pred_")):
        letter = name.removeprefix("pred_")
        query = case.tensor("query").requires_grad_()
        support = case.tensor("support")[0].requires_grad_()
        loss = alignment_loss(
            query,
            support,
            case.tensor(name),
            case.tensor("fg_mask")[None],
            case.tensor("bg_mask")[None],
            pooling,
        )
        loss.backward()
        case.check("losses", loss.reshape(1), f"align_{letter}")
        case.check("gradients", query.grad, f"align_{letter}_gq")
        case.check("gradients", support.grad[None], f"align_{letter}_gs")
    scores = case.tensor("seg_scores").requires_grad_()
    loss = segmentation_loss(scores, case.tensor("seg_label"))
    loss.backward()
    case.check("losses", loss.reshape(1), "seg_loss")
    case.check("gradients", scores.grad, "seg_grad")


@check("alpnet", "augment")
def augmentation(case: Case) -> None:
    affine, elastic = case.settings["affine"], case.settings["elastic"]
    ranges = augment.AugmentRanges(
        rotate=affine["rotate"],
        shift=affine["shift"][0],
        shear=affine["shear"],
        zoom=tuple(affine["scale"]),
        elastic_alpha=elastic["alpha"],
        elastic_sigma=elastic["sigma"],
        gamma=tuple(case.settings["gamma_range"]),
    )
    for item, (image, label) in enumerate(zip(case.arrays["image"], case.arrays["label"], strict=True)):
        rotate, shift_x, shift_y, shear, zoom, gamma = map(float, case.arrays["params"][item])
        view = augment.View(rotate, (shift_x, shift_y), shear, zoom, gamma, case.arrays["noise"][item])
        matrix = augment.affine_matrix(view, image.shape)
        field = augment.displacement(view.noise, ranges.elastic_alpha, ranges.elastic_sigma)
        middle = image.shape[0] // 2
        stats = [field[0].mean(), field[0].std(), field[1].mean(), field[1].std()]
        out_image, out_masks = augment.apply_view(image, label[None], view, ranges)
        case.check("matrix", matrix, case.arrays["matrix"][item])
        case.check("displacement", np.array(stats), case.arrays["displacement_stats"][item])
        case.check("displacement", field[:, middle], case.arrays["displacement_rows"][item])
        case.check(
            "affine_image", augment.warp_affine(image[None], matrix)[0], case.arrays["affine_image"][item]
        )
        case.check("out_image", out_image, case.arrays["out_image"][item])
        case.check("out_label", out_masks[0], case.arrays["out_label"][item])


@check("alpnet", "train_steps")
def train_steps(case: Case) -> None:
    settings = case.settings
    network = _network(case).train()
    before = {name: value.clone() for name, value in network.authors_state_dict().items()}
    learning_rate = float(settings["optimizer"].split("lr ")[1].split()[0])
    optimizer = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.9, weight_decay=5e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], 0.95)
    pooling = Pooling(tuple(settings["train_window"]))
    for step in range(settings["steps"]):
        support, query = case.tensor("support")[step], case.tensor("query")[step]
        features = network(torch.stack([support, query]))
        losses = episode_loss(
            features[1:],
            features[:1],
            case.tensor("query_mask")[step, None],
            case.tensor("support_mask")[step, None],
            pooling,
        )
        optimizer.zero_grad()
        (losses.segmentation + losses.alignment).backward()
        parameters = dict(network.named_parameters())
        norms = np.array([parameters[name].grad.norm().item() for name in settings["grad_norm_of"]])
        optimizer.step()
        scheduler.step()
        case.check("query_loss", losses.segmentation, case.arrays["query_loss"][step], step=step)
        case.check("align_loss", losses.alignment, case.arrays["align_loss"][step], step=step)
        case.check("grad_norms", norms, case.arrays["grad_norms"][step], step=step)
    after = network.authors_state_dict()
    for index, name in enumerate(settings["norm_of"]):
        change = (after[name] - before[name]).norm()
        case.check("param_norm", after[name].norm(), case.arrays["param_norm"][index], name)
        if "asppconv" in name or "aspp_out" in name:
            group = "asppconv"
        elif "running" in name:
            group = "running"
        else:
            group = "conv"
        case.check("param_delta", change, case.arrays["param_delta"][index], name, group=group)


@check("alpnet", "superpixels")
def superpixels_and_masks(case: Case) -> None:
    settings = case.settings
    for site, threshold in settings["fg_thresh"].items():
        options = SuperpixelSettings(
            settings["scale"], settings["sigma"], settings["min_size"], threshold, rule="compat"
        )
        volume = case.arrays[f"{site}_image"].astype(np.float64)
        raw = np.stack([raw_superpixels(plane, options) for plane in volume])
        masks = np.stack([patient_mask(plane, threshold) for plane in volume])
        for index in range(len(volume)):
            case.check("raw", raw[index], case.arrays[f"{site}_raw"][index], f"{site} raw, slice {index}")
        case.check("fgmask", masks.astype(np.uint8), f"{site}_fgmask")
        labels = volume_pseudo_labels(volume, options, workers=1)
        same = [np.array_equal(a, b) for a, b in zip(raw, case.arrays[f"{site}_raw"], strict=True)]
        case.check("superpix", labels[same], case.arrays[f"{site}_superpix"][same], f"{site}_superpix")


@check("alpnet", "preprocess_protocol")
def preprocess_protocol(case: Case) -> None:
    ct, mr = case.settings["ct"], case.settings["mr"]
    factor = ct["spacing_factor"]
    chosen = {
        "ct": PrepareSettings(
            modality="CT",
            window=tuple(ct["window"]),
            border=ct["border"],
            spacing_factor=(factor, factor, 1.0),
        ),
        "mr": PrepareSettings(
            modality="MR",
            clip_top=100 - mr["clip_percentile"],
            spacing=tuple(mr["spacing"]),
            size=mr["crop"][0],
        ),
    }
    for name, settings in chosen.items():
        image, label = prepare_arrays(
            case.arrays[f"{name}_input"],
            case.arrays[f"{name}_label"],
            case.arrays[f"{name}_spacing"],
            settings,
        )
        case.check(f"{name}_out", image, f"{name}_out")
        case.check("labels", label, f"{name}_label_out")
    parts = case.settings["npart"]
    picked = support_slices(case.arrays["support_slices_with_organ"].tolist(), parts)
    first, last = (int(z) for z in case.arrays["query_zrange"])
    chunks = [chunk_of(int(z), first, last, parts) for z in case.arrays["query_z"]]
    case.check("protocol", np.array(picked), "support_slices")
    case.check("protocol", np.array(chunks), "query_part")
    scores = [scan_scores(*pair) for pair in zip(case.arrays["pred"], case.arrays["gt"], strict=True)]
    dice = np.array([s.dice for s in scores])
    case.check("dice", dice, "dice_per_scan")
    case.check("dice", np.array([dice.mean(), dice.std()]), "dice_mean_std")
    means = [np.mean([s.precision for s in scores]), np.mean([s.recall for s in scores])]
    case.check("dice", np.array(means), "precision_recall")
