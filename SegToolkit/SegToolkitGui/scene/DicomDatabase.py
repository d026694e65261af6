"""Patients, studies and series of the application's DICOM database, and loading a series into the scene.

Slicer keeps the database as ``slicer.dicomDatabase`` and reads series with its own plug-ins (DICOMLib). Both
are missing in an application built without DICOM support.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

# Series of other modalities (reports, segmentations, presentation states) hold no volume to segment.
MODALITIES = ("CT", "MR", "PT", "NM", "US", "CR", "DX", "MG", "OT", "SC", "XA", "RF", "RTDOSE")


@dataclass
class Series:
    """A series: its UID and what it is called, the number of its files."""

    uid: str
    title: str
    modality: str
    files: int


@dataclass
class Study:
    """A study with its series."""

    title: str
    series: list[Series] = field(default_factory=list)


@dataclass
class Patient:
    """A patient with the studies that hold images."""

    title: str
    studies: list[Study] = field(default_factory=list)


def database():
    """The open database, or None."""
    found = getattr(slicer, "dicomDatabase", None)
    return found if found is not None and found.isOpen else None


def problem() -> str:
    """Why series cannot be chosen, in a sentence; "" if they can."""
    if database() is None:
        return _("No DICOM database is open: open the module DICOM once, and import the patients there.")
    return ""


def patients() -> list[Patient]:
    """What the database holds, patients without images left out."""
    source = database()
    if source is None:
        return []
    found = []
    for patientUid in source.patients():
        patient = Patient(_joined(source.fieldForPatient, patientUid, ("PatientsName", "PatientID")))
        for studyUid in source.studiesForPatient(patientUid):
            study = Study(_joined(source.fieldForStudy, studyUid, ("StudyDate", "StudyDescription")))
            for uid in source.seriesForStudy(studyUid):
                modality = source.fieldForSeries("Modality", uid)
                if modality in MODALITIES:
                    fields = ("SeriesNumber", "SeriesDescription")
                    title = _joined(source.fieldForSeries, uid, fields)
                    study.series.append(Series(uid, title, modality, len(source.filesForSeries(uid))))
            if study.series:
                patient.studies.append(study)
        if patient.studies:
            found.append(patient)
    return found


def loadedVolume(uid: str):
    """The volume of a series that is in the scene already, or None."""
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    if hierarchy is None:
        return None
    names = slicer.vtkMRMLSubjectHierarchyConstants
    node = hierarchy.GetItemDataNode(hierarchy.GetItemByUID(names.GetDICOMUIDName(), uid))
    return node if isVolume(node) else None


def load(uid: str):
    """Load a series with Slicer's reader, unless its volume is there; returns the scalar volume node.

    The reader works at once and cannot be cut into pieces.

    Raises:
        UserError: "no-dicom", "not-loaded".
    """
    found = loadedVolume(uid)
    if found is not None:
        return found
    text = problem()
    if text:
        raise UserError("no-dicom", text)
    from DICOMLib import DICOMUtils

    reason = ""
    ids = ()
    try:
        ids = DICOMUtils.loadSeriesByUID([uid]) or ()
    except Exception as error:  # whatever a plug-in raises
        reason = str(error)
    nodes = [slicer.mrmlScene.GetNodeByID(one) for one in ids]
    volume = next((node for node in nodes if isVolume(node)), None)
    if volume is None:
        raise UserError(
            "not-loaded",
            _("The series {name} could not be loaded as a volume.").format(name=titleOf(uid))
            + (f" ({reason})" if reason else ""),
            _("Load it in the module DICOM, where its warnings are shown."),
        )
    return volume


def titleOf(uid: str) -> str:
    """What a series is called; its UID if the database does not know it."""
    source = database()
    title = ""
    if source is not None:
        with contextlib.suppress(Exception):  # a series that was removed meanwhile
            title = _joined(source.fieldForSeries, uid, ("SeriesNumber", "SeriesDescription"))
    return title or uid


def isVolume(node) -> bool:
    """Whether a node is a volume of grey values."""
    return (
        node is not None and node.IsA("vtkMRMLScalarVolumeNode") and not node.IsA("vtkMRMLLabelMapVolumeNode")
    )


def _joined(read, uid: str, fields: tuple[str, ...]) -> str:
    texts = [str(read(name, uid) or "").replace("^", " ").strip() for name in fields]
    return ", ".join(text for text in texts if text) or _("(no name)")
