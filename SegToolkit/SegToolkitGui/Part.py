"""What every part of the panel has."""


class Part:
    """A part of the panel."""

    def __init__(self, panel) -> None:
        self.panel = panel
        self.ui = panel.ui

    def enter(self) -> None:
        """The panel comes to the front."""

    def exit(self) -> None:
        """The panel goes to the back."""

    def refresh(self) -> None:
        """Show what the scene's choices are."""

    def tearDown(self) -> None:
        """The panel ends."""

    def _free(self) -> bool:
        """Whether a widget's change is the person's, and no refresh's or coming scene's."""
        return not self.panel.refreshing and self.panel.parameters is not None
