"""The maps that a model can make besides, one check box each."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Part import Part


class MapsPart(Part):
    """Check boxes below "4. Result", as many as the chosen model has maps.

    Attributes:
        checks: map -> its QCheckBox.
    """

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self.checks: dict[str, Any] = {}
        self._titles: dict[str, str] = {}

    def wanted(self) -> list[str]:
        """Names of the maps that are ticked, of those that the model has."""
        return [name for name in self._offered() if name in self.panel.parameters.maps]

    def refresh(self) -> None:
        """Show the model's maps, and which are ticked."""
        busy, titles = self.panel.runner.busy, self._offered()
        if titles != self._titles:
            self._fill(titles)
        wanted = self.wanted()
        for name, check in self.checks.items():
            check.setChecked(name in wanted)
        self.ui.mapsFrame.setEnabled(not busy)
        self.ui.mapsFrame.setVisible(bool(titles))
        self.ui.mapsLabel.setVisible(bool(titles))

    def _offered(self) -> dict[str, str]:
        """Map -> title of the chosen model."""
        model = self.panel.currentModel()
        return dict(model["maps"]) if model else {}

    def _fill(self, titles: dict[str, str]) -> None:
        layout = self.ui.mapsFrame.layout()
        for check in self.checks.values():
            check.disconnect("toggled(bool)", self.onToggled)
            layout.removeWidget(check)
            check.deleteLater()
        self._titles, self.checks = dict(titles), {}
        for name, title in titles.items():
            check = qt.QCheckBox(title)
            check.objectName = f"mapCheck_{name}"
            check.setToolTip(_("Also make a volume of it, with a value from 0 to 1 for each voxel."))
            check.connect("toggled(bool)", self.onToggled)
            layout.addWidget(check)
            self.checks[name] = check

    def onToggled(self, _checked: bool) -> None:
        """More or fewer maps; what other models' maps are ticked stays."""
        if self._free():
            others = [name for name in self.panel.parameters.maps if name not in self.checks]
            ticked = [name for name, check in self.checks.items() if check.checked]
            self.panel.parameters.maps = [*others, *ticked]
