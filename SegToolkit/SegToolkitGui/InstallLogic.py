"""What the worker needs and Slicer does not bring along: what of it is missing, and how it is installed."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import logging
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import slicer
from slicer.i18n import tr as _

from SegToolkitGui.Errors import UserError

REQUIREMENTS_FILE = Path("Resources") / "SegToolkit-requirements.txt"
TORCH_REQUIREMENT = ">=2.4"
# Downloads in MB, rounded up, as of 2026. PyTorch: smallest build (CPU) and largest (NVIDIA graphics card).
PACKAGES_MEGABYTES = 30
TORCH_MEGABYTES = (200, 3000)


@dataclass(frozen=True)
class InstallStatus:
    """What the panel shows about the installation.

    Attributes:
        ready: Nothing is missing.
        text: One sentence.
        hint: What to do about it; empty when ready.
        details: One line a package.
        sizeText: How much will be downloaded; empty when ready.
    """

    ready: bool
    text: str
    hint: str
    details: str
    sizeText: str


@functools.cache
def requirements() -> tuple[str, ...]:
    """Return what the worker requires beside PyTorch, from the file that is installed with the modules."""
    lines = (Path(__file__).resolve().parents[1] / REQUIREMENTS_FILE).read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))


class InstallLogic:
    """Finds out what is missing without importing it or starting a process, and installs it when asked to."""

    def missing(self) -> list[str]:
        """Return the requirements that are not fulfilled, "torch..." among them if PyTorch has a problem."""
        importlib.invalidate_caches()
        found = [requirement for requirement in requirements() if not _isFulfilled(requirement)]
        return found + (["torch" + TORCH_REQUIREMENT] if self.torchProblem() else [])

    def torchProblem(self) -> str:
        """Return "" if PyTorch is installed, else a sentence. Whether it works only the worker can tell."""
        state, version = _torchState()
        return {
            "fine": "",
            "missing": _("PyTorch is not installed."),
            "broken": _(
                "PyTorch is installed only in part: its files and its package description do not match."
            ),
            "old": _("PyTorch {version} is installed, but {needed} is needed.").format(
                version=version, needed=TORCH_REQUIREMENT
            ),
        }[state]

    def status(self) -> InstallStatus:
        """Return what the panel shows."""
        missing = self.missing()
        torchProblem = self.torchProblem()
        lines = [
            "{}: {}".format(requirement, _("missing") if requirement in missing else _("installed"))
            for requirement in requirements()
        ]
        lines.append(torchProblem or _("PyTorch: installed"))
        if not missing:
            return InstallStatus(True, _("Everything needed is installed."), "", "\n".join(lines), "")
        if _torchState()[0] == "broken":
            return InstallStatus(False, torchProblem, brokenTorchHint(), "\n".join(lines), "")
        text = _("Some Python packages are needed that Slicer does not bring along: {names}.").format(
            names=", ".join(missing)
        )
        return InstallStatus(
            False,
            text,
            _("Press Install..., which says how much is fetched and asks first."),
            "\n".join(lines),
            _sizeText(missing),
        )

    def install(self, confirm: bool = True) -> None:
        """Install what is missing. Blocks, with Slicer's own progress dialogs. Nothing to do is no error.

        Args:
            confirm: Ask the person first, once, with names and size.

        Raises:
            UserError: "install-testing", "install-busy", "install-refused", "install-failed", "torch-broken",
                "pytorch-extension-missing".
        """
        missing = self.missing()
        if not missing:
            return
        if slicer.app.testingEnabled():
            raise UserError(
                "install-testing",
                _("In testing mode nothing is installed; missing: {names}.").format(names=", ".join(missing)),
                _("Start Slicer without --testing and install there first."),
            )
        self._refuseWhileInstalling()
        needsTorch = bool(self.torchProblem())
        torchLogic = self._torchLogic(confirm) if needsTorch else None
        if confirm and not self._isConfirmed(missing):
            raise UserError(
                "install-refused", _("Nothing was installed."), _("Press Install when you are ready.")
            )
        packages = [requirement for requirement in missing if requirement in requirements()]
        if packages:
            _installPackages(packages)
        if torchLogic:
            _installTorch(torchLogic)
        stillMissing = self.missing()
        if stillMissing:
            raise _failure(
                _("After the installation these are still missing: {names}.").format(
                    names=", ".join(stillMissing)
                )
            )

    def openExtensionsManager(self) -> bool:
        """Open the Extensions Manager's window. Return False where this Slicer has none."""
        for action in slicer.util.findChildren(name="ViewExtensionsManagerAction"):
            action.trigger()
            return True
        return False

    def _torchLogic(self, offer: bool) -> Any:
        """Return the PyTorch extension's logic."""
        if _torchState()[0] == "broken":
            # Its installer stops with a TypeError in this state, and pip would keep the broken files.
            raise UserError("torch-broken", self.torchProblem(), brokenTorchHint())
        try:
            import PyTorchUtils
        except ImportError as error:
            if offer and slicer.util.confirmOkCancelDisplay(
                _("The PyTorch extension, which installs PyTorch, is missing. Open the Extensions Manager?"),
                windowTitle="SegToolkit",
            ):
                self.openExtensionsManager()
            raise UserError(
                "pytorch-extension-missing",
                _("The PyTorch extension, which installs PyTorch, is missing."),
                _("Install it from the Extensions Manager, restart Slicer and press Install again."),
            ) from error
        return PyTorchUtils.PyTorchUtilsLogic()

    def _isConfirmed(self, missing: list[str]) -> bool:
        return slicer.util.confirmOkCancelDisplay(
            _(
                "These Python packages will be downloaded and installed into Slicer: {names}.\n\n"
                "Download: {size}. This takes some minutes; Slicer waits for it."
            ).format(names=", ".join(missing), size=_sizeText(missing)),
            windowTitle="SegToolkit",
        )

    def _refuseWhileInstalling(self) -> None:
        packaging = _packaging()
        if packaging and packaging.isPipInstallInProgress():
            raise UserError(
                "install-busy",
                _("Another installation of Python packages is under way."),
                _("Wait until it has finished and press Install again."),
            )


def _packaging() -> Any:
    """Return slicer.packaging, or None in a Slicer that is older than it."""
    try:
        import slicer.packaging
    except ImportError:
        return None
    return slicer.packaging


def _isFulfilled(requirement: str) -> bool:
    try:
        packaging = _packaging()
        if packaging:
            return bool(packaging.pip_check(requirement))
        from packaging.requirements import Requirement

        parsed = Requirement(requirement)
        return parsed.specifier.contains(importlib.metadata.version(parsed.name), prereleases=True)
    except Exception:  # a package description that is there in part raises anything from TypeError on
        return False


def _torchState() -> tuple[str, str]:
    """Return "fine", "missing", "broken" or "old", and the version if it is known. Does not import torch."""
    try:
        hasFiles = importlib.util.find_spec("torch") is not None
    except (ImportError, ValueError):
        hasFiles = True
    try:
        # An installation that broke off, as with paths over 260 characters on Windows, has files but no
        # description; with an empty one the version is None.
        version = importlib.metadata.version("torch") or ""
        hasDescription = bool(version)
    except importlib.metadata.PackageNotFoundError:
        version, hasDescription = "", False
    except Exception:
        version, hasDescription = "", False
        hasFiles = True
    if not hasFiles and not hasDescription:
        return "missing", ""
    if not (hasFiles and hasDescription):
        return "broken", version
    from packaging.specifiers import SpecifierSet

    isNewEnough = SpecifierSet(TORCH_REQUIREMENT).contains(version, prereleases=True)
    return ("fine" if isNewEnough else "old"), version


def _installPackages(packages: list[str]) -> None:
    packaging = _packaging()
    try:
        if packaging:
            # Our own question has been answered already; a restart is Slicer's to offer.
            packaging.pip_ensure(packages, prompt_install=False, requester="SegToolkit")
        else:
            slicer.util.pip_install(packages)
    except CalledProcessError as error:
        logging.exception("SegToolkit: pip failed")
        raise _failure(
            _("Installing {names} failed.").format(names=", ".join(packages)), _lastLines(error)
        ) from error
    except Exception as error:
        logging.exception("SegToolkit: installing packages failed")
        raise _failure(
            _("Installing {names} failed.").format(names=", ".join(packages)), str(error)
        ) from error


def _installTorch(torchLogic: Any) -> None:
    try:
        module = torchLogic.installTorch(askConfirmation=False, torchVersionRequirement=TORCH_REQUIREMENT)
    except Exception as error:
        logging.exception("SegToolkit: installing PyTorch failed")
        raise _failure(_("Installing PyTorch failed."), _lastLines(error) or str(error)) from error
    if module is None and _torchState()[0] != "fine":
        raise _failure(_("PyTorch was not installed."))


def _failure(text: str, reason: str = "") -> UserError:
    hint = _(
        "Check the connection to the internet, the free disk space and the right to write into Slicer's "
        "folder. The Python console shows what pip said."
    )
    return UserError("install-failed", f"{text} {reason}".strip(), hint)


def _lastLines(error: Exception) -> str:
    output = getattr(error, "output", None)
    return "\n".join(output.strip().splitlines()[-5:]) if isinstance(output, str) else ""


def brokenTorchHint() -> str:
    """How a PyTorch that is there and does not work is replaced."""
    return _(
        "Open the PyTorch Utils module, press Uninstall PyTorch, restart Slicer and press Install. "
        "On Windows a shorter installation path of Slicer (below 100 characters) keeps this from coming back."
    )


def _sizeText(missing: list[str]) -> str:
    needsTorch = any(requirement.startswith("torch") for requirement in missing)
    others = PACKAGES_MEGABYTES if len(missing) > needsTorch else 0
    if not needsTorch:
        return _("about {megabytes} MB").format(megabytes=others)
    low, high = (size + others for size in TORCH_MEGABYTES)
    return _("about {low} MB, or up to {high} GB for an NVIDIA graphics card").format(
        low=low, high=f"{high / 1000:.1f}"
    )
