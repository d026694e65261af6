"""nnU-Net's dataset.json: what its keys may hold, and what is said where they hold something else."""

from __future__ import annotations

from typing import Any

import pytest

from SegToolkitLib.dataset.nnunet import from_nnunet
from SegToolkitLib.errors import SegToolkitError


def values(**more: Any) -> dict[str, Any]:
    plain = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    return {**plain, **more}


@pytest.mark.parametrize("value", [1, 1.0, "1"])
def test_whole_numbers_are_values_however_they_are_written(value: Any) -> None:
    found = from_nnunet(values(labels={"background": 0, "liver": value}), "a")
    assert found.labels == {"background": 0, "liver": 1}


@pytest.mark.parametrize(
    "value", [1.7, "one", "1.5", None, True, {"a": 1}, float("inf"), float("nan"), "1e999"]
)
def test_what_is_no_whole_number_is_named(value: Any) -> None:
    with pytest.raises(SegToolkitError) as caught:
        from_nnunet(values(labels={"background": 0, "liver": value}), "Dataset1")
    assert caught.value.code == "label-values"
    assert "'liver' in 'labels' of Dataset1" in caught.value.message


def test_labels_of_the_first_version_are_known_by_their_order() -> None:
    with pytest.raises(SegToolkitError) as caught:
        from_nnunet(values(labels={"0": "background", "1": "liver"}), "a")
    assert "changed places" in caught.value.hint


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"labels": ["background", "liver"]}, "label-values"),
        ({"labels": {"background": 0, "all": [1, 2]}}, "region-labels"),
        ({"channel_names": ["CT"]}, "channel-names"),
        ({"channel_names": {"first": "CT"}}, "channel-names"),
        ({"channel_names": {"1": "CT"}}, "channel"),
        ({"dataset": 5}, "listing"),
        ({"dataset": {"1": 5}}, "listing"),
    ],
)
def test_what_has_another_form_is_refused_in_a_sentence(more: dict[str, Any], code: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        from_nnunet(values(**more), "a")
    assert caught.value.code == code
    assert caught.value.hint
