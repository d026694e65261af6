"""A form made from the JSON schema of a method's settings (pydantic's ``model_json_schema()``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ctk
import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Signal import Signal
from SegToolkitGui.training.SettingsFields import Field, makeField
from SegToolkitGui.training.SettingsSchema import GroupSpec, parsed


@dataclass
class Group:
    """A group of the form: its box (None for what stands outside any group), its fields, its inner groups."""

    spec: GroupSpec
    box: Any
    fields: list[Field]
    groups: list[Group]
    isCollapsed: bool  # as the person has it, while no search unfolds it

    def inner(self) -> list[Field]:
        """Its fields, those of inner groups too."""
        return [*self.fields, *(one for group in self.groups for one in group.inner())]


class SettingsForm:
    """Builds the widgets into a layout; knows no method, only the schema.

    Attributes:
        changed: Signal(), the person changed a field.
    """

    def __init__(self, parentLayout: Any) -> None:
        self.changed = Signal()
        self._schema: dict | None = None
        self._top: Group | None = None
        self._fields: dict[tuple[str, ...], Field] = {}
        self._reference: dict[tuple[str, ...], Any] = {}
        self._content: Any = None
        self.searchBox = ctk.ctkSearchBox()
        self.searchBox.objectName = "settingsSearchBox"
        self.searchBox.setPlaceholderText(_("Search settings..."))
        self.searchBox.showSearchIcon = True
        self.nothingLabel = qt.QLabel(_("No setting has that name."))
        self.nothingLabel.objectName = "settingsNothingLabel"
        self._holder = qt.QWidget()
        self._layout = qt.QVBoxLayout(self._holder)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.searchBox, self.nothingLabel, self._holder):
            parentLayout.addWidget(widget)
        self.searchBox.connect("textChanged(QString)", self._onSearch)
        self._search("")

    def cleanup(self) -> None:
        """Disconnect from the widgets."""
        self.searchBox.disconnect("textChanged(QString)", self._onSearch)
        self._forget()

    # Content

    def setSchema(self, schema: dict) -> None:
        """Build the form anew and fill in the schema's defaults; sends no signal.

        Nested objects become groups, folded unless they say ``"advanced": false``.
        """
        if schema != self._schema:
            self._forget()
            self._schema = schema
            self._content = qt.QWidget()
            layout = qt.QVBoxLayout(self._content)
            layout.setContentsMargins(0, 0, 0, 0)
            self._top = self._build(parsed(schema), layout)
            self._fields = {one.spec.path: one for one in self._top.inner()}
            self._layout.addWidget(self._content)
        else:
            for one in self._fields.values():
                one.reset()
        self._reference = {path: one.value() for path, one in self._fields.items()}
        self._showChanges()
        self._search(self.searchBox.text)

    def setValues(self, values: dict) -> None:
        """Show these settings (nested as the schema is; what is left out stays as it is); sends no signal.

        From now on a label is bold where the person departs from them.
        """
        for path, one in self._fields.items():
            found, value = _at(values, path)
            if found:
                one.set(value)
                self._reference[path] = value
        self._showChanges()

    def values(self) -> dict:
        """All settings, nested as the schema is.

        Raises:
            UserError: "bad-field", a line holds no number or no JSON; ``text`` names the field.
        """
        result: dict = {}
        for path, one in self._fields.items():
            inner = result
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = one.value()
        return result

    def changedFrom(self, defaults: dict) -> dict[str, Any]:
        """Dotted name -> value of what differs from ``defaults`` (nested). Raises as ``values``."""
        changes = {}
        for path, one in self._fields.items():
            found, default = _at(defaults, path)
            value = one.value()
            if not found or not _same(value, default):
                changes[one.spec.name] = value
        return changes

    def setProblems(self, problems: list[dict]) -> str:
        """Mark fields red; ``problems`` is [{"field": dotted name, "text"}], [] clears all marks.

        Returns:
            The first sentence, "" if there is none.
        """
        texts: dict[tuple[str, ...], list[str]] = {}
        for problem in problems:
            # "data.sizes.0" is an item of the field data.sizes.
            path = tuple(str(problem.get("field", "")).split("."))
            while path and path not in self._fields:
                path = path[:-1]
            texts.setdefault(path, []).append(str(problem.get("text", "")))
        for path, one in self._fields.items():
            one.mark("\n".join(texts.get(path, [])) or one.problem())
        if self._top is not None:
            self._unfold(self._top, set(texts))
        return str(problems[0].get("text", "")) if problems else ""

    def setEnabled(self, enabled: bool) -> None:
        """Whether fields can be edited; the search always can."""
        for one in self._fields.values():
            one.widget.setEnabled(enabled)

    # Building

    def _forget(self) -> None:
        for one in self._fields.values():
            one.cleanup()
        for group in self._allGroups():
            if group.box is not None:
                group.box.disconnect("toggled(bool)", self._onFolded)
        self._fields, self._top, self._schema, self._reference = {}, None, None, {}
        if self._content is not None:
            self._layout.removeWidget(self._content)
            self._content.setParent(None)
            self._content.deleteLater()
            self._content = None

    def _build(self, spec: GroupSpec, layout: Any) -> Group:
        """A group's fields and inner groups, added to a layout."""
        group = Group(spec, None, [], [], not spec.isOpen)
        if spec.path:
            group.box = ctk.ctkCollapsibleGroupBox()
            group.box.objectName = "settings." + ".".join(spec.path)
            group.box.setTitle(spec.title)
            group.box.setToolTip(spec.help)
            layout.addWidget(group.box)
            layout = qt.QVBoxLayout(group.box)
        if spec.fields:
            # In a widget of its own: hidden rows would come back when the box is unfolded.
            rows = qt.QWidget()
            form = qt.QFormLayout(rows)
            form.setContentsMargins(0, 0, 0, 0)
            form.setFieldGrowthPolicy(qt.QFormLayout.AllNonFixedFieldsGrow)
            for one in spec.fields:
                made = makeField(one, self._onField)
                form.addRow(made.label, made.widget)
                group.fields.append(made)
            layout.addWidget(rows)
        group.groups = [self._build(inner, layout) for inner in spec.groups]
        if group.box is not None:
            group.box.collapsed = group.isCollapsed
            group.box.connect("toggled(bool)", self._onFolded)
        return group

    def _allGroups(self) -> list[Group]:
        found, waiting = [], [self._top] if self._top is not None else []
        while waiting:
            group = waiting.pop()
            found.append(group)
            waiting += group.groups
        return found

    # What the person does

    def _onField(self) -> None:
        self._showChanges()
        self.changed.emit()

    def _onFolded(self, _checked: bool) -> None:
        if not self.searchBox.text.strip():
            for group in self._allGroups():
                if group.box is not None:
                    group.isCollapsed = bool(group.box.collapsed)

    def _onSearch(self, text: str) -> None:
        self._search(text)

    # Showing

    def _showChanges(self) -> None:
        """Bold labels for what departs from the values set, and how many in the title of each group."""
        for group in self._allGroups():
            changes = 0
            for one in group.inner():
                isChanged = self._isChanged(one)
                changes += isChanged
                if bool(one.label.font.bold()) != isChanged:
                    font = qt.QFont(one.label.font)
                    font.setBold(isChanged)
                    one.label.setFont(font)
            if group.box is not None:
                count = " " + _("({count} changed)").format(count=changes) if changes else ""
                group.box.setTitle(group.spec.title + count)

    def _isChanged(self, one: Field) -> bool:
        try:
            return not _same(one.value(), self._reference.get(one.spec.path))
        except UserError:
            return True

    def _search(self, text: str) -> None:
        """Show the fields that hold all words in name or help, with their groups unfolded."""
        words = text.lower().split()
        found = self._filter(self._top, words) if self._top is not None else 0
        self.nothingLabel.setVisible(bool(words) and not found)

    def _filter(self, group: Group, words: list[str]) -> int:
        count = 0
        title = f"{group.spec.title} {group.spec.help}".lower()
        for one in group.fields:
            text = f"{title} {one.spec.title} {one.spec.name} {one.spec.help}".lower()
            hit = all(word in text for word in words)
            one.show(hit)
            count += hit
        count += sum(self._filter(inner, words) for inner in group.groups)
        if group.box is not None:
            group.box.setVisible(bool(count) or not words)
            group.box.collapsed = not count if words else group.isCollapsed
        return count

    def _unfold(self, group: Group, paths: set[tuple[str, ...]]) -> bool:
        """Unfold the groups in which one of these fields, or the group itself, stands."""
        inner = [self._unfold(one, paths) for one in group.groups]
        hit = (
            any(inner)
            or group.spec.path in paths - {()}
            or any(one.spec.path in paths for one in group.fields)
        )
        if hit and group.box is not None:
            group.box.collapsed = False
        return hit


def _at(values: Any, path: tuple[str, ...]) -> tuple[bool, Any]:
    """Whether there is a value at a path, and the value."""
    for name in path:
        if not isinstance(values, dict) or name not in values:
            return False, None
        values = values[name]
    return True, values


def _same(one: Any, other: Any) -> bool:
    """Equal, lists and tuples alike, True not taken for 1."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return isinstance(one, bool) == isinstance(other, bool) and one == other
