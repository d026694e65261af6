"""What is missing on this machine, and the button that installs it."""

from __future__ import annotations

from slicer.i18n import tr as _

from SegToolkitGui.InstallLogic import InstallLogic
from SegToolkitGui.Part import Part


class SetupPart(Part):
    """The box at the top; hidden where everything is installed.

    Attributes:
        status: what is installed, as InstallLogic tells it; None before the panel is first shown.
        installing: whether packages are being exchanged: no worker may be started meanwhile.
    """

    def __init__(self, panel) -> None:
        super().__init__(panel)
        self.install = InstallLogic()
        self.status = None
        self.installing = False
        self.ui.installButton.connect("clicked(bool)", panel.guarded(self.onInstall))
        self.ui.checkAgainButton.connect("clicked(bool)", panel.guarded(self.check))
        panel.session.devicesChanged.connect(panel.changed)

    def enter(self) -> None:
        """Look what is installed, and wake the worker up if it can work."""
        if self.status is None or not self.status.ready:
            self.check()

    def tearDown(self) -> None:
        """Let go of the session."""
        self.panel.session.devicesChanged.disconnect(self.panel.changed)

    def check(self) -> None:
        """Look what is installed; nothing is imported or fetched."""
        self.status = self.install.status()
        self.panel.session.forgetFailures()
        self.panel.changed()

    def onInstall(self) -> None:
        """Install after the person agreed."""
        self.installing = True
        self.panel.refresh()  # parts that ask again and again look away
        # Windows cannot replace files that a process has loaded, and the worker knows the old ones.
        self.panel.session.stopWorkers()
        try:
            self.install.install()
        finally:
            self.installing = False
            self.check()

    @property
    def ready(self) -> bool:
        """Whether everything is there that a worker needs."""
        return self.status is not None and self.status.ready and not self.installing

    def problem(self) -> str:
        """Why nothing can be computed yet; "" if it can."""
        if self.installing:
            return _("Packages are being installed...")
        if self.status is not None and not self.status.ready:
            return _("Something has to be installed first: see the top of the panel.")
        return self.panel.session.problem

    def refresh(self) -> None:
        """Show the box if something is missing."""
        ready = self.status is None or self.status.ready
        if self.panel.shown and self.ready:
            self.panel.session.wake()
        problem = self.panel.session.problem
        self.ui.setupFrame.setVisible(not ready or bool(problem))
        if not ready:
            size = _("Download: {size}.").format(size=self.status.sizeText) if self.status.sizeText else ""
            parts = [self.status.text, size, self.status.hint]
            self.ui.setupLabel.setText(" ".join(part for part in parts if part))
            self.ui.setupLabel.setToolTip(self.status.details)
        elif problem:
            self.ui.setupLabel.setText(problem)
        # It installs what is missing; a PyTorch that is there and does not work has to be removed first.
        self.ui.installButton.setVisible(not ready)
        self.ui.installButton.setEnabled(not self.panel.runner.busy and not self.installing)
