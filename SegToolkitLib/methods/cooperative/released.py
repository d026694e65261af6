"""What the authors' released models are, besides their weights; checkpoints do not say it.

Source: released configuration of cooperative training (ACDC).
"""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import Licence
from SegToolkitLib.validation import read_json

# Name -> value, in the order of the channels after the background.
HEART = {"left ventricle": 1, "myocardium": 2, "right ventricle": 3}

LICENCE = Licence(
    name="unclear (MIT or Apache-2.0)",
    permissive=False,
    summary="The authors' repository holds the texts of the MIT and of the Apache 2.0 licence in one file,"
    " unresolved. The terms of the data (ACDC challenge) may bind, too.",
)


def labels_named(labels: str, structures: int) -> dict[str, int]:
    """Names and values of a network's structures.

    Args:
        labels: "acdc", or a JSON file with an object: name -> value from 1 up.
        structures: that the network tells apart.

    Returns:
        Name -> value, in the order of the values, which is that of the channels.

    Raises:
        SegToolkitError: "unknown-labels", "bad-labels", "labels-differ", or the file cannot be read.
    """
    named = HEART if labels.lower() == "acdc" else labels_of_file(labels)
    if len(named) != structures:
        raise SegToolkitError(
            "labels-differ",
            f"The networks find {structures} structures, and {len(named)} labels are given for them.",
            "Choose acdc (3 structures), or a JSON file that names each structure.",
        )
    return dict(sorted(named.items(), key=lambda item: item[1]))


def labels_of_file(labels: str, sets: str = "acdc") -> dict[str, int]:
    """Name -> value, from a JSON file.

    Args:
        labels: path of the file.
        sets: what could be given in its place, for the complaint.

    Raises:
        SegToolkitError: "unknown-labels", "bad-labels", or the file cannot be read.
    """
    path = Path(labels)
    if path.suffix.lower() != ".json":
        raise SegToolkitError(
            "unknown-labels",
            f"There is no set of labels {labels!r}.",
            f'Give {sets}, or a JSON file such as {{"myocardium": 1}}.',
        )
    found = read_json(path)
    named = {name: value for name, value in found.items() if type(value) is int and 1 <= value <= 255}
    if not named or len(named) < len(found) or len(set(named.values())) < len(named):
        raise SegToolkitError(
            "bad-labels",
            f"{path} must give each structure a whole number of its own from 1 to 255.",
            'Write an object such as {"myocardium": 1}; the background has no entry.',
        )
    return named
