"""The form that is made of a method's settings."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from SegToolkitGui.Errors import UserError
from SegToolkitGui.training.SettingsForm import SettingsForm
from SegToolkitGui.training.SettingsSchema import parsed, readable
from SegToolkitLib.methods.alpnet.settings import AlpnetSettings
from SegToolkitLib.methods.cssn.settings import CssnSettings

Loss = Literal["dice", "cross entropy"]


class Inner(BaseModel):
    """What the network is made of."""

    depth: int = Field(3, ge=1, le=8, description="number of levels")
    loss: Loss | None = None
    deep: bool = False


class Middle(BaseModel):
    inner: Inner = Inner()
    factor: float = Field(1e-05, gt=0)


class Toy(BaseModel):
    steps: int = Field(200, ge=1)
    seed: int = Field(1, ge=0, le=2**32 - 1)
    dropout: float = Field(0.25, ge=0, le=1)
    open_share: float = Field(0.5, ge=0, lt=1)
    decay: float = 0.5
    name: str = "toy"
    note: str | None = None
    flips: bool = True
    maybe: bool | None = None
    fold: int | None = Field(0, ge=0)
    window: Literal[1, 2] = 1
    only: Literal["one"] = "one"
    sizes: list[int] = [400, 800]
    pair: tuple[int, float] = (1, 0.5)
    cut: float | str | None = None
    extra: dict[str, float] = {}
    middle: Middle = Middle()
    shown: Annotated[Inner, Field(json_schema_extra={"advanced": False}, title="Always shown")] = Inner()


def defaultsOf(cls) -> dict:
    return json.loads(cls().model_dump_json())


@pytest.fixture
def form(panel) -> SettingsForm:
    form = SettingsForm(panel.layout())
    form.setSchema(Toy.model_json_schema())
    yield form
    form.cleanup()


def field(form, name):
    return form._fields[tuple(name.split("."))]


def widget(form, name):
    return field(form, name).widget


@pytest.mark.parametrize("settings", [Toy, AlpnetSettings, CssnSettings])
def test_a_form_begins_with_the_defaults(form, settings) -> None:
    form.setSchema(settings.model_json_schema())
    assert form.values() == defaultsOf(settings)
    assert form.changedFrom(defaultsOf(settings)) == {}
    settings.model_validate(form.values())


WIDGETS = {
    "steps": "QSpinBox",
    "seed": "QLineEdit",  # too large for a spin box
    "dropout": "QDoubleSpinBox",
    "open_share": "QDoubleSpinBox",
    "decay": "QLineEdit",  # no bounds
    "name": "QLineEdit",
    "flips": "QCheckBox",
    "maybe": "QComboBox",
    "fold": "QLineEdit",
    "window": "QComboBox",
    "only": "QComboBox",
    "sizes": "QLineEdit",
    "pair": "QLineEdit",
    "cut": "QLineEdit",
    "extra": "QLineEdit",
    "middle.factor": "QLineEdit",
    "middle.inner.depth": "QSpinBox",
    "middle.inner.loss": "QComboBox",
}


@pytest.mark.parametrize("name", WIDGETS)
def test_each_kind_of_setting_has_its_widget(form, name) -> None:
    assert widget(form, name).inherits(WIDGETS[name])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("middle.factor", 1e-05),
        ("middle.factor", 3.0000000000000004e-07),
        ("decay", 0.1 + 0.2),
        ("decay", -1e30),
        ("dropout", 0.123456789),  # more digits than the spin box shows
        ("dropout", 1),
        ("seed", 2**32 - 1),
        ("steps", 2**40),  # more than a spin box holds
        ("fold", None),
        ("fold", 4),
        ("note", None),
        ("note", ""),
        ("note", "größer"),
        ("maybe", True),
        ("maybe", False),
        ("window", 2),
        ("cut", "otsu"),
        ("cut", "12"),
        ("cut", 12.5),
        ("cut", None),
        ("sizes", []),
        ("pair", [3, 0.125]),
        ("extra", {"a": 1.5}),
        ("middle.inner.loss", "dice"),
        ("middle.inner.deep", True),
    ],
)
def test_values_come_back_as_they_were_set(form, name, value) -> None:
    nested: object = value
    for part in reversed(name.split(".")):
        nested = {part: nested}
    got: list[bool] = []
    form.changed.connect(lambda: got.append(True))
    form.setValues(nested)
    found = form.values()
    for part in name.split("."):
        found = found[part]
    assert found == value
    assert type(found) is type(value)
    assert got == []
    default = defaultsOf(Toy)
    for part in name.split("."):
        default = default[part]
    assert form.changedFrom(defaultsOf(Toy)) == ({} if value == default else {name: value})


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("middle.factor", "1e-07", 1e-07),
        ("middle.factor", "2,5E-4", 2.5e-4),
        ("decay", " 7 ", 7.0),
        ("seed", "4294967295", 2**32 - 1),
        ("fold", "", None),
        ("fold", "3", 3),
        ("note", "x", "x"),
        ("cut", "otsu", "otsu"),
        ("cut", "percentile:40", "percentile:40"),
        ("cut", "0.5", 0.5),
        ("cut", '"12"', "12"),
        ("sizes", "100, 200", [100, 200]),
        ("sizes", "[100]", [100]),
        ("extra", '{"b": 2}', {"b": 2}),
    ],
)
def test_what_is_typed_is_read(form, name, typed, value) -> None:
    got: list[bool] = []
    form.changed.connect(lambda: got.append(True))
    widget(form, name).setText(typed)
    assert got
    assert form.changedFrom(defaultsOf(Toy)) == {name: value}
    assert field(form, name).label.font().bold()


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("middle.factor", "fast", 'middle > factor: "fast" is no number.'),
        ("middle.factor", "0", "middle > factor: 0 is out of range (0 < x)."),
        ("middle.factor", "nan", "middle > factor: nan is out of range (0 < x)."),
        ("middle.factor", "", 'middle > factor: "" is no number.'),
        ("seed", "4294967296", "seed: 4294967296 is out of range (0 <= x <= 4.29497e+09)."),
        ("seed", "1.5", 'seed: "1.5" is no whole number.'),
        ("sizes", "[100", 'sizes: "[100" cannot be read; write it as JSON.'),
        ("extra", "a=2", 'extra: "a=2" cannot be read; write it as JSON.'),
        ("cut", "[1", 'cut: "[1" cannot be read; write it as JSON.'),
    ],
)
def test_what_cannot_be_read_is_told_with_the_fields_name(form, name, typed, told) -> None:
    widget(form, name).setText(typed)
    with pytest.raises(UserError) as error:
        form.values()
    assert str(error.value) == told
    assert field(form, name).isMarked
    assert told in widget(form, name).toolTip()
    form.setValues(defaultsOf(Toy))
    assert not field(form, name).isMarked
    assert form.values() == defaultsOf(Toy)


def test_spin_boxes_and_combos_change_values_by_the_persons_hand(form) -> None:
    got: list[bool] = []
    form.changed.connect(lambda: got.append(True))
    widget(form, "steps").setValue(77)
    widget(form, "dropout").setValue(0.3)
    widget(form, "open_share").setValue(5)
    widget(form, "flips").setChecked(False)
    widget(form, "middle.inner.loss").setCurrentIndex(1)
    assert len(got) == 5
    assert form.changedFrom(defaultsOf(Toy)) == {
        "steps": 77,
        "dropout": 0.3,
        "open_share": 0.9999,
        "flips": False,
        "middle.inner.loss": "cross entropy",
    }
    assert form._top.groups[0].box.title() == "Middle (1 changed)"


def test_problems_mark_their_fields_and_unfold_their_groups(form) -> None:
    first = form.setProblems(
        [
            {"field": "middle.inner.depth", "text": "Depth must be at most 4."},
            {"field": "sizes.0", "text": "A size is too small."},
            {"field": "unknown", "text": "What is this?"},
        ]
    )
    assert first == "Depth must be at most 4."
    assert [name for name in ("steps", "sizes", "middle.inner.depth") if field(form, name).isMarked] == [
        "sizes",
        "middle.inner.depth",
    ]
    assert widget(form, "sizes").toolTip().startswith("A size is too small.\n")
    middle = form._top.groups[0]
    assert (middle.box.collapsed, middle.groups[0].box.collapsed) == (False, False)
    colours = {
        name: field(form, name).label.palette().windowText().color().name() for name in ("steps", "sizes")
    }
    assert colours["sizes"] == "#c0392b" != colours["steps"]
    assert form.setProblems([]) == ""
    assert not field(form, "sizes").isMarked
    assert field(form, "sizes").label.palette().windowText().color().name() == colours["steps"]


def test_groups_are_folded_unless_the_schema_says_otherwise(form) -> None:
    assert {group.spec.title: group.box.collapsed for group in form._top.groups} == {
        "Middle": True,
        "Always shown": False,
    }


def test_the_search_shows_what_it_finds_and_gives_the_folding_back(form, turn) -> None:
    def visible():
        turn()
        return [one.spec.name for one in form._top.inner() if one.widget.isVisible()]

    before = visible()
    form.searchBox.setText("levels number")
    assert visible() == ["middle.inner.depth", "shown.depth"]
    form.searchBox.setText("nothing like it")
    assert visible() == []
    assert form.nothingLabel.isVisible()
    form.searchBox.setText("")
    assert visible() == before
    assert not form.nothingLabel.isVisible()
    assert [group.box.collapsed for group in form._top.groups] == [True, False]


def test_the_tool_tip_says_what_range_default_and_name_are(form) -> None:
    assert widget(form, "middle.inner.depth").toolTip() == (
        "Number of levels\n1 <= x <= 8\nDefault: 3\nmiddle.inner.depth"
    )


def test_scrolling_over_a_spin_box_changes_nothing(form, application) -> None:
    from PySide6.QtCore import QPoint, QPointF, Qt
    from PySide6.QtGui import QWheelEvent
    from PySide6.QtWidgets import QApplication

    for name in ("steps", "dropout", "window"):
        event = QWheelEvent(
            QPointF(5, 5),
            QPointF(5, 5),
            QPoint(0, 0),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget(form, name), event)
    assert form.values() == defaultsOf(Toy)


def test_another_schema_replaces_the_form_and_the_same_one_its_values(form) -> None:
    steps = widget(form, "steps")
    steps.setValue(5)
    form.setSchema(Toy.model_json_schema())
    assert form.values()["steps"] == 200
    assert widget(form, "steps") is steps
    form.setSchema(Inner.model_json_schema())
    assert form.values() == {"depth": 3, "loss": None, "deep": False}


def test_fields_can_be_locked(form) -> None:
    def editable():
        return [one.widget.isEnabledTo(one.widget.parentWidget()) for one in form._top.inner()]

    form.setEnabled(False)
    assert not any(editable())
    form.setEnabled(True)
    assert all(editable())


@pytest.mark.parametrize(
    ("name", "title", "shown"),
    [
        ("n_support", "N Support", "N support"),
        ("learning_rate", None, "Learning rate"),
        ("lr", "Learning rate", "Learning rate"),
    ],
)
def test_names_are_readable(name, title, shown) -> None:
    assert readable(name, title) == shown


def test_a_schema_without_defaults_or_known_types_still_gives_a_form() -> None:
    schema = {
        "properties": {
            "a": {"type": "integer", "minimum": 2},
            "b": {"allOf": [{"$ref": "#/$defs/B"}]},
            "c": {},
            "d": {"$ref": "#/$defs/Missing"},
        },
        "$defs": {"B": {"enum": ["x", "y"]}},
    }
    assert [(one.name, one.kind) for one in parsed(schema).allFields()] == [
        ("a", "integer"),
        ("b", "choice"),
        ("c", "json"),
        ("d", "json"),
    ]


def test_after_cleanup_nothing_holds_the_form(panel) -> None:
    form = SettingsForm(panel.layout())
    form.setSchema(Toy.model_json_schema())
    form.cleanup()
    gone = weakref.ref(form)
    del form
    gc.collect()
    assert gone() is None
