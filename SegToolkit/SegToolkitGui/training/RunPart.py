"""Section 3: begin a training, and the one that is followed: its state, curves, pictures and log."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.Part import Part
from SegToolkitGui.Report import reportText
from SegToolkitGui.training.Curves import Curves
from SegToolkitGui.training.PictureView import PictureView
from SegToolkitGui.training.RunLog import RunLog
from SegToolkitGui.training.RunPlan import RunPlan, madePlaces, nameProblem, proposedName
from SegToolkitGui.training.Texts import ICONS, isLive, isWorking, progressText, stateLine, stateName

ICON_SIZE = 16


class RunPart(Part):
    """The section "3. Run"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui, session = self.ui, panel.session
        self.message = ""
        self.failed = False
        self.starting = False
        self._named = False  # the person gave the run a name
        self._proposedFor: tuple = ()  # method and preset
        self._pictures: list[tuple[int, str]] = []
        self._progress: dict = {}
        self._icon = ""
        self.curves = Curves(ui.curvesFrame.layout())
        self.pictures = PictureView(ui.picturesFrame.layout())
        self.log = RunLog(ui.runLogView)
        ui.startButton.connect("clicked(bool)", panel.guarded(self.onStart))
        ui.stopButton.connect("clicked(bool)", panel.guarded(self.onStop))
        ui.keepButton.connect("clicked(bool)", panel.guarded(self.onKeep))
        ui.killButton.connect("clicked(bool)", panel.guarded(self.onKill))
        ui.copyReportButton.connect("clicked(bool)", panel.guarded(self.onReport))
        ui.runNameEdit.connect("textEdited(QString)", self.onName)
        self._links = [
            (session.jobs.jobsChanged, panel.changed),
            (session.jobs.followedChanged, self.onFollowed),
            (session.jobs.eventsArrived, self.onEvents),
        ]
        for signal, slot in self._links:
            signal.connect(slot)

    def exit(self) -> None:
        """They go on without being looked at."""
        self.panel.session.jobs.lookAway(self)

    def tearDown(self) -> None:
        """Let go of the session and of the curves' nodes; runs go on."""
        for signal, slot in self._links:
            signal.disconnect(slot)
        self.curves.cleanup()
        self.pictures.cleanup()

    # The plan

    def plan(self) -> RunPlan:
        """What Start would begin.

        Raises:
            UserError: a setting cannot be read.
        """
        panel, plan = self.panel, self.panel.plan
        return RunPlan(
            name=self.ui.runNameEdit.text.strip(),
            method=plan.method["name"] if plan.method else "",
            dataset=panel.parameters.dataset,
            settings=plan.values(),
            places=plan.places(),
            device=plan.device,
            memoryMb=panel.estimate.memoryMb,
            root=panel.session.machine.runsFolder,
            needsDataset=plan.needsDataset,
            made=madePlaces(plan.method),
            data=panel.parameters.volumesFolder,
        )

    def reason(self) -> str:
        """Why Start cannot be pressed, "" if it can."""
        panel = self.panel
        reason = panel.setup.problem() or panel.data.problem() or panel.plan.problem()
        if reason:
            return reason
        jobs = panel.session.jobs
        if jobs.problem is not None:
            return str(jobs.problem)
        if not jobs.known:
            return _("Runs are being looked up...")
        try:
            return self.plan().problem(jobs.names())
        except UserError as error:
            return str(error)

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, jobs = self.ui, self.panel.session.jobs
        # Before everything is installed each question would start a process that cannot live.
        (jobs.look if self.panel.canAsk() else jobs.lookAway)(self)
        self._proposeName()
        self._chooseFollowed()
        reason = self.reason()
        ui.startButton.setEnabled(not reason and not self.starting)
        waits = _("Begin the training. It waits for its turn while another one uses the device.")
        ui.startButton.setToolTip(reason or waits)
        ui.startButton.setText(_("Starting...") if self.starting else _("Start"))
        ui.reasonLabel.setText(reason)
        ui.reasonLabel.setVisible(bool(reason))
        ui.messageLabel.setText(self.message)
        ui.messageLabel.setVisible(bool(self.message))
        ui.messageLabel.setStyleSheet("color: #c0392b;" if self.failed else "")
        status = jobs.status(jobs.followed)
        ui.followedFrame.setVisible(status is not None)
        if status is not None:
            self._showStatus(status)

    def _showStatus(self, status: dict) -> None:
        ui = self.ui
        line = stateLine(status)
        if status["state"] == "starting" and self._progress.get("total", 0) > 1:
            line = _("Starts: {phase}.").format(phase=progressText(self._progress))
        ui.stateLabel.setText(f"{status['name']}, {stateName(status)}. {line}")
        ui.stateLabel.setStyleSheet("color: #c0392b;" if status["state"] == "failed" else "")
        icon = ICONS.get(status["state"], "")
        if icon != self._icon:
            self._icon = icon
            ui.stateIconLabel.setVisible(bool(icon))
            if icon:
                standard = ui.stateIconLabel.style().standardIcon(getattr(qt.QStyle, icon))
                ui.stateIconLabel.setPixmap(standard.pixmap(ICON_SIZE, ICON_SIZE))
        self._showProgress(status)
        live, working = isLive(status), isWorking(status)
        stopping = status["state"] == "stopping"
        ui.stopButton.setEnabled(live and not stopping)
        ui.keepButton.setEnabled(working and not stopping and bool(status.get("step")))
        ui.killButton.setEnabled(live)
        ui.stopButton.setText(_("Leave the queue") if status["state"] == "waiting" else _("Stop"))
        ended = "" if live else _("This run has ended.")
        ui.stopButton.setToolTip(ended or _("Finish the step, save and end. Resume goes on from there."))
        ui.killButton.setToolTip(
            ended or _("End the process at once; what came after the last checkpoint is lost.")
        )
        early = "" if working and status.get("step") else _("Nothing was trained yet.")
        ui.keepButton.setToolTip(
            ended or early or _("Finish the step and make the model from the best weights so far.")
        )
        self.log.show(status, not ui.runLogSection.collapsed)

    def _showProgress(self, status: dict) -> None:
        bar, working = self.ui.runProgressBar, isWorking(status)
        bar.setVisible(isLive(status))
        step, total = status.get("step") or 0, status.get("total") or 0
        if not working or (status["state"] != "starting" and not total):
            bar.setRange(0, 0 if working else 1)
            bar.setValue(0)
            bar.setFormat(" ")
            return
        if status["state"] == "starting":
            step, total = int(self._progress.get("step", 0)), int(self._progress.get("total", 0))
        bar.setRange(0, int(total))
        bar.setValue(int(step))
        bar.setFormat(f"{step}/{total}" if total else " ")

    def _proposeName(self) -> None:
        """A name that is free, until the person gives one."""
        panel, edit = self.panel, self.ui.runNameEdit
        if self._named and edit.text.strip():
            return
        self._named = False
        plan, jobs = panel.plan, panel.session.jobs
        if plan.method is None or not jobs.known:
            return
        wanted = (plan.method["name"], plan.preset["name"] if plan.preset else "")
        if not edit.text or nameProblem(edit.text, jobs.names()) or wanted != self._proposedFor:
            self._proposedFor = wanted
            edit.setText(proposedName(*wanted, jobs.names()))

    def _chooseFollowed(self) -> None:
        """Follow what runs, or what was last trained, unless a run is followed already."""
        jobs = self.panel.session.jobs
        if not jobs.known or (jobs.followed and jobs.status(jobs.followed) is not None):
            return
        if jobs.followed:
            name = Path(jobs.followed).name
            self.showError(
                UserError("run-gone", _("The folder of the run {name} is no longer there.").format(name=name))
            )
        # A run that only waits tells little; so does one that was copied here long ago.
        there = [job for job in jobs.jobs if job["folder"] not in self.panel.runs.deleting]
        best = max(there, key=lambda job: (isWorking(job), isLive(job), _when(job)), default=None)
        jobs.follow(best["folder"] if best else "")

    def showError(self, error: UserError) -> None:
        """A person's mistake, or what failed: cause and hint in the panel."""
        self.message, self.failed = str(error), True
        self.panel.changed()

    def showMessage(self, text: str) -> None:
        """Good news."""
        self.message, self.failed = text, False
        self.panel.changed()

    # What the followed run tells

    def onFollowed(self) -> None:
        """Another run is followed: its events arrive from the first on."""
        jobs = self.panel.session.jobs
        status = jobs.status(jobs.followed)
        self._pictures, self._progress = [], {}
        self.pictures.clear()
        self.curves.clear()
        self.log.clear()
        if status is not None:
            self.curves.show(status["name"])
        self.panel.changed()

    def onEvents(self, events: list[dict]) -> None:
        """Further events: curves, pictures, what is being prepared."""
        folder = Path(self.panel.session.jobs.followed)
        self.curves.addEvents(events)
        before = len(self._pictures)
        for event in events:
            if event.get("t") == "progress":
                self._progress = event
            elif event.get("t") == "metric":
                self._progress = {}
            for name in event.get("pictures") or []:
                self._pictures.append((int(event.get("step", 0)), str(folder / name)))
        if len(self._pictures) != before:
            self.pictures.setPictures(list(self._pictures))
        self.panel.changed()

    # What the person does

    def takeName(self, name: str) -> None:
        """Propose this name; it stays until the person or a start changes it."""
        self.ui.runNameEdit.setText(name)
        self._named = True

    def onName(self, text: str) -> None:
        """The person names the run."""
        self._named = bool(text.strip())
        self.panel.changed()

    def onStart(self) -> None:
        """Begin."""
        reason = self.reason()
        if reason:
            raise UserError("cannot-start", reason)
        if self.starting:
            return
        plan, panel = self.plan(), self.panel
        panel.estimate.giveWay()
        panel.session.machine.method = plan.method
        self.message, self.starting = "", True
        run = panel.logic.start(plan)
        run.stateChanged.connect(self._onBegan)

    def _onBegan(self, run) -> None:
        if not self.starting:
            return
        self.starting = False
        if run.error is not None and not run.folder:
            self.panel.tell(run.error)
            return
        self._named = False
        self.panel.session.jobs.follow(run.folder)
        self.panel.changed()

    def _followed(self) -> dict:
        jobs = self.panel.session.jobs
        status = jobs.status(jobs.followed)
        if status is None:
            raise UserError("no-run", _("No run is shown."), _("Choose one under Runs."))
        return status

    def _act(self, verb: str, body: dict) -> None:
        self.message = ""
        self.panel.session.act(verb, body, lambda _outputs: self.panel.changed(), self.panel.tell)

    def onStop(self) -> None:
        """Finish the step, save, end."""
        self._act("job_stop", {"folder": self._followed()["folder"], "keep": False})

    def onKeep(self) -> None:
        """The same, and make the model."""
        self._act("job_stop", {"folder": self._followed()["folder"], "keep": True})

    def onKill(self) -> None:
        """End the process, if the person means it."""
        status = self._followed()
        question = _("Kill {name}? What came after the last checkpoint is lost.").format(name=status["name"])
        if slicer.util.confirmOkCancelDisplay(question, _("Kill the training")):
            self._act("job_kill", {"folder": status["folder"]})

    # The report

    def report(self) -> str:
        """What "Copy report" copies."""
        session = self.panel.session
        status = session.jobs.status(session.jobs.followed) or {}
        facts = {"Module": "SegToolkitTraining", "Device": session.machine.device}
        for key in ("name", "method", "state", "step", "total", "device", "error", "reason"):
            if status.get(key) not in (None, ""):
                facts[f"Run {key}"] = status[key]
        if self.failed and self.message:
            facts["Panel"] = self.message
        log = session.log + self.log.lines(status)
        return reportText(None, session.environment, facts, log)

    def onReport(self) -> None:
        """Put the report on the clipboard."""
        slicer.app.clipboard().setText(self.report())
        self.ui.copiedLabel.setText(_("Copied."))


def _when(job: dict) -> float:
    try:
        return float(job.get("updated") or 0)
    except (TypeError, ValueError):
        return 0.0
