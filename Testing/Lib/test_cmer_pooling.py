"""Pooling "top": the highest pixels of the foreground decide on a slice, and nothing else is mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cmer_runs import made_dataset, tiny, trained
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.checkpoints import export_authors
from SegToolkitLib.methods.cmer.maps import slice_maps
from SegToolkitLib.methods.cmer.network import Activation, build_networks, look
from SegToolkitLib.methods.cmer.plan import InputPlan, MapPlan, ModelPlan, NetworkPlan
from SegToolkitLib.methods.cmer.seeing import over_slices, see
from SegToolkitLib.methods.cmer.segment import load
from SegToolkitLib.settings import load as settings_of

TOP = NetworkPlan(width_factor=32, pooling="top", pooled=0.25)
FOREGROUND = InputPlan(standardise="foreground")


def network_of(plan: NetworkPlan = TOP) -> Any:
    return build_networks(plan, 1, torch.Generator().manual_seed(3)).eval()[0]


def head(rows: int = 24, columns: int = 24) -> Tensor:
    """Noise within a disc, 0 outside: [2, 1, rows, columns]."""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    disc = ((y - rows / 2) ** 2 + (x - columns / 2) ** 2 < 81).float()
    return disc * (0.2 + torch.rand(2, 1, rows, columns, generator=torch.Generator().manual_seed(1)))


def test_the_logit_is_the_mean_of_the_highest_foreground_pixels() -> None:
    cam = torch.randn(3, 2, 4, 5, generator=torch.Generator().manual_seed(2))
    shown = torch.zeros(3, 1, 4, 5, dtype=torch.bool)
    shown[0, 0, :2] = True  # ten pixels: three of them count
    shown[1, 0, 1, 1] = True  # one
    found = Activation.of_top(cam, cam, shown, 0.25)
    evidence = cam[:, 1] - cam[:, 0]
    wanted = evidence[0, :2].flatten().sort(descending=True).values[:3].mean()
    torch.testing.assert_close(found.logits[0], torch.stack([torch.zeros(()), wanted]))
    torch.testing.assert_close(found.logits[1, 1], evidence[1, 1, 1])
    assert found.logits[2].tolist() == [0, 0]
    torch.testing.assert_close(found.cam[:, 1], evidence * shown[:, 0])
    assert not found.cam[:, 0].any()


def test_gradients_reach_the_counted_pixels_alone_also_of_slices_without_foreground() -> None:
    cam = torch.arange(32.0).reshape(2, 1, 4, 4).repeat(1, 2, 1, 1) * torch.tensor([0.0, 1.0])[:, None, None]
    cam.requires_grad_()
    shown = torch.ones(2, 1, 4, 4, dtype=torch.bool)
    shown[1] = False
    Activation.of_top(cam, cam.detach(), shown, 0.25).logits[:, 1].sum().backward()
    assert cam.grad is not None
    assert cam.grad.isfinite().all()
    assert cam.grad[0, 1].flatten().nonzero()[:, 0].tolist() == [12, 13, 14, 15]
    assert not cam.grad[1].any()


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("size", [(24, 24), (30, 27)])
def test_maps_are_0_outside_the_foreground(fit: Any, size: tuple[int, int]) -> None:
    slices = head(*size)
    found = look(network_of(), slices, InputPlan(standardise="foreground", fit=fit))
    outside = slices[:, 0] == 0
    if fit == "pad":
        assert not found.cam[:, 1][outside].any()
        assert found.cam[:, 1][~outside].abs().sum() > 0
    else:
        assert found.cam.shape[-2:] == tuple(n - n % 8 for n in size)
        assert not found.cam[:, :, 0].any()


def test_what_lies_outside_has_no_say_however_large() -> None:
    """The mean of all pixels, as released, lets the background decide."""
    cam = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(4))
    shown = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    around = torch.nn.functional.pad(cam, (4, 4, 4, 4), value=50.0) * torch.tensor([0.0, 1.0])[:, None, None]
    cam = cam * torch.tensor([0.0, 1.0])[:, None, None]
    larger = torch.nn.functional.pad(shown, (4, 4, 4, 4))
    one, other = (Activation.of_top(c, c, s, 0.1) for c, s in ((cam, shown), (around, larger)))
    torch.testing.assert_close(one.logits, other.logits)
    assert not torch.allclose(Activation.of(cam, cam).logits, Activation.of(around, around).logits, atol=1)


def test_grad_cam_is_the_cam_and_grad_cam_plus_plus_is_refused() -> None:
    network, slices = network_of(), head()
    cam, grad = (slice_maps(network, slices, FOREGROUND, MapPlan(kind=kind)) for kind in ("cam", "gradcam"))
    assert torch.equal(cam.maps, grad.maps)
    assert cam.maps.amax() > 0
    with pytest.raises(SegToolkitError, match="the highest pixels") as error:
        slice_maps(network, slices, FOREGROUND, MapPlan(kind="gradcam++"))
    assert "network.pooling=mean" in str(error.value.hint)


def test_three_classes_cannot_be_set_against_each_other() -> None:
    with pytest.raises(SegToolkitError, match="two classes"):
        settings_of(NetworkPlan, NetworkPlan(), None, ["pooling=top", "classes=3"])


def test_a_network_that_masks_teach_pools_nothing() -> None:
    assert ModelPlan(network=TOP, supervision="masks").each.pooling == "mean"
    assert ModelPlan(network=TOP).each.pooling == "top"


def test_a_trained_model_keeps_its_pooling_and_does_not_leave_for_the_authors_code(tmp_path: Path) -> None:
    dataset = made_dataset(tmp_path / "data")
    settings = tiny("network.pooling=top", "input.standardise=foreground")
    model = trained(dataset, tmp_path / "run", settings)
    mapper = load(model)
    assert {network.pooling for network in mapper.networks} == {"top"}
    with pytest.raises(SegToolkitError, match="the mean"):
        export_authors(model, tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


def test_weak_evidence_stays_weak_where_a_volume_is_scaled_as_a_whole() -> None:
    peaks = torch.tensor([[4.0, 1.0, 8.0, 0.0], [0.0, 2.0, 1.0, 3.0], [0.0, 0.0, 0.0, 0.0]])
    present = torch.tensor([[True, True, False, False], [False] * 4, [True] * 4])
    wanted = torch.tensor([[1.0, 0.25, 1.0, 0.0], [0.0, 2 / 3, 1 / 3, 1.0], [1.0, 1.0, 1.0, 1.0]])
    torch.testing.assert_close(over_slices(peaks, present), wanted)


def test_maps_of_a_volume_reach_1_in_its_strongest_slice_alone() -> None:
    network = build_networks(TOP, 2, torch.Generator().manual_seed(5)).eval()
    pixels = torch.cat([(k + 1) * head()[:1].repeat(1, 2, 1, 1) for k in range(4)]).numpy()
    pixels += torch.rand(pixels.shape, generator=torch.Generator().manual_seed(7)).numpy() * (pixels > 0)
    constant = np.zeros((4, 2), bool)
    by_slice, by_volume = (
        see(network, pixels, constant, FOREGROUND, MapPlan(scale=scale), torch.device("cpu")).maps
        for scale in ("slice", "volume")
    )
    torch.testing.assert_close(by_slice.flatten(2).amax(-1), torch.ones(2, 4))
    peaks = by_volume.flatten(2).amax(-1)
    torch.testing.assert_close(peaks.amax(1), torch.ones(2))
    assert (peaks < 0.99).any()
    torch.testing.assert_close(by_volume, by_slice * peaks[..., None, None])
