"""Keep Python alive in spite of PySide's count of references.

In PySide6 6.12 each `signal.emit()` from Python returns True without counting the reference. Before Python
3.12, in which True cannot die, a few hundred signals end the process with "deallocating True or False".
"""

import ctypes
import sys

_PLENTY = 1 << 40


def protect() -> None:
    """Give True and False more references than any session can use up; done once."""
    if sys.version_info >= (3, 12):
        return
    for value in (True, False):
        if sys.getrefcount(value) < _PLENTY // 2:
            ctypes.c_ssize_t.from_address(id(value)).value += _PLENTY
