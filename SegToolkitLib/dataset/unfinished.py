"""Additions to a data set that are under way, or that were cut off: their hidden folders and plans."""

from __future__ import annotations

from pathlib import Path

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.validation import read_json

STAGING = ".adding-"
PLAN = "plan.json"


def unfinished_cases(folder: Path) -> set[str]:
    """Ids of cases whose tags may be in tags.csv before they are in dataset.json.

    Where the addition was killed in between, they stay until the next one takes them away. An addition that
    was finished may be among them, where its hidden folder is left.
    """
    found: set[str] = set()
    for plan in folder.glob(f"{STAGING}*/{PLAN}"):
        try:
            cases = read_json(plan).get("cases", [])
        except SegToolkitError:  # it went away, or is no plan: it says of no case that it is on its way
            continue
        if isinstance(cases, list):
            found.update(map(str, cases))
    return found
