"""Complaints about settings: the sentence and its hint."""

from __future__ import annotations

from typing import Any

import pytest

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.methods.cmer.settings import CmerSettings
from SegToolkitLib.validation import validated


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"network": {"pooling": "tops"}}, "The fields of network are width_factor, "),
        ({"network": {"pool": "top"}}, "The fields of network are width_factor, "),
        ({"data": {"augment": {"shift": -1}}}, "The fields of data.augment are shift, "),
        ({"data": {"modalities": ["T2", 3]}}, "The fields are "),
        ({"netwrk": {}}, "The fields are "),
        ({"network": {"pool": "top"}, "netwrk": {}}, "The fields of network are "),
    ],
)
def test_the_hint_names_the_fields_beside_the_wrong_one(values: dict[str, Any], hint: str) -> None:
    with pytest.raises(SegToolkitError) as caught:
        validated(CmerSettings, values, "The settings")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(hint)
