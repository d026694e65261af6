"""WSS-CMER: runs on slices of which some, or all, show nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cmer_runs import made_dataset, made_patient, tiny, trained
from SegToolkitLib.dataset.dataset import Dataset
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.cmer.data import Reader, Sampler
from SegToolkitLib.methods.cmer.plan import InputPlan
from SegToolkitLib.methods.cmer.prepare import stacked
from SegToolkitLib.methods.cmer.tags import check_usable, to_csv
from SegToolkitLib.volume import write_volume

pytestmark = pytest.mark.usefixtures("one_thread")

ALL = slice(None)
SHORT = ("optimiser.epochs=1", "data.fold=null")


def blackened(folder: Path, slices: slice) -> Dataset:
    """Two cases of which these slices are black in T2."""
    dataset = made_dataset(folder, 2)
    for id in (1, 2):
        t2 = made_patient(id)[0]
        voxels = t2.voxels.copy()
        voxels[slices] = 0
        write_volume(t2.with_voxels(voxels), folder / f"image_{id:02d}_t2.nii.gz")
    return dataset


def shown_everywhere(folder: Path) -> Dataset:
    """Two cases whose masks are in every slice."""
    dataset = made_dataset(folder, 2)
    for id in (1, 2):
        label = made_patient(id)[2]
        everywhere = np.broadcast_to(label.voxels[3], label.voxels.shape).copy()
        write_volume(label.with_voxels(everywhere), folder / f"label_{id:02d}.nii.gz")
    return dataset


@pytest.mark.parametrize("balanced", ["true", "false"])
def test_masks_in_every_slice_train_the_second_stage(balanced: str, tmp_path: Path) -> None:
    dataset = shown_everywhere(tmp_path / "set")
    settings = tiny(*SHORT, "supervision=masks", f"data.balanced={balanced}")
    assert (trained(dataset, tmp_path / "run", settings) / "model.json").is_file()


def test_of_one_kind_alone_each_slice_comes_once_a_round(tmp_path: Path) -> None:
    dataset = shown_everywhere(tmp_path / "set")
    settings = tiny("optimiser.epochs=9", "supervision=masks", "data.augment.shift=0")
    reader = Reader(dataset, settings.data, settings.input, {}, tmp_path / "cache", Reporter(), "masks")
    sampler = Sampler(reader.read(dataset.ids, "cases"), settings)
    assert settings.data.balanced
    slices = torch.cat([sampler.draw(number).slices for number in range(sampler.batches)])
    assert len({one.numpy().tobytes() for one in slices}) == len(sampler.index) == 16


@pytest.mark.parametrize("balanced", ["true", "false"])
def test_absent_tags_on_black_slices_do_not_count(balanced: str, tmp_path: Path) -> None:
    dataset = blackened(tmp_path / "set", slice(4))
    tags = tmp_path / "tags.csv"
    to_csv({id: [False] * 4 + [True] * 4 for id in dataset.ids}, tags)
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "run", tiny(*SHORT, f"data.balanced={balanced}"), tags=tags)
    assert caught.value.code == "no-empty-slice"
    told = "All 8 tagged slices (8 tagged ones, in which nothing can be seen, are left out)"
    assert caught.value.message.startswith(told)


def test_visible_tags_on_black_slices_do_not_count(tmp_path: Path) -> None:
    # The ball is in the slices 2 to 5.
    dataset = blackened(tmp_path / "set", slice(2, 6))
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "run", tiny(*SHORT))
    assert caught.value.code == "no-visible-slice"
    assert "8 tagged ones" in caught.value.message


@pytest.mark.parametrize("supervision", ["tags", "masks"])
def test_a_modality_that_is_black_throughout_is_told(supervision: str, tmp_path: Path) -> None:
    dataset = blackened(tmp_path / "set", ALL)
    with pytest.raises(SegToolkitError) as caught:
        trained(dataset, tmp_path / "run", tiny(*SHORT, f"supervision={supervision}"))
    assert caught.value.code == "nothing-seen"
    assert "16 tagged slices" in caught.value.message
    assert "modalities" in caught.value.hint


@pytest.mark.parametrize("percentiles", [(0.5, 99.5), None])
@pytest.mark.parametrize("value", [0, 150])
def test_a_slice_of_one_value_shows_nothing_whatever_is_padded_around(
    percentiles: tuple[float, float] | None, value: int
) -> None:
    t2, adc, _ = made_patient(1)
    voxels = t2.voxels.copy()
    voxels[2] = value
    assert t2.voxels.shape[1] != t2.voxels.shape[2]
    stack = stacked({"T2": t2.with_voxels(voxels), "ADC": adc}, InputPlan(percentiles=percentiles, size=16))
    assert np.argwhere(stack.constant).tolist() == [[2, 0]]
    assert stack.pixels.min() >= 0


def test_no_case_at_all_has_no_slice_that_is_left_out() -> None:
    with pytest.raises(SegToolkitError) as caught:
        check_usable({})
    assert caught.value.code == "no-visible-slice"
    assert "left out" not in caught.value.message
