"""One update of cooperative training, held against the plain transcription of the specification."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cooperative_plain import Mask, PlainStep, build
from SegToolkitLib.methods.cooperative.loss import HARD, STANDARD, dice_loss
from SegToolkitLib.methods.cooperative.masking import Masked
from SegToolkitLib.methods.cooperative.network import NAMES, Networks, build_networks
from SegToolkitLib.methods.cooperative.norms import norms_of
from SegToolkitLib.methods.cooperative.optimiser import build_optimiser
from SegToolkitLib.methods.cooperative.plan import NetworkPlan
from SegToolkitLib.methods.cooperative.settings import OptimiserSettings, StepSettings
from SegToolkitLib.methods.cooperative.step import Step, cooperative_step

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTHS = (16, 16, 32, 16, 32)
CLASSES = 3
# Both ways compute in float64, where nothing but rounding may differ.
EXACT = {"rtol": 1e-7, "atol": 1e-9}


def networks_of(kind: torch.dtype = torch.float64, **plan: Any) -> Networks:
    return build_networks(NetworkPlan(channels=WIDTHS, **plan), CLASSES, seed=1).to(kind).train()


def batch(kind: torch.dtype = torch.float64, size: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    images = torch.rand(2, 1, size, size, generator=generator).to(kind)
    labels = torch.randint(CLASSES, (2, size, size), generator=generator)
    return images, labels, 0.05 * torch.randn(2, 1, size, size, generator=generator).to(kind)


def settings_of(image: str | None = "channel", shape: str | None = "spatial", **changes: Any) -> StepSettings:
    masking = {
        name: None if kind is None else {"kind": kind} for name, kind in (("image", image), ("shape", shape))
    }
    return StepSettings.model_validate({"masking": masking} | changes)


def step_of(networks: Networks, settings: StepSettings, seed: int = 0, **more: Any) -> Step:
    images, labels, noise = batch(next(networks.parameters()).dtype)
    generator = torch.Generator().manual_seed(seed)
    return cooperative_step(networks, images, labels, settings, generator, **({"noise": noise} | more))


def as_plain(mask: Masked | None) -> Mask:
    """The mask that was drawn, for the plain way to make from the gradients that it finds."""
    assert mask is not None
    factors, kept = (one.flatten(1) for one in (mask.factors, mask.kept))
    return Mask(mask.kind, mask.share, uniform=2 * factors, keep=kept)


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.grad for key, value in module.named_parameters() if value.grad is not None}


def counts(networks: Networks) -> list[int]:
    found = [{int(norm.num_batches_tracked) for norm in norms_of(networks[name])} for name in NAMES]
    assert all(len(numbers) == 1 for numbers in found)
    return [numbers.pop() for numbers in found]


@pytest.mark.parametrize("image", ["dropout", "channel", "spatial"])
@pytest.mark.parametrize("shape", ["dropout", "channel", "spatial"])
def test_losses_gradients_statistics_and_examples_are_those_of_the_plain_transcription(
    image: str, shape: str
) -> None:
    ours = networks_of()
    plain = build(CLASSES, WIDTHS).double().train()
    plain.load_state_dict(ours.state_dict())
    step = step_of(ours, settings_of(image, shape), seed=len(image) + len(shape))
    step.total.backward()
    images, labels, noise = batch()
    theirs = PlainStep(plain, as_plain(step.examples.image_mask), as_plain(step.examples.shape_mask))
    losses = theirs(images, labels, noise)
    losses["total"].backward()
    assert list(step.losses) == [*STANDARD, *HARD]
    expected = {name: value.detach() for name, value in losses.items()}
    torch.testing.assert_close({**step.losses, "total": step.total.detach()}, expected, **EXACT)
    assert theirs.examples is not None
    for one, other in zip((step.examples.images, step.examples.logits), theirs.examples, strict=True):
        torch.testing.assert_close(one, other.detach(), **EXACT)
    torch.testing.assert_close(gradients(ours), gradients(plain), **EXACT)
    torch.testing.assert_close(dict(ours.named_buffers()), dict(plain.named_buffers()), **EXACT)


def test_float32_is_near_the_plain_transcription() -> None:
    ours = networks_of(torch.float32)
    plain = build(CLASSES, WIDTHS).train()
    plain.load_state_dict(ours.state_dict())
    step = step_of(ours, settings_of("dropout", "dropout"))
    step.total.backward()
    images, labels, noise = batch(torch.float32)
    theirs = PlainStep(plain, as_plain(step.examples.image_mask), as_plain(step.examples.shape_mask))
    losses = theirs(images, labels, noise)
    losses["total"].backward()
    for name, value in step.losses.items():
        torch.testing.assert_close(value, losses[name].detach(), rtol=1e-4, atol=0)
    mine, wanted = gradients(ours), gradients(plain)
    for name in NAMES:
        one, other = (
            torch.cat([g.flatten() for key, g in found.items() if key.startswith(name)])
            for found in (mine, wanted)
        )
        assert (one - other).norm() < 0.03 * other.norm(), name


@pytest.mark.parametrize(
    ("image", "shape", "expected"),
    [
        ("dropout", "dropout", [1, 2, 1, 2, 2]),
        ("channel", "dropout", [1, 3, 1, 2, 2]),
        ("dropout", "spatial", [1, 2, 2, 2, 2]),
        ("spatial", "channel", [1, 3, 2, 2, 2]),
        (None, "channel", [1, 1, 2, 2, 2]),
        ("channel", None, [1, 3, 1, 2, 2]),
    ],
)
def test_running_statistics_are_updated_as_often_as_in_the_release(
    image: str | None, shape: str | None, expected: list[int]
) -> None:
    networks = networks_of(torch.float32)
    step_of(networks, settings_of(image, shape))
    assert counts(networks) == expected


def test_the_image_decoders_norms_can_be_as_the_others() -> None:
    networks = networks_of(torch.float32)
    step = step_of(networks, settings_of("dropout", None, image_decoder_norms="as_others"))
    assert counts(networks) == [1, 1, 1, 2, 2]
    step.total.backward()
    released = networks_of(torch.float32)
    step_of(released, settings_of("dropout", None)).total.backward()
    key = "image_decoder.up1.conv.1.weight"
    assert not torch.equal(gradients(networks)[key], gradients(released)[key])


@pytest.mark.parametrize(
    ("image", "shape", "names"),
    [("channel", None, HARD[:3]), (None, "channel", HARD[3:]), (None, None, ())],
)
def test_codes_that_are_not_masked_give_no_hard_examples(
    image: str | None, shape: str | None, names: tuple[str, ...]
) -> None:
    step = step_of(networks_of(torch.float32), settings_of(image, shape))
    assert tuple(step.losses) == (*STANDARD, *names)
    assert (step.examples.images is None) == (image is None)
    assert (step.examples.logits is None) == (shape is None)
    assert float(step.total.detach()) == pytest.approx(float(sum(step.losses.values())), rel=1e-6)


def test_standard_training_knows_clean_images_alone() -> None:
    networks = networks_of(torch.float32)
    step = step_of(networks, StepSettings(mode="standard"))
    assert tuple(step.losses) == STANDARD
    assert counts(networks) == [1, 1, 1, 2, 2]


def test_separate_training_keeps_shape_losses_from_the_first_networks() -> None:
    """Without reconstruction and cross-entropy nothing would reach the segmentation decoder."""
    joint, apart = networks_of(), networks_of()
    step_of(joint, StepSettings(mode="standard")).total.backward()
    step_of(apart, StepSettings(mode="standard", separate=True)).total.backward()
    images, labels, noise = batch()
    codes = (alone := networks_of()).encode((images + noise).clamp(0, 1))
    torch.nn.functional.cross_entropy(alone.segment(codes.shape), labels).backward()
    key = "segmentation_decoder.final_conv.weight"
    torch.testing.assert_close(gradients(apart)[key], gradients(alone)[key], **EXACT)
    assert not torch.allclose(gradients(joint)[key], gradients(alone)[key], rtol=1e-3)
    for name in ("shape_encoder", "shape_decoder"):
        one, other = ({k: g for k, g in gradients(n).items() if k.startswith(name)} for n in (joint, apart))
        torch.testing.assert_close(one, other, **EXACT)


@pytest.mark.parametrize("code", ["shared", "unfiltered"])
def test_other_codes_train_too(code: str) -> None:
    networks = networks_of(torch.float32, code=code)
    step = step_of(networks, settings_of())
    step.total.backward()
    assert all(torch.isfinite(value).all() for value in gradients(networks).values())
    filtered = gradients(networks)["image_encoder.code_decoupler.0.weight"]
    assert bool(filtered.any()) == (code == "shared")


def test_masks_can_follow_the_correlation_with_image_and_label() -> None:
    networks = networks_of()
    masking = {
        name: {"kind": "channel", "loss": "correlation", "random_threshold": False, "soft": False}
        for name in ("image", "shape")
    }
    step = step_of(copy.deepcopy(networks), StepSettings.model_validate({"masking": masking}))
    images, labels, noise = batch()
    codes = networks.encode((images + noise).clamp(0, 1))
    exact = torch.nn.functional.one_hot(labels, CLASSES).permute(0, 3, 1, 2)
    for code, decode, wanted, mask in (
        (codes.image, networks.reconstruct, images, step.examples.image_mask),
        (codes.shape, networks.segment, exact, step.examples.shape_mask),
    ):
        (gradient,) = torch.autograd.grad((decode(code) * wanted).mean(), code, retain_graph=True)
        assert mask is not None
        means = gradient.mean((2, 3))
        best = means.topk(means.shape[1] // 2).indices.sort().values
        assert torch.equal((~mask.kept.flatten(1)).nonzero()[:, 1].reshape(best.shape), best)


def test_a_seed_gives_the_same_update_and_another_one_another() -> None:
    found = []
    for seed in (3, 3, 4):
        networks = networks_of(torch.float32)
        step = step_of(networks, StepSettings(), seed=seed, noise=None)
        step.total.backward()
        found.append((float(step.total.detach()), gradients(networks)))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][key]) for key, value in found[0][1].items())
    assert found[0][0] != found[2][0]


def test_the_global_random_state_is_left_alone() -> None:
    networks = networks_of(torch.float32)
    before = torch.get_rng_state()
    step_of(networks, StepSettings(), noise=None)
    assert torch.equal(torch.get_rng_state(), before)


def test_noise_keeps_images_within_their_range() -> None:
    networks = networks_of(torch.float32)
    seen: list[Tensor] = []
    networks["image_encoder"].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    step_of(networks, StepSettings(mode="standard", noise=0.5), noise=None)
    assert seen[0].min() == 0
    assert seen[0].max() == 1


def test_gradients_add_up_and_follow_what_multiplies_the_loss() -> None:
    """As a trainer does that collects micro-batches, or scales a loss for half precision."""
    once, twice = networks_of(), networks_of()
    step_of(once, settings_of()).total.backward()
    other = copy.deepcopy(twice)
    (step_of(twice, settings_of()).total * 3).backward()
    step_of(other, settings_of()).total.backward()
    scaled, added = gradients(twice), gradients(other)
    for key, value in gradients(once).items():
        torch.testing.assert_close(scaled[key], 3 * value)
        torch.testing.assert_close(added[key], value)
    (step_of(copy.deepcopy(once), settings_of()).total * 0 + 1).backward()


def test_every_parameter_gets_a_gradient_so_that_weight_decay_reaches_it() -> None:
    networks = networks_of(torch.float32)
    step_of(networks, settings_of()).total.backward()
    assert gradients(networks).keys() == dict(networks.named_parameters()).keys()


def test_parameters_and_norms_are_as_before_when_the_step_is_done() -> None:
    networks = networks_of(torch.float32)
    weights = {key: value.clone() for key, value in networks.named_parameters()}
    step_of(networks, settings_of())
    assert all(value.requires_grad for value in networks.parameters())
    assert all(norm.track_running_stats for norm in norms_of(networks))
    assert networks.training
    assert all(torch.equal(value, weights[key]) for key, value in networks.named_parameters())


def test_no_graph_is_left_behind() -> None:
    step = step_of(networks_of(torch.float32), settings_of())
    found = [*step.losses.values(), step.examples.images, step.examples.logits]
    assert not any(value.requires_grad for value in found if value is not None)


def test_mixed_precision_gives_gradients_near_the_full_ones() -> None:
    full, mixed = networks_of(torch.float32), networks_of(torch.float32)
    settings = settings_of("dropout", "dropout")
    step_of(full, settings).total.backward()
    with torch.autocast("cpu", torch.bfloat16):
        step = step_of(mixed, settings)
    step.total.backward()
    assert step.total.dtype == torch.float32
    key = "shape_decoder.final_conv.weight"
    one, other = (gradients(networks)[key] for networks in (mixed, full))
    assert (one - other).norm() < 0.1 * other.norm()


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_one_optimiser_has_all_parameters(name: str) -> None:
    networks = networks_of(torch.float32)
    optimiser = build_optimiser(networks, OptimiserSettings(name=name, weight_decay=0.1))
    assert isinstance(optimiser, torch.optim.AdamW if name == "adamw" else torch.optim.Adam)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(networks.parameters()))
    assert optimiser.param_groups[0]["weight_decay"] == 0.1
    assert optimiser.param_groups[0]["lr"] == 1e-4


def test_updates_lower_the_losses() -> None:
    networks = build_networks(NetworkPlan(channels=(4, 4, 8, 8, 8)), CLASSES, seed=1).train()
    optimiser = build_optimiser(networks, OptimiserSettings(learning_rate=1e-2))
    generator = torch.Generator().manual_seed(0)
    images, _, _ = batch(torch.float32)
    labels = (images[:, 0] * CLASSES).long()
    lost = []
    for _ in range(5):
        optimiser.zero_grad()
        step = cooperative_step(networks, images, labels, StepSettings(), generator)
        step.total.backward()
        optimiser.step()
        lost.append(float(step.total.detach()))
    assert lost[-1] < 0.9 * lost[0]


def test_the_dice_loss_counts_classes_that_the_batch_shows_and_falls_where_they_are_found() -> None:
    labels = torch.zeros(2, 4, 4, dtype=torch.int64)
    labels[0, :2] = 1
    right = F.one_hot(labels, 3).movedim(-1, 1).float()
    nothing = torch.zeros_like(right)
    nothing[:, 0] = 1
    half = (right + nothing) / 2
    values = [float(dice_loss(given, labels)) for given in (right, half, nothing)]
    assert values[0] == pytest.approx(0, abs=1e-6)
    assert values[1] == pytest.approx(1 - 2 * 4 / (4 + 8), abs=1e-6)
    assert values[2] == pytest.approx(1, abs=1e-6)
    assert float(dice_loss(nothing, torch.zeros_like(labels))) == 0


def test_the_dice_loss_comes_on_top_of_the_cross_entropy_in_every_loss_of_segmentations() -> None:
    ce, both = (
        step_of(networks_of(), settings_of(mode="standard", loss=kind)).losses for kind in ("ce", "ce_dice")
    )
    assert both["standard_image"] == ce["standard_image"]
    for name in ("standard_seg", "standard_gt_shape", "standard_shape"):
        assert 0 < both[name] - ce[name] <= 1
