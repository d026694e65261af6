"""The section "1. Images": a row for each modality."""

from __future__ import annotations

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui import NodeChoice
from SegToolkitGui.Part import Part
from SegToolkitGui.scene.NodeWatch import NodeWatch
from SegToolkitGui.weak.Images import FEWEST, MOST, ImageRows, Images, sizeText

VOLUMES = "vtkMRMLScalarVolumeNode"
NAME_WIDTH = 110  # pixels


class _Row:
    """The name and the volume of one modality."""

    def __init__(self, part: ImagesPart, number: int, layout) -> None:
        self._part, self._number = part, number
        self.name = qt.QLineEdit()
        self.name.objectName = f"modalityEdit{number}"
        self.name.setPlaceholderText(_("Modality"))
        self.name.setMaximumWidth(NAME_WIDTH)
        self.name.setToolTip(_("Name of the modality, such as FLAIR or T1c, as the model calls it."))
        self.volume = slicer.qMRMLNodeComboBox()
        self.volume.objectName = f"volumeSelector{number}"
        self.volume.nodeTypes = [VOLUMES]
        self.volume.showChildNodeTypes = False
        self.volume.addEnabled = False
        self.volume.removeEnabled = False
        self.volume.noneEnabled = True
        self.volume.noneDisplay = _("Select a volume")
        self.volume.setToolTip(
            _("The image of this modality. Tags and masks lie on the voxels of the first.")
        )
        self.volume.setMRMLScene(slicer.mrmlScene)
        self.name.connect("editingFinished()", self.onName)
        self.volume.connect("currentNodeChanged(vtkMRMLNode*)", self.onVolume)
        layout.addWidget(self.name, number, 0)
        layout.addWidget(self.volume, number, 1)

    def onName(self) -> None:
        """Another name."""
        self._part.onName(self._number, str(self.name.text))

    def onVolume(self, node) -> None:
        """Another volume."""
        self._part.onVolume(self._number, node)

    def setVisible(self, visible: bool) -> None:
        """Whether the panel has so many rows."""
        self.name.setVisible(visible)
        self.volume.setVisible(visible)


class ImagesPart(Part):
    """Rows of modalities, and what is said of their grids."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        # All there can be: a selector that is made later than the panel's observers would hear of a loaded
        # scene after the panel, and drop what was chosen in it.
        layout = ui.imagesFrame.layout()
        self._rows = [_Row(self, number, layout) for number in range(MOST)]
        self._watch = NodeWatch(panel.changed)
        ui.addImageButton.connect("clicked(bool)", panel.guarded(self.onAdd))
        ui.removeImageButton.connect("clicked(bool)", panel.guarded(self.onRemove))
        ui.resampleCheck.connect("toggled(bool)", self.onResample)
        ui.registrationButton.connect("clicked(bool)", panel.guarded(self.onRegistration))

    # What is chosen

    @property
    def rows(self) -> list[_Row]:
        """The rows that are shown."""
        return self._rows[: len(self.names())]

    def names(self) -> list[str]:
        """Names of all rows, "" where none is given."""
        names = list(self.panel.parameters.modalities)[:MOST]
        return names + [""] * (FEWEST - len(names))

    def volumes(self) -> list:
        """Volumes of all rows, None where none is chosen."""
        return ImageRows(self.panel.parameterNode).volumes(len(self.names()))

    def images(self) -> Images:
        """The images; rows without a volume and a name do not count beyond the first two."""
        rows = list(zip(self.names(), self.volumes(), strict=True))
        rows = [row for n, row in enumerate(rows) if n < FEWEST or row[0].strip() or row[1] is not None]
        ids = [volume.GetID() if volume is not None else "" for _name, volume in rows]
        return Images(tuple(name.strip() for name, _volume in rows), tuple(ids))

    def first(self):
        """The volume whose slices are tagged; None while none is chosen."""
        return self.volumes()[0]

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, parameters, busy = self.ui, self.panel.parameters, self.panel.runner.busy
        names, volumes = self.names(), self.volumes()
        for number, row in enumerate(self._rows):
            row.setVisible(number < len(names))
        for row, name, volume in zip(self.rows, names, volumes, strict=True):
            if row.name.text != name and not row.name.hasFocus():
                row.name.setText(name)
            row.volume.setCurrentNode(volume)
            row.name.setEnabled(not busy)
            row.volume.setEnabled(not busy)
        ui.addImageButton.setEnabled(not busy and len(names) < MOST)
        ui.removeImageButton.setEnabled(not busy and len(names) > FEWEST)
        self._watch.follow(volumes if self.panel.shown else [])
        images = self.images()
        problem = images.problem()
        apart = "" if problem else images.gridProblem()
        ui.gridLabel.setText(problem or apart or self._fine(images))
        ui.gridLabel.setStyleSheet("color: #c0392b;" if apart and not parameters.resample else "")
        for widget in (ui.resampleCheck, ui.registrationButton):
            widget.setVisible(bool(apart))
        ui.resampleCheck.setChecked(parameters.resample)
        ui.resampleCheck.setText(
            _("Bring the others onto the voxels of {first}").format(first=images.names[0] or _("the first"))
        )
        ui.resampleCheck.setEnabled(not busy)

    @staticmethod
    def _fine(images: Images) -> str:
        return _("All on one grid of {size} voxels.").format(size=sizeText(images.node()))

    def exit(self) -> None:
        """Nobody looks: voxels may change as often as they like."""
        self._watch.follow([])

    def detach(self) -> None:
        """The scene goes."""
        self._watch.follow([])

    # What the person does

    def _keep(self, names: list[str], volumes: list) -> None:
        self.panel.parameters.modalities = names
        ImageRows(self.panel.parameterNode).setVolumes(volumes)

    def onName(self, number: int, text: str) -> None:
        """Another name of a modality."""
        if self._free():
            names = self.names()
            names[number] = text.strip()
            self._keep(names, self.volumes())

    def onVolume(self, number: int, node) -> None:
        """Another volume, or the one that was chosen is being deleted."""
        if not self._free():
            return
        NodeChoice.settled(self.volumes()[number], node, lambda chosen: self._take(number, chosen))

    def _take(self, number: int, node) -> None:
        """Take a row's volume; where it has no name yet, the volume's last word is a fair guess."""
        if self.panel.parameters is None or number >= len(self.names()):
            return
        names, volumes = self.names(), self.volumes()
        volumes[number] = node
        if node is not None and not names[number]:
            free = [name for name in self.panel.wantedModalities() if name not in names]
            names[number] = guessedName(node.GetName(), free)
        self._keep(names, volumes)
        self.panel.changed()

    def onAdd(self) -> None:
        """One more modality."""
        self._keep([*self.names(), ""], [*self.volumes(), None])

    def onRemove(self) -> None:
        """One modality less: the last."""
        self._keep(self.names()[:-1], self.volumes()[:-1])

    def onResample(self, checked: bool) -> None:
        """Bring the others onto the first one's voxels, or not."""
        if self._free():
            self.panel.parameters.resample = bool(checked)

    def onRegistration(self) -> None:
        """Show Slicer's module for registration."""
        self.panel.openModule("BRAINSFit", _("General Registration (BRAINS)"))


def guessedName(text: str, wanted: list[str]) -> str:
    """A modality's name from a volume's: one that the model wants and that stands in it, or its last word."""
    words = text.replace("_", " ").replace("-", " ").split()
    for name in wanted:
        if any(word.casefold() == name.casefold() for word in words):
            return name
    return words[-1][:64] if words else ""
