"""The static contract: what modules, .ui files and stand-ins may use and offer, by the running Slicer's
record.

python -m host.contract SegToolkit            prints every violation; exit code 1 if there is one
"""

from pathlib import Path

from host.contract.code import checkCode
from host.contract.standins import checkStandIns
from host.contract.ui_files import checkUi, widgetsOf
from host.contract.violation import Violation

__all__ = ["Violation", "check", "checkCode", "checkFolder", "checkStandIns", "checkUi", "widgetsOf"]


def check(codeFiles: list[Path], uiFiles: list[Path]) -> list[Violation]:
    """Every violation in these module files and .ui files."""
    found = [violation for path in uiFiles for violation in checkUi(path)]
    widgets: dict[str, str | None] = {}
    for path in uiFiles:
        for name, className in widgetsOf(path).items():
            # A name that stands for different classes in two panels is not followed.
            widgets[name] = className if widgets.get(name, className) == className else None
    return found + [violation for path in codeFiles for violation in checkCode(path, widgets)]


def checkFolder(folder: Path) -> list[Violation]:
    """Every violation in a folder of modules such as SegToolkit/."""
    return check(sorted(folder.rglob("*.py")), sorted(folder.rglob("*.ui")))
