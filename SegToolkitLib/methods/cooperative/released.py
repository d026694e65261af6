"""What the authors' released models are, besides their weights; checkpoints do not say it.

Source: released configuration of cooperative training (ACDC).
"""

from __future__ import annotations

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.models.card import Licence
from SegToolkitLib.models.imported import labels_of_file

# A file of labels, for complaints.
EXAMPLE = '{"myocardium": 1}'
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
    named = HEART if labels.lower() == "acdc" else labels_of_file(labels, "acdc", EXAMPLE)
    if len(named) != structures:
        raise SegToolkitError(
            "labels-differ",
            f"The networks find {structures} structures, and {len(named)} labels are given for them.",
            "Choose acdc (3 structures), or a JSON file that names each structure.",
        )
    return dict(sorted(named.items(), key=lambda item: item[1]))
