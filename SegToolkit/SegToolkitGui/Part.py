"""What every part of the panel has."""


class Part:
    """A part of the panel; ``loading`` keeps programmatic changes from being taken for the person's."""

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
