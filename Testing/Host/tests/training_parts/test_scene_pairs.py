"""Which segmentation belongs to which volume."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
from collect_scene import add, patient
from scene_nodes import affine, blob

from SegToolkitGui.Errors import UserError
from SegToolkitGui.training.SceneCollect import pairs

FAR = affine(np.eye(3), origin=(900.0, 900.0, 900.0))


def test_a_segmentation_belongs_to_its_reference_volume(made) -> None:
    one, ofOne = add("liver", made)
    other, ofOther = add("liver", made)
    spare = made.volume()
    assert pairs([one, other, spare, one], [ofOther, ofOne]) == [
        (one, [ofOne]),
        (other, [ofOther]),
        (spare, None),
    ]


def test_without_a_reference_the_place_decides(made) -> None:
    here, there = made.volume(), made.volume(matrix=FAR)
    segmentation = made.segmentation({"liver": blob()}, FAR)
    assert pairs([here, there], [segmentation]) == [(here, None), (there, [segmentation])]


def test_the_place_is_the_worlds(made) -> None:
    here, there = made.volume(), made.volume()
    there.SetAndObserveTransformNodeID(made.transform(FAR).GetID())
    segmentation = made.segmentation({"liver": blob()}, np.eye(4))
    segmentation.SetAndObserveTransformNodeID(there.GetTransformNodeID())
    assert pairs([here, there], [segmentation])[1] == (there, [segmentation])


def test_of_two_volumes_at_one_place_the_one_of_the_same_study_counts(made) -> None:
    one, other = made.volume(name="one"), made.volume(name="other")
    segmentation = made.segmentation({"liver": blob()}, np.eye(4))
    patient(one, "A")
    patient(other, "B")
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(other))
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(segmentation), study)
    assert pairs([one, other], [segmentation])[1] == (other, [segmentation])


def test_of_two_volumes_at_one_place_the_free_one_counts(made) -> None:
    one, ofOne = add("liver", made)
    other = made.volume()
    segmentation = made.segmentation({"liver": blob()}, np.eye(4))
    assert pairs([one, other], [segmentation, ofOne]) == [(one, [ofOne]), (other, [segmentation])]


@pytest.mark.parametrize(
    ("code", "build"),
    [
        ("nothing-chosen", lambda made: ([], [made.segmentation({"a": blob()}, np.eye(4))])),
        ("nothing-chosen", lambda made: ([None], None)),
        (
            "which-volume",
            lambda made: ([made.volume(), made.volume()], [made.segmentation({"a": blob()}, np.eye(4))]),
        ),
        ("no-volume-for", lambda made: ([made.volume()], [made.segmentation({"a": blob()}, FAR)])),
        ("no-volume-for", lambda made: ([made.volume(matrix=FAR)], [add("a", made)[1]])),
    ],
)
def test_what_cannot_be_paired_is_asked(made, code, build) -> None:
    with pytest.raises(UserError) as error:
        pairs(*build(made))
    assert error.value.code == code
    assert error.value.hint


def test_the_hint_names_the_volume_that_was_outlined(made) -> None:
    _volume, segmentation = add("liver", made, volumeName="T1")
    with pytest.raises(UserError, match="outlined on T1: tick that volume"):
        pairs([made.volume(matrix=FAR)], [segmentation])


def test_two_segmentations_of_one_volume_add_up_unless_they_outline_the_same(made) -> None:
    volume, liver = add("liver", made)
    kidney = made.segmentation({"kidney": blob(seed=1)}, np.eye(4), volume=volume)
    assert pairs([volume], [liver, kidney]) == [(volume, [liver, kidney])]
    again = made.segmentation({"liver": blob()}, np.eye(4), name="rater 2", volume=volume)
    with pytest.raises(UserError) as error:
        pairs([volume], [liver, again])
    assert error.value.code == "same-structure"
