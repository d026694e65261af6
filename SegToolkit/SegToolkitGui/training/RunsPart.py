"""Section 4: all runs, those of yesterday included, and what can be done with them."""

from __future__ import annotations

import json
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError
from SegToolkitGui.ModelSession import refreshModels
from SegToolkitGui.Part import Part
from SegToolkitGui.training.RunPlan import freeName
from SegToolkitGui.training.RunsTable import RunsTable
from SegToolkitGui.training.Texts import RESUMABLE, isLive


class RunsPart(Part):
    """The section "4. Runs"."""

    def __init__(self, panel) -> None:
        super().__init__(panel)
        ui = self.ui
        self.table = RunsTable(ui.runsTable)
        self.deleting: set[str] = set()  # folders of runs that are on their way out
        self._taken = ""  # folder of the run whose model is being taken
        ui.runsTable.connect("itemSelectionChanged()", panel.changed)
        ui.runsTable.connect("cellDoubleClicked(int,int)", panel.guarded(self.onShow))
        for button, slot in (
            (ui.showRunButton, self.onShow),
            (ui.compareRunButton, self.onCompare),
            (ui.resumeRunButton, self.onResume),
            (ui.copyRunButton, self.onCopy),
            (ui.useModelButton, self.onUse),
            (ui.moveUpButton, self.onUp),
            (ui.moveDownButton, self.onDown),
            (ui.openRunButton, self.onOpen),
            (ui.deleteRunButton, self.onDelete),
            (ui.runsFolderButton, self.onFolder),
        ):
            button.connect("clicked(bool)", panel.guarded(slot))

    def tearDown(self) -> None:
        """The panel ends."""
        self.table.end()

    # Showing

    def refresh(self) -> None:
        """Bring the section in line."""
        ui, jobs = self.ui, self.panel.session.jobs
        self.deleting &= {job["folder"] for job in jobs.jobs}
        self.table.show(jobs.jobs, jobs.followed)
        status = self.selected()
        for button, reason, tip in self._buttons(status):
            button.setEnabled(not reason)
            button.setToolTip(reason or tip)
        count = len(jobs.live)
        title = _("4. Runs")
        if count:
            title = _("4. Runs ({count} going on)").format(count=count)
        ui.runsSection.setText(title)
        if jobs.problem is not None:
            ui.runsReasonLabel.setText(str(jobs.problem))
        else:
            ui.runsReasonLabel.setText("" if jobs.jobs or not jobs.known else _("There is no run yet."))
        ui.runsReasonLabel.setVisible(bool(ui.runsReasonLabel.text))
        root = jobs.root or self.panel.session.machine.runsFolder
        ui.runsFolderLabel.setText(_("Folder: {folder}").format(folder=shortened(root)) if root else "")
        ui.runsFolderLabel.setToolTip(root)

    def _buttons(self, status: dict | None) -> list[tuple]:
        """Each button with the reason why it cannot be pressed, and what it does."""
        ui, jobs = self.ui, self.panel.session.jobs
        none = "" if status is not None else _("Choose a run in the table.")
        status = status or {"state": "new", "folder": ""}
        if status["folder"] in self.deleting:
            none = _("It is being deleted.")
        live, state = isLive(status), status["state"]
        followed = _("It is the run shown above.") if status["folder"] == jobs.followed else ""
        waits = "" if state == "waiting" else _("It does not wait in the queue.")
        first = _("It is the next to have its turn.") if status.get("position") == 1 else ""
        going = _("It is going on; stop it first.") if live else ""
        resumable = "" if state in RESUMABLE else (going or _("It is finished; copy it to train anew."))
        model = "" if status.get("model") else _("It has no model yet: Stop and keep best makes one.")
        if self._taken:
            model = _("A model is being taken already.")
        return [
            (ui.showRunButton, none or followed, _("Show its curves, pictures and log above.")),
            (ui.compareRunButton, none or followed, _("Lay its curves over those shown above.")),
            (ui.resumeRunButton, none or resumable, _("Go on where it ended.")),
            (ui.copyRunButton, none, _("Take its data, method and settings into sections 1 and 2.")),
            (ui.useModelButton, none or model, _("Take its model into the collection of all modules.")),
            (ui.moveUpButton, none or waits or first, _("Begin before the run that waits in front of it.")),
            (ui.moveDownButton, none or waits, _("Begin later.")),
            (ui.openRunButton, none, _("Show its files.")),
            (ui.deleteRunButton, none or going, _("Remove it with its checkpoints and its model.")),
        ]

    def selected(self) -> dict | None:
        """Status of the selected run."""
        return self.panel.session.jobs.status(self.table.selected())

    def _chosen(self) -> dict:
        status = self.selected()
        if status is None:
            raise UserError("no-run", _("Choose a run in the table."))
        return status

    # What the person does

    def onShow(self) -> None:
        """Show a run above."""
        self.panel.running.message = ""
        self.panel.session.jobs.follow(self._chosen()["folder"])

    def onCompare(self) -> None:
        """Lay its curves over those that are shown."""
        status = self._chosen()
        curves = self.panel.running.curves
        if status["name"] in curves.runNames:
            curves.remove(status["name"])
            return

        def finished(outputs, error):
            if error is not None:
                self.panel.tell(error)
            elif self.panel.parameters is not None:
                curves.addEvents(outputs["events"], status["name"])

        self.panel.session.quick("job_events", {"folder": status["folder"], "offset": 0}, finished)

    def _act(self, verb: str, body: dict) -> None:
        self.panel.running.message = ""
        self.panel.session.act(verb, body, lambda _outputs: self.panel.changed(), self.panel.tell)

    def onResume(self) -> None:
        """Go on with it."""
        folder = self._chosen()["folder"]
        self.panel.session.jobs.follow(folder)
        self._act("job_resume", {"folder": folder})

    def onUp(self) -> None:
        """Nearer to its turn."""
        self._move(-1)

    def onDown(self) -> None:
        """Farther from its turn."""
        self._move(1)

    def _move(self, way: int) -> None:
        status = self._chosen()
        self._act("job_move", {"folder": status["folder"], "position": (status.get("position") or 0) + way})

    def onOpen(self) -> None:
        """Show the folder in the system's file manager."""
        folder = self._chosen()["folder"]
        if not Path(folder).is_dir():
            raise UserError("run-gone", _("The folder {folder} is no longer there.").format(folder=folder))
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder))

    def onDelete(self) -> None:
        """Remove it, if the person means it."""
        status = self._chosen()
        question = _("Delete {name} with its checkpoints and its model?\n\n{folder}").format(
            name=status["name"], folder=status["folder"]
        )
        if not slicer.util.confirmOkCancelDisplay(question, _("Delete the run")):
            return
        running, session, folder = self.panel.running, self.panel.session, status["folder"]
        self.deleting.add(folder)
        if session.jobs.followed == folder:
            session.jobs.follow("")

        def done(_outputs):
            running.showMessage(_("{name} was deleted.").format(name=status["name"]))

        def failed(error):
            self.deleting.discard(folder)
            self.panel.tell(error)

        running.showMessage(_("{name} is being deleted...").format(name=status["name"]))
        session.act("job_delete", {"folder": folder}, done, failed)

    def onFolder(self) -> None:
        """Runs lie elsewhere."""
        jobs, machine = self.panel.session.jobs, self.panel.session.machine
        folder = qt.QFileDialog.getExistingDirectory(None, _("Folder of the runs"), jobs.root)
        if folder:
            machine.runsFolder = folder
            jobs.follow("")
            jobs.poll()

    # Copying and using

    def onCopy(self) -> None:
        """Fill sections 1 and 2 with what the run began with."""
        status, panel = self._chosen(), self.panel
        began = beginningOf(status["folder"])
        panel.plan.takeRun(
            began.get("method") or status.get("method") or "",
            began.get("settings") or {},
            began["places"] if isinstance(began.get("places"), dict) else {},
            began.get("device") or "",
        )
        if began.get("dataset"):
            panel.data.choose(str(began["dataset"]), str(began.get("data") or ""))
        panel.running.takeName(freeName(status["name"], panel.session.jobs.names()))
        panel.ui.settingsSection.collapsed = False
        panel.running.showMessage(
            _("Sections 1 and 2 are as {name} began: change what you like and press Start.").format(
                name=status["name"]
            )
        )

    def onUse(self) -> None:
        """Put the model where the other modules find it."""
        if not self._taken:
            self.use(self._chosen())

    def use(self, status: dict, replace: bool = False) -> None:
        """Take a run's model into the person's collection; the other panels list it at once."""
        panel, session = self.panel, self.panel.session

        def finished(outputs, error):
            self._taken = ""
            if error is not None and error.code == "model-exists" and not replace:
                question = _("{text}\n\nReplace it?").format(text=error.text)
                panel.running.showMessage("")
                if slicer.util.confirmOkCancelDisplay(question, _("Use for prediction")):
                    self.use(status, True)
                return
            if error is not None:
                panel.tell(error)
                return
            session.machine.model = outputs["name"]
            refreshModels()
            panel.running.showMessage(
                _("The model {name} is ready: the other modules of SegToolkit list it under Model.").format(
                    name=outputs["name"]
                )
            )

        self._taken = status["folder"]
        panel.running.showMessage(_("The model of {name} is being taken...").format(name=status["name"]))
        body = {"path": status["model"], "replace": replace}
        session.slow.ask("model", "add_model", body, None, finished)


def beginningOf(folder: str) -> dict:
    """What a run began with: method, dataset, data (volumes that lie elsewhere), settings, places, device.

    Raises:
        UserError: its files cannot be read.
    """
    try:
        if Path(folder, "job.json").is_file():
            return {**_object(folder, "job.json"), "settings": _object(folder, "config.json")}
        run = _object(folder, "settings.json")
        return {**run.get("start", {}), "method": run.get("method"), "settings": run.get("settings", {})}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            "run-unreadable",
            _("What the run in {folder} began with cannot be read: {reason}.").format(
                folder=folder, reason=error
            ),
        ) from error


def _object(folder: str, name: str) -> dict:
    """A JSON file that holds an object. Raises OSError, ValueError."""
    values = json.loads(Path(folder, name).read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(_("{name} holds no settings").format(name=name))
    return values


def shortened(path: str, length: int = 46) -> str:
    """The end of a long path."""
    return path if len(path) <= length else "..." + path[-length:]
