"""Names under which volumes of the scene go into a data set."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import slicer

from SegToolkitGui.scene.SequenceFrames import currentFrame

# Keeps a patient's stand-in name in the scene, so that a patient collected twice is one patient.
PATIENT_ATTRIBUTE = "SegToolkit.Patient"


class Names:
    """Names of cases and patients that tell no person's name, unless that is wanted.

    Args:
        keepNames: keep patients' names as they are.
        taken: names that are given already.
    """

    def __init__(self, keepNames: bool, taken: Iterable[str] = ()) -> None:
        self._keepNames = keepNames
        self._taken = {str(name).lower() for name in taken}  # as file systems compare
        self._patients: dict[int, str] = {}

    def patient(self, volume: Any, segmentations: list[Any]) -> str | None:
        """The patient's name or what stands for it; None where the scene knows no patient."""
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        items = (patientItem(hierarchy, node) for node in (volume, *segmentations))
        item = next((one for one in items if one), 0)
        if not item:
            return None
        if self._keepNames:
            return str(hierarchy.GetItemName(item))
        if item not in self._patients:
            known = hierarchy.GetItemAttribute(item, PATIENT_ATTRIBUTE)
            self._patients[item] = known or self._free("patient-{n}")
            hierarchy.SetItemAttribute(item, PATIENT_ATTRIBUTE, self._patients[item])
            self._taken.add(self._patients[item].lower())
        return self._patients[item]

    def case(self, volume: Any, patient: str | None) -> str:
        """A name for the case, fit for a file: the volume's, unless a patient's name stands in it."""
        base = asFileName(volume.GetName())
        if not self._keepNames and self._tellsPatient(volume):
            base = patient or "case"
        frame = currentFrame(volume)
        if frame is not None:
            base += f"_frame{frame}"
        name = base if base.lower() not in self._taken else self._free(base + "_{n}", 2)
        self._taken.add(name.lower())
        return name

    def _tellsPatient(self, volume: Any) -> bool:
        """Whether a word of the patient's name is part of the volume's name."""
        hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
        item = patientItem(hierarchy, volume)
        words = re.findall(r"\w{3,}", hierarchy.GetItemName(item).lower()) if item else []
        name = volume.GetName().lower()
        return any(word in name for word in words)

    def _free(self, pattern: str, first: int = 1) -> str:
        """The first name of a pattern that nobody has."""
        number = first
        while pattern.format(n=number).lower() in self._taken:
            number += 1
        return pattern.format(n=number)


def patientItem(hierarchy: Any, node: Any) -> int:
    """The item of the patient to whom a node belongs; 0 for none."""
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    level = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMLevelPatient()
    while item and item != hierarchy.GetSceneItemID():
        if hierarchy.GetItemLevel(item) == level:
            return item
        item = hierarchy.GetItemParent(item)
    return 0


def asFileName(name: str) -> str:
    """Letters, digits, "-" and "_" only: what every system and nnU-Net take."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9-]+", "_", plain).strip("_-") or "case"
