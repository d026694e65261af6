"""The one exception whose text is meant for the person at the screen."""


class UserError(Exception):
    """A failure the person can understand and act on.

    Args:
        code: Short fixed name of the cause, for tests and for callers that react to it ("nothing-outlined").
        text: What went wrong, one or two sentences, already translated.
        hint: What to do about it, already translated; may be empty.
        details: What another program said, for the report; not shown in the panel.
    """

    def __init__(self, code: str, text: str, hint: str = "", details: str = "") -> None:
        super().__init__(code, text, hint)
        self.code = code
        self.text = text
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.text} {self.hint}".strip()
