"""A training iteration of all networks, against one that goes modality by modality."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from SegToolkitLib.methods.cmer.loss import View, Views, losses
from SegToolkitLib.methods.cmer.network import Networks, build_networks
from SegToolkitLib.methods.cmer.normalise import normalised, standardised
from SegToolkitLib.methods.cmer.optimiser import build_optimiser
from SegToolkitLib.methods.cmer.plan import NetworkPlan
from SegToolkitLib.methods.cmer.settings import CmerSettings, OptimiserSettings
from SegToolkitLib.methods.cmer.step import Step, training_step
from SegToolkitLib.methods.cmer.transforms import Flip, Identity, Resize, Shifts, Transform, Turns

TAGS = torch.tensor([1, 0, 1])
SIZE = 16


def settings_of(**changes: Any) -> CmerSettings:
    return CmerSettings.model_validate({"network": {"width_factor": 16}, **changes})


def networks_of(modalities: int = 2, kind: torch.dtype = torch.float64) -> Networks:
    # Fresh maps are often blank; with this seed none is, and each modality learns from each other one.
    source = torch.Generator().manual_seed(9)
    networks = build_networks(NetworkPlan(width_factor=16), modalities, source)
    assert isinstance(networks.to(kind), Networks)
    return networks.train()


def batch(modalities: int = 2, kind: torch.dtype = torch.float64, size: int = SIZE) -> Tensor:
    return torch.rand(len(TAGS), modalities, size, size, generator=torch.Generator().manual_seed(4)).to(kind)


def step_of(
    networks: Networks,
    settings: CmerSettings | None = None,
    transform: Transform | None = None,
    seed: int = 0,
    **given: Any,
) -> Step:
    kind = next(networks.parameters()).dtype
    slices = batch(len(networks), kind, **given)
    return training_step(
        networks, slices, TAGS, settings or settings_of(), torch.Generator().manual_seed(seed), transform
    )


def gradients(networks: nn.Module) -> dict[str, Tensor]:
    return {key: value.grad for key, value in networks.named_parameters() if value.grad is not None}


TRANSFORMS: list[Transform] = [
    Flip(True),
    Turns((1, 2, 3)),
    Shifts(((2.5, 0.0), (0.0, -3.0), (1.0, 1.25))),
    Resize(24, 24),
]


@pytest.mark.parametrize("transform", TRANSFORMS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("modalities", [2, 3])
def test_one_backward_pass_gives_each_network_the_gradient_of_its_own_loss(
    transform: Transform, modalities: int
) -> None:
    networks = networks_of(modalities)
    plain, slices, settings = copy.deepcopy(networks), batch(modalities), settings_of()
    step = step_of(networks, settings, transform)
    step.total.backward()
    assert all(term > 0 for one in step.terms for term in one)
    assert not any(step.blank)
    seen = []
    for index, network in enumerate(plain):
        first = network(standardised(slices[:, index : index + 1]))
        second = network(standardised(transform(slices)[:, index : index + 1]))
        maps = transform(normalised(first.cam))[:, 1]
        seen.append(Views(View(first.logits, maps), View(second.logits, normalised(second.cam)[:, 1])))
    terms = losses(seen, TAGS, settings.loss)
    for index, network in enumerate(plain):
        wanted = torch.autograd.grad(terms[index].total, list(network.parameters()), retain_graph=True)
        for parameter, gradient in zip(networks[index].parameters(), wanted, strict=True):
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, gradient)
    for got, expected in zip(step.terms, terms, strict=True):
        torch.testing.assert_close(tuple(got), tuple(expected.detached()))
    torch.testing.assert_close(step.total.detach(), sum(one.total for one in step.terms))
    # Statistics of the norms, too: the first view, then the second.
    for got, expected in zip(networks.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(got, expected)


def test_weights_stay_as_they_are_and_no_graph_is_left_in_what_is_reported() -> None:
    networks = networks_of()
    weights = {key: value.clone() for key, value in networks.named_parameters()}
    step = step_of(networks)
    assert all(torch.equal(value, weights[key]) for key, value in networks.named_parameters())
    reported = [value for one in step.terms for value in one] + [*step.accuracy, *step.blank]
    assert not any(value.requires_grad for value in reported)
    assert step.total.requires_grad


def test_every_parameter_gets_a_gradient_in_one_step() -> None:
    networks = networks_of()
    step_of(networks).total.backward()
    assert gradients(networks).keys() == dict(networks.named_parameters()).keys()


def test_a_seed_gives_the_same_step_and_the_global_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    one, same = (step_of(networks_of(), seed=3) for _ in range(2))
    assert one.transform == same.transform
    assert torch.equal(one.total, same.total)
    assert torch.equal(torch.get_rng_state(), before)
    assert len({str(step_of(networks_of(), seed=seed).transform) for seed in range(4)}) > 1


def test_the_second_view_is_standardised_from_raw_values() -> None:
    """What a shift brings in takes part in mean and deviation."""
    networks = networks_of()
    inputs: list[Tensor] = []
    networks[0].register_forward_pre_hook(lambda _module, given: inputs.append(given[0]))
    transform = Shifts(((5.0, 0.0),) * 3)
    step_of(networks, transform=transform)
    torch.testing.assert_close(inputs[1], standardised(transform(batch())[:, :1]))
    assert abs(inputs[1][0].mean()) < 1e-6
    assert inputs[1][0, 0, 0, 0] < -1


@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_slices_of_odd_sizes_can_be_learnt_from(fit: str) -> None:
    networks = networks_of()
    step = step_of(networks, settings_of(input={"fit": fit}), Flip(False), size=21)
    step.total.backward()
    assert torch.isfinite(step.total)
    assert all(torch.isfinite(value).all() for value in gradients(networks).values())


def test_the_map_of_the_settings_is_the_one_that_is_taught() -> None:
    by_source = [
        step_of(networks_of(), settings_of(maps={"source": source}), Flip(True)).terms[0]
        for source in ("class1", "difference")
    ]
    assert by_source[0].ce == by_source[1].ce
    assert by_source[0].er != by_source[1].er


def test_accuracy_and_blank_maps_are_reported_for_each_modality() -> None:
    networks = networks_of()
    # The first network says that the object is everywhere, the second that it is nowhere.
    for network, sign in zip(networks, (1.0, -1.0), strict=True):
        with torch.no_grad():
            network.classifier.weight[1] = sign
            network.classifier.weight[0] = -sign
    step = step_of(networks)
    assert [round(float(value), 4) for value in step.accuracy] == [0.6667, 0.3333]
    assert [float(value) for value in step.blank] == [0, 1]


def test_blank_maps_count_where_the_object_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    found = torch.tensor([True, False, False])
    monkeypatch.setattr("SegToolkitLib.methods.cmer.step.blank", lambda _raw: found)
    assert [float(value) for value in step_of(networks_of()).blank] == [0.5, 0.5]


def test_several_channels_of_a_modality_lie_side_by_side() -> None:
    plan = NetworkPlan(width_factor=32, image_channels=2)
    networks = build_networks(plan, 2, torch.Generator().manual_seed(1)).train()
    inputs: list[Tensor] = []
    networks[1].register_forward_pre_hook(lambda _module, given: inputs.append(given[0]))
    slices = batch(4, torch.float32)
    training_step(networks, slices, TAGS, settings_of(), torch.Generator(), Identity())
    torch.testing.assert_close(inputs[0], standardised(slices)[:, 2:])


def test_mixed_precision_gives_terms_near_the_full_ones() -> None:
    full, mixed = networks_of(kind=torch.float32), networks_of(kind=torch.float32)
    wanted = step_of(full, transform=Flip(True))
    with torch.autocast("cpu", torch.bfloat16):
        found = step_of(mixed, transform=Flip(True))
    found.total.backward()
    assert found.total.dtype == torch.float32
    for got, expected in zip(found.terms, wanted.terms, strict=True):
        assert [float(term) for term in got] == pytest.approx([float(term) for term in expected], rel=0.02)
    assert all(torch.isfinite(value).all() for value in gradients(mixed).values())


def test_updates_lower_the_losses_and_decay_all_weights() -> None:
    networks = networks_of(kind=torch.float32)
    optimiser = build_optimiser(networks, OptimiserSettings(learning_rate=1e-2))
    assert isinstance(optimiser, torch.optim.AdamW)
    (group,) = optimiser.param_groups
    assert len(group["params"]) == len(list(networks.parameters()))
    assert (group["weight_decay"], group["betas"], group["eps"]) == (0.5, (0.9, 0.999), 1e-8)
    slices = batch(kind=torch.float32)
    slices[TAGS == 1, :, 4:9, 5:12] += 2
    lost = []
    for _ in range(8):
        optimiser.zero_grad()
        step = training_step(networks, slices, TAGS, settings_of(), torch.Generator(), Flip(True))
        step.total.backward()
        optimiser.step()
        lost.append(float(step.terms[0].ce + step.terms[1].ce))
    assert lost[-1] < 0.8 * lost[0]
