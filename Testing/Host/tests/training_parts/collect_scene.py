"""Scenes from which cases are collected."""

from __future__ import annotations

import numpy as np
import slicer
from scene_nodes import blob


def patient(volume, name, study="Study"):
    """Put a volume below a patient and a study of the subject hierarchy."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByName(name) or hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), hierarchy.CreateStudyItem(item, study))


def add(name, made, matrix=None, mask=None, reference=True, volumeName="CT"):
    volume = made.volume(matrix=matrix, name=volumeName)
    mask = blob() if mask is None else mask
    grid = np.eye(4) if matrix is None else matrix
    return volume, made.segmentation({name: mask}, grid, volume=volume if reference else None)
