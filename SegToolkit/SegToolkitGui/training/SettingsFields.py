"""The widgets of a settings form, one class a kind of field; all are made, read and filled alike."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.training.SettingsSchema import MOST_INT, UNKNOWN, FieldSpec

RED = (192, 57, 43)
DECIMALS = 4


class SpinBox(qt.QSpinBox):
    """Leaves the mouse wheel to the panel: scrolling is not to change a setting on the way."""

    def wheelEvent(self, event: Any) -> None:
        """Not for this widget."""
        event.ignore()


class DoubleSpinBox(qt.QDoubleSpinBox):
    """Leaves the mouse wheel to the panel."""

    def wheelEvent(self, event: Any) -> None:
        """Not for this widget."""
        event.ignore()


class ComboBox(qt.QComboBox):
    """Leaves the mouse wheel to the panel."""

    def wheelEvent(self, event: Any) -> None:
        """Not for this widget."""
        event.ignore()


class Field:
    """A setting with its label and widget.

    A value comes back as it was set, to the last digit, as long as nobody touches the widget.

    Args:
        spec: what it is.
        onChange: called without arguments after the person's changes.
    """

    signal = "textChanged(QString)"

    def __init__(self, spec: FieldSpec, onChange: Callable[[], None]) -> None:
        self.spec = spec
        self.label = qt.QLabel(spec.title)
        self.widget = self.make()
        self.widget.objectName = f"setting.{spec.name}"
        self.label.setBuddy(self.widget)
        self._onChange = onChange
        self._isLoading = False
        self._held: tuple[Any, Any] | None = None  # what was set, and how the widget looked then
        self._problem = ""
        self._help = self.help()
        self.label.setToolTip(self._help)
        self.widget.setToolTip(self._help)
        self.widget.connect(self.signal, self._changed)

    def cleanup(self) -> None:
        """Disconnect from the widget."""
        self.widget.disconnect(self.signal, self._changed)

    def set(self, value: Any) -> None:
        """Show a value; tells nobody."""
        self._isLoading = True
        try:
            self.fill(value)
        finally:
            self._isLoading = False
        self._held = (value, self.state())
        self.mark("")

    def reset(self) -> None:
        """Show the default."""
        self.set(self.spec.default if self.spec.default is not UNKNOWN else emptyValue(self.spec))

    def value(self) -> Any:
        """What the widget says. Raises UserError "bad-field"."""
        if self._held is not None and self._held[1] == self.state():
            return self._held[0]
        return self.read()

    def problem(self) -> str:
        """Why the widget's content is no value; "" if it is."""
        try:
            self.value()
        except UserError as error:
            return str(error)
        return ""

    def mark(self, text: str) -> None:
        """Show label and content red, with the text as tool tip; "" takes that back."""
        if text == self._problem:
            return
        self._problem = text
        for widget, role in ((self.label, qt.QPalette.WindowText), (self.widget, qt.QPalette.Text)):
            palette = qt.QPalette()
            if text:
                palette.setColor(role, qt.QColor(*RED))
            widget.setPalette(palette)
            widget.setToolTip(f"{text}\n\n{self._help}" if text else self._help)

    @property
    def isMarked(self) -> bool:
        """Whether the field shows a problem."""
        return bool(self._problem)

    def help(self) -> str:
        """The tool tip: what it means, its range, its name."""
        spec = self.spec
        parts = [spec.help[:1].upper() + spec.help[1:], spec.rangeText()]
        if spec.nullable:
            parts.append(self.emptyHelp())
        if spec.default is not UNKNOWN:
            parts.append(_("Default: {value}").format(value=json.dumps(spec.default)))
        return "\n".join(part for part in (*parts, spec.name) if part)

    def emptyHelp(self) -> str:
        """How None is said."""
        return _("Empty: none.")

    def show(self, visible: bool) -> None:
        """Show or hide label and widget."""
        self.label.setVisible(visible)
        self.widget.setVisible(visible)

    def error(self, text: str) -> UserError:
        """A mistake of this field, by its name."""
        name = " > ".join(part.replace("_", " ") for part in self.spec.path)
        return UserError("bad-field", f"{name}: {text}")

    def _changed(self, *_arguments: Any) -> None:
        if not self._isLoading:
            self.mark(self.problem())
            self._onChange()

    # What kinds differ in

    def make(self) -> Any:
        """The widget."""
        widget = qt.QLineEdit()
        if self.spec.nullable:
            widget.setPlaceholderText(_("none"))
        return widget

    def state(self) -> Any:
        """How the widget looks."""
        return self.widget.text

    def fill(self, value: Any) -> None:
        """Put a value into the widget."""
        self.widget.setText("" if value is None else str(value))

    def read(self) -> Any:
        """Take the value out of the widget. Raises UserError."""
        text = self.widget.text
        return None if self.spec.nullable and not text else text


class NumberLine(Field):
    """A number in a line: 1e-05 stays 1e-05."""

    def fill(self, value: Any) -> None:
        """The shortest text that gives the very number."""
        self.widget.setText("" if value is None else repr(value))

    def read(self) -> Any:
        """A float, or an int for whole numbers."""
        text = self.widget.text.strip()
        if not text and self.spec.nullable:
            return None
        whole = self.spec.kind == "whole"
        if text.count(",") == 1 and "." not in text and not whole:
            text = text.replace(",", ".")
        try:
            value = int(text.replace("_", "")) if whole else float(text)
        except ValueError:
            sentence = _("{text} is no whole number.") if whole else _("{text} is no number.")
            raise self.error(sentence.format(text=f'"{text}"')) from None
        if self.spec.outOfRange(value):
            raise self.error(
                _("{value} is out of range ({range}).").format(value=text, range=self.spec.rangeText())
            )
        return value


class JsonLine(Field):
    """A list, or whatever has no widget of its own, as JSON; a list may be written without brackets."""

    def fill(self, value: Any) -> None:
        """As JSON; a word of a union without its quotes."""
        plain = self.spec.kind == "union" and isinstance(value, str) and not _isJson(value)
        self.widget.setText("" if value is None else value if plain else json.dumps(value))

    def read(self) -> Any:
        """From JSON."""
        text = self.widget.text.strip()
        if not text and self.spec.nullable:
            return None
        try:
            return json.loads(text)
        except ValueError:
            pass
        if self.spec.kind == "union" and text and text[0] not in '["{':
            return text
        if isinstance(self.spec.default, list | tuple) and _isJson(f"[{text}]"):
            return json.loads(f"[{text}]")
        raise self.error(_("{text} cannot be read; write it as JSON.").format(text=f'"{text}"'))


class IntegerBox(Field):
    """A whole number in a spin box."""

    signal = "valueChanged(int)"

    def make(self) -> Any:
        """A spin box with the bounds."""
        spec, box = self.spec, SpinBox()
        box.setRange(
            int(spec.least) if spec.least is not None else -MOST_INT,
            int(spec.most) if spec.most is not None else MOST_INT,
        )
        box.setFocusPolicy(qt.Qt.StrongFocus)
        return box

    def state(self) -> Any:
        """The number shown."""
        return self.widget.value

    def fill(self, value: Any) -> None:
        """Numbers beyond the box are kept beside it."""
        self.widget.setValue(int(max(-MOST_INT, min(MOST_INT, number(value)))))

    def read(self) -> Any:
        """An int."""
        return int(self.widget.value)


class DecimalBox(IntegerBox):
    """A number between two bounds in a spin box."""

    signal = "valueChanged(double)"

    def make(self) -> Any:
        """A spin box that leaves out open bounds."""
        spec, box = self.spec, DoubleSpinBox()
        step = 10.0**-DECIMALS
        box.setDecimals(DECIMALS)
        box.setRange(spec.least + step * spec.openLeast, spec.most - step * spec.openMost)
        box.setSingleStep(max(step, round((spec.most - spec.least) / 20, 2)))
        box.setFocusPolicy(qt.Qt.StrongFocus)
        return box

    def fill(self, value: Any) -> None:
        """Digits that the box does not show are kept beside it."""
        self.widget.setValue(float(number(value)))

    def read(self) -> Any:
        """A float without what binary digits add."""
        return round(float(self.widget.value), DECIMALS)


class ChoiceBox(Field):
    """One of some values."""

    signal = "currentIndexChanged(int)"

    def make(self) -> Any:
        """A combo box; "none" stands last."""
        box = ComboBox()
        box.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(8)
        box.setFocusPolicy(qt.Qt.StrongFocus)
        for choice in self.choices():
            box.addItem(self.choiceText(choice))
        return box

    def choices(self) -> list:
        """The values, in the order of the items."""
        return [*self.spec.choices, *([None] if self.spec.nullable else [])]

    def choiceText(self, choice: Any) -> str:
        """How a value is shown."""
        if isinstance(choice, bool):
            return _("yes") if choice else _("no")
        return _("none") if choice is None else str(choice)

    def emptyHelp(self) -> str:
        """None is an item of its own."""
        return ""

    def state(self) -> Any:
        """Number of the item."""
        return self.widget.currentIndex

    def fill(self, value: Any) -> None:
        """A value that cannot be chosen shows no item, and is kept."""
        found = [n for n, one in enumerate(self.choices()) if one == value and type(one) is type(value)]
        self.widget.setCurrentIndex(found[0] if found else -1)

    def read(self) -> Any:
        """The chosen value."""
        index = self.widget.currentIndex
        if index < 0:
            raise self.error(_("Choose one."))
        return self.choices()[index]


class NullableBooleanBox(ChoiceBox):
    """Yes, no or neither."""

    def choices(self) -> list:
        """The three."""
        return [True, False, None]


class BooleanBox(Field):
    """Yes or no."""

    signal = "toggled(bool)"

    def make(self) -> Any:
        """A check box."""
        return qt.QCheckBox()

    def state(self) -> Any:
        """Whether it is ticked."""
        return self.widget.checked

    def fill(self, value: Any) -> None:
        """Tick it or not."""
        self.widget.setChecked(bool(value))

    def read(self) -> Any:
        """A bool."""
        return bool(self.widget.checked)


KINDS: dict[str, type[Field]] = {
    "integer": IntegerBox,
    "number": DecimalBox,
    "whole": NumberLine,
    "scientific": NumberLine,
    "choice": ChoiceBox,
    "boolean": BooleanBox,
    "text": Field,
    "union": JsonLine,
    "json": JsonLine,
}


def makeField(spec: FieldSpec, onChange: Callable[[], None]) -> Field:
    """The field for a setting, holding its default."""
    kind = NullableBooleanBox if spec.kind == "boolean" and spec.nullable else KINDS[spec.kind]
    made = kind(spec, onChange)
    made.reset()
    return made


def emptyValue(spec: FieldSpec) -> Any:
    """What a field without a default begins with."""
    if spec.nullable:
        return None
    if spec.kind == "choice":
        return spec.choices[0]
    if spec.kind in ("integer", "number", "whole", "scientific"):
        return spec.least if spec.least is not None else 0
    return {"boolean": False, "text": "", "union": ""}.get(spec.kind, [])


def number(value: Any) -> float:
    """What a spin box shows of a value; of one that is no number 0, while the value is kept beside it."""
    return value if isinstance(value, int | float) and math.isfinite(value) else 0


def _isJson(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
