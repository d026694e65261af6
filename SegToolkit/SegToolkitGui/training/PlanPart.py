"""Section 2: what is trained, how, on which device."""

from __future__ import annotations

import json
import re

import ctk
import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.Paths import absolute
from SegToolkitGui.training.DataPart import ALL
from SegToolkitGui.training.Schema import foldPath, isNullable, merged, nested, valueAt
from SegToolkitGui.training.SettingsForm import SettingsForm

CHECK_MS = 400  # after the last change of a setting
FOLD = re.compile(r"\d{1,4}")


class PlanPart(Part):
    """The section "2. Method and plan"; all it knows of a method comes from the worker."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.method: dict | None = None
        self.preset: dict | None = None
        self.problems: list[dict] = []  # of the settings, as the worker checked them
        self._shownMethods: list[dict] | None = None
        self._devices: list[dict] | None = None
        self._checkedValues: str | None = None
        self._badField: UserError | None = None
        self._places: dict[str, object] = {}  # name -> path edit
        self._placesLayout = qt.QFormLayout(ui.placesFrame)
        self._placesLayout.setContentsMargins(0, 0, 0, 0)
        self.form = SettingsForm(ui.settingsFrame.layout())
        self.form.changed.connect(self.onSetting)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(CHECK_MS)
        self._timer.connect("timeout()", self.checkSettings)
        ui.methodCombo.connect("currentIndexChanged(int)", self.onMethod)
        ui.presetCombo.connect("currentIndexChanged(int)", self.onPreset)
        ui.trainingDeviceCombo.connect("currentIndexChanged(int)", self.onDevice)
        ui.resetSettingsButton.connect("clicked(bool)", panel.guarded(self.onReset))
        panel.session.methodsChanged.connect(panel.changed)

    def tearDown(self) -> None:
        """Let go of session and form."""
        self._timer.stop()
        self.panel.session.methodsChanged.disconnect(self.panel.changed)
        self.form.changed.disconnect(self.onSetting)
        self.form.cleanup()

    # What is chosen

    @property
    def device(self) -> str:
        """Id of the device."""
        return self.panel.session.device

    @property
    def needsDataset(self) -> bool:
        """Whether the method trains on a data set."""
        return self.method is None or bool(self.method.get("needs_dataset", True))

    def values(self) -> dict:
        """All settings, nested.

        Raises:
            UserError: a field of the form holds nothing usable.
        """
        return merged(self.preset["values"], self.form.values()) if self.preset else {}

    def places(self) -> dict[str, str]:
        """Further inputs that were given, name -> path."""
        paths = {name: edit.currentPath.strip() for name, edit in self._places.items()}
        return {name: absolute(path) for name, path in paths.items() if path}

    def folds(self) -> dict | None:
        """Which fold the settings leave out ("value": its number as text, or ALL), and whether they may leave
        out none ("optional"); None where a method has no folds."""
        path = foldPath(self.method["schema"]) if self.method else ()
        if not path:
            return None
        try:
            value = valueAt(self.values(), path)
        except UserError:
            value = valueAt(self.preset["values"], path) if self.preset else None
        optional = isNullable(self.method["schema"], path)
        return {"value": ALL if value is None else str(value), "optional": optional}

    def takeFold(self) -> None:
        """Put the scene's choice of a fold into the settings."""
        path = foldPath(self.method["schema"]) if self.method else ()
        fold = self.panel.parameters.fold if self.panel.parameters is not None else ""
        if fold and fold != ALL and not FOLD.fullmatch(fold):  # of a scene made by hand
            fold = self.panel.parameters.fold = ""
        if path and fold:
            self.form.setValues(nested(path, None if fold == ALL else int(fold)))
            self.settingsChanged()

    def problem(self) -> str:
        """Why no training can begin with these settings; "" if one can."""
        if not self.panel.session.methods:
            return _("Methods are being looked up...")
        if self.method is None:
            return _("Choose a method.")
        if self._badField is not None:
            return str(self._badField)
        if self.problems:
            return _("Settings: {text}").format(text=self.problems[0]["text"])
        return ""

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, session = self.ui, self.panel.session
        if session.methods != self._shownMethods:
            self._showMethods()
        ui.methodCombo.setToolTip(self.method["summary"] if self.method else "")
        ui.presetLabel.setText(self.preset["help"] if self.preset else "")
        ui.presetLabel.setVisible(bool(self.preset and self.preset["help"]))
        if session.devices != self._devices:
            self._showDevices(session.devices)
        ui.trainingDeviceCombo.setCurrentIndex(max(0, ui.trainingDeviceCombo.findData(self.device)))
        ui.trainingDeviceCombo.setToolTip(ui.trainingDeviceCombo.currentText)
        self._showSettings()

    def _showMethods(self) -> None:
        methods, combo = self.panel.session.methods, self.ui.methodCombo
        self._shownMethods = list(methods)
        combo.clear()
        for one in methods:
            combo.addItem(one["title"] or one["name"], one["name"])
        wanted = self.method["name"] if self.method else self.panel.session.machine.method
        found = self.panel.session.method(wanted) or (methods[0] if methods else None)
        combo.setCurrentIndex(combo.findData(found["name"]) if found else -1)
        self._takeMethod(found)

    def _showDevices(self, devices: list[dict]) -> None:
        self._devices, combo = list(devices), self.ui.trainingDeviceCombo
        combo.clear()
        for device in devices or [{"id": "auto", "name": _("Automatic")}]:
            gigabytes = device.get("memory_gb")
            name = str(device.get("name") or device["id"])
            combo.addItem(f"{name}, {gigabytes:.0f} GB" if gigabytes else name, str(device["id"]))

    def _showSettings(self) -> None:
        ui = self.ui
        try:
            count = self._changedCount()
        except UserError:
            count = None
        title = _("Settings")
        if count:
            title = _("Settings ({count} differ from the preset)").format(count=count)
        ui.settingsSection.setText(title)
        ui.resetSettingsButton.setEnabled(count != 0)
        first = str(self._badField) if self._badField is not None else ""
        if self.problems and not first:
            first = self.problems[0]["text"]
        ui.settingsLabel.setText(first)
        ui.settingsLabel.setVisible(bool(first))
        ui.settingsLabel.setStyleSheet("color: #c0392b;")

    def _changedCount(self) -> int:
        """Settings that differ from the preset; the fold is not counted: it is chosen in section 1."""
        if not self.preset or not self.method:
            return 0
        differing = self.form.changedFrom(self.preset["values"])
        return len([name for name in differing if name != ".".join(foldPath(self.method["schema"]))])

    # Taking a method, a preset, another run's settings

    def _takeMethod(self, method: dict | None, preset: str = "") -> None:
        before, self.method = self.method, method
        combo = self.ui.presetCombo
        blocked = combo.blockSignals(True)
        combo.clear()
        for one in method["presets"] if method else []:
            combo.addItem(one["title"] or one["name"], one["name"])
        combo.blockSignals(blocked)
        if before is None or method is None or before != method:
            self.form.setSchema(method["schema"] if method else {"type": "object", "properties": {}})
            self._buildPlaces(method["places"] if method else [])
        if method is None or not method["presets"]:
            self.preset = None
            return
        wanted = preset or self.panel.session.machine.preset(method["name"])
        names = [one["name"] for one in method["presets"]]
        self._takePreset(method["presets"][names.index(wanted) if wanted in names else 0])

    def _takePreset(self, preset: dict) -> None:
        self.preset = preset
        combo = self.ui.presetCombo
        blocked = combo.blockSignals(True)
        combo.setCurrentIndex(combo.findData(preset["name"]))
        combo.setToolTip(preset["help"])
        combo.blockSignals(blocked)
        self.form.setValues(preset["values"])
        self.takeFold()
        self.settingsChanged()

    def takeRun(self, method: str, settings: dict, places: dict, device: str) -> None:
        """Take over method and settings of another run, to change and start anew.

        Raises:
            UserError: this SegToolkit has no such method.
        """
        found = self.panel.session.requireMethod(method)
        self._takeMethod(found)
        self.ui.methodCombo.setCurrentIndex(self.ui.methodCombo.findData(method))
        self.form.setValues(settings)
        path = foldPath(found["schema"])
        if path:
            value = valueAt(settings, path)
            self.panel.parameters.fold = ALL if value is None else str(value)
        for name, edit in self._places.items():
            edit.setCurrentPath(str(places.get(name) or ""))
        if device:
            self.panel.session.machine.device = str(device)
        self.settingsChanged()

    def _buildPlaces(self, places: list[dict]) -> None:
        """Lines for files and folders that a method takes besides the data."""
        while self._placesLayout.rowCount():
            self._placesLayout.removeRow(0)
        self._places = {}
        for place in places:
            label = qt.QLabel(_("{name}:").format(name=place["name"].replace("_", " ").capitalize()))
            edit = ctk.ctkPathLineEdit()
            kinds = ctk.ctkPathLineEdit.Files if place["kind"] == "file" else ctk.ctkPathLineEdit.Dirs
            edit.filters = kinds | ctk.ctkPathLineEdit.Readable
            edit.setToolTip(place["help"])
            label.setToolTip(place["help"])
            edit.setCurrentPath(self.panel.session.machine.place(self.method["name"], place["name"]))
            edit.connect("currentPathChanged(QString)", self.onPlace)
            self._placesLayout.addRow(label, edit)
            self._places[place["name"]] = edit
        self.ui.placesFrame.setVisible(bool(places))

    # What the person does

    def onMethod(self, index: int) -> None:
        """Another method."""
        methods = self.panel.session.methods
        if self._free() and 0 <= index < len(methods):
            self._takeMethod(methods[index])
            self.panel.session.machine.method = methods[index]["name"]

    def onPreset(self, index: int) -> None:
        """Another preset; settings that were changed by hand go."""
        if self._free() and self.method and 0 <= index < len(self.method["presets"]):
            preset = self.method["presets"][index]
            self.panel.session.machine.rememberPreset(self.method["name"], preset["name"])
            self._takePreset(preset)

    def onReset(self) -> None:
        """The preset's settings again."""
        if self.preset:
            self._takePreset(self.preset)

    def onDevice(self, _index: int) -> None:
        """Another device; it belongs to this machine, not to the scene."""
        device = self.ui.trainingDeviceCombo.currentData
        if self._free() and device:
            self.panel.session.machine.device = str(device)
            self.panel.changed()

    def onPlace(self, *_arguments) -> None:
        """Another file or folder."""
        if self.method:
            for name, edit in self._places.items():
                self.panel.session.machine.rememberPlace(self.method["name"], name, edit.currentPath.strip())
        self.panel.changed()

    def onSetting(self) -> None:
        """A field of the form was changed by hand."""
        path = foldPath(self.method["schema"]) if self.method else ()
        if path and self.panel.parameters is not None:
            folds = self.folds()
            if folds["value"] != self.panel.parameters.fold:
                self.panel.parameters.fold = folds["value"]
        self.settingsChanged()

    # Checking the settings

    def settingsChanged(self) -> None:
        """Look at the settings soon."""
        self._timer.start()
        self.panel.changed()

    def checkSettings(self) -> None:
        """Ask the worker whether the method takes these settings."""
        if self.method is None or not self.panel.canAsk():
            return
        try:
            values = self.values()
            self._badField = None
        except UserError as error:
            self._badField = error
            self.panel.changed()
            return
        key = json.dumps([self.method["name"], values], sort_keys=True, default=str)
        if key == self._checkedValues:
            return
        self._checkedValues = key

        def finished(outputs, error):
            if key != self._checkedValues:
                return
            if error is None:
                self.problems = list(outputs["problems"])
                self.form.setProblems(self.problems)
            elif error.code == "cancelled":
                self._checkedValues = None
            else:
                self.problems = [{"field": "", "text": str(error)}]
            self.panel.changed()

        body = {"method": self.method["name"], "values": values}
        self.panel.session.quick("check_settings", body, finished)
