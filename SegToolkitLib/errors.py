"""The one exception that a person gets to read."""

from __future__ import annotations


class SegToolkitError(Exception):
    """Something the person (not the programmer) can mend.

    It crosses the process boundary intact: the command line prints ``message`` and ``hint``, and in
    JSON mode sends all three fields, so that a panel can show them and decide by ``code``.

    Args:
        code: short, stable, kebab-case name of the kind of error, for programs ("label-grid").
        message: one sentence that says what was given and what is wrong with it.
        hint: one sentence that says what to do about it.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[type[SegToolkitError], tuple[str, str, str]]:
        # Without this, pickling (worker processes) would rebuild the error from its message alone.
        return type(self), (self.code, self.message, self.hint)
