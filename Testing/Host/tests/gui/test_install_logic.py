"""Finding out what is missing, and installing it through Slicer's own means."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import json
import sys
import types
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from SegToolkitGui import InstallLogic as module
from SegToolkitGui.Errors import UserError
from SegToolkitGui.InstallLogic import InstallLogic, requirements

API = Path(__file__).parents[5] / "shared" / "slicer_api" / "python_api.json"


def installTorch(
    self,
    askConfirmation=False,
    forceComputationBackend=None,
    torchVersionRequirement=None,
    torchvisionVersionRequirement=None,
):
    """The signature of PyTorchUtilsLogic.installTorch."""


def pip_ensure(
    requirements,
    constraints=None,
    skip_packages=None,
    prompt_install=True,
    prompt_restart=True,
    requester=None,
    skip_in_testing=True,
    show_progress=True,
):
    """The signature of slicer.packaging.pip_ensure."""


class World:
    """A machine: what is installed on it, and what the fakes of Slicer do."""

    def __init__(self) -> None:
        self.versions: dict[str, str | None] = {}
        self.torchFolder = False
        self.calls: list[tuple] = []
        self.answers = [True]
        self.torchOutcome: object = "2.13.0"
        self.pipOutcome: object = None
        self.busy = False

    def complete(self) -> None:
        for requirement in requirements():
            self.versions[requirement.split(">=")[0]] = "99"
        self.setTorch("2.13.0+cpu", True)

    def setTorch(self, version: str | None, folder: bool) -> None:
        self.versions["torch"] = version
        if version is None:
            del self.versions["torch"]
        self.torchFolder = folder

    def version(self, name: str) -> str | None:
        if name not in self.versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return self.versions[name]

    def pipCheck(self, requirement: str) -> bool:
        from packaging.requirements import Requirement

        parsed = Requirement(requirement)
        return parsed.name in self.versions and parsed.specifier.contains(self.versions[parsed.name])

    def pipEnsure(self, *arguments: object, **named: object) -> None:
        bound = inspect.signature(pip_ensure).bind(*arguments, **named)
        self.calls.append(("pip_ensure", dict(bound.arguments)))
        if isinstance(self.pipOutcome, Exception):
            raise self.pipOutcome
        for requirement in bound.arguments["requirements"] if self.pipOutcome is None else []:
            self.versions[requirement.split(">=")[0]] = "99"

    def installTorch(self, *arguments: object, **named: object) -> object:
        bound = inspect.signature(installTorch).bind(None, *arguments, **named)
        self.calls.append(("installTorch", {k: v for k, v in bound.arguments.items() if k != "self"}))
        if isinstance(self.torchOutcome, Exception):
            raise self.torchOutcome
        if self.torchOutcome is None:
            return None
        self.setTorch(str(self.torchOutcome), True)
        return types.ModuleType("torch")

    def confirm(self, text: str, windowTitle: str | None = None) -> bool:
        self.calls.append(("confirm", text))
        return self.answers.pop(0)


@pytest.fixture
def world(monkeypatch, application) -> World:
    import slicer

    world = World()
    packaging = types.ModuleType("slicer.packaging")
    packaging.pip_check = world.pipCheck
    packaging.pip_ensure = world.pipEnsure
    packaging.isPipInstallInProgress = lambda: world.busy
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    pytorch = types.ModuleType("PyTorchUtils")
    pytorch.PyTorchUtilsLogic = lambda: types.SimpleNamespace(installTorch=world.installTorch)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", pytorch)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", world.confirm)
    monkeypatch.setattr(slicer.util, "findChildren", lambda **named: [])
    monkeypatch.setattr(importlib.metadata, "version", world.version)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: (world.torchFolder or None) if name == "torch" else real(name, *rest),
    )
    return world


def codeOf(logic: InstallLogic, **named: object) -> str:
    with pytest.raises(UserError) as caught:
        logic.install(**named)
    assert caught.value.hint
    return caught.value.code


def names(world: World) -> list[str]:
    return [call[0] for call in world.calls]


def test_the_fakes_have_the_signatures_of_the_real_functions() -> None:
    if not API.exists():
        pytest.skip("the record of Slicer's Python API is not here")
    functions = json.loads(API.read_text(encoding="utf-8"))["slicer.packaging"]["functions"]
    real = next(text for text in functions if text.startswith("pip_ensure("))
    arguments = ast.parse(f"def {real}: pass").body[0].args
    assert [argument.arg for argument in arguments.args] == list(inspect.signature(pip_ensure).parameters)
    assert "isPipInstallInProgress()" in functions
    assert any(text.startswith("pip_check(req:") for text in functions)


def test_the_requirements_are_readable_for_slicer_and_bring_no_torch() -> None:
    from packaging.requirements import Requirement

    parsed = {Requirement(text).name for text in requirements()}
    assert parsed == {"scikit-image", "safetensors", "pydantic", "tqdm", "filelock"}


def test_a_complete_machine_is_ready_and_installs_nothing(world) -> None:
    world.complete()
    status = InstallLogic().status()
    assert (status.ready, status.hint, status.sizeText) == (True, "", "")
    InstallLogic().install()
    assert world.calls == []


def test_a_bare_machine_is_told_what_is_missing_and_how_much_it_is(world) -> None:
    status = InstallLogic().status()
    assert not status.ready
    assert InstallLogic().missing() == [*requirements(), "torch>=2.4"]
    for name in ("scikit-image", "torch"):
        assert name in status.text
    assert "3.0 GB" in status.sizeText
    assert len(status.details.splitlines()) == len(requirements()) + 1


def test_small_packages_alone_are_a_small_download(world) -> None:
    world.complete()
    del world.versions["tqdm"]
    assert InstallLogic().missing() == ["tqdm>=4.66"]
    assert InstallLogic().status().sizeText == "about 30 MB"


@pytest.mark.parametrize(
    ("version", "folder", "part"),
    [
        (None, False, "not installed"),
        (None, True, "only in part"),
        ("", True, "only in part"),
        ("2.13", False, "only in part"),
        ("2.1.0", True, "2.1.0 is installed"),
        ("2.13.0+cu130", True, ""),
        ("2.14.0a0+git1", True, ""),
    ],
)
def test_the_state_of_torch_is_told(world, version, folder, part) -> None:
    world.setTorch(version, folder)
    problem = InstallLogic().torchProblem()
    assert part in problem
    assert bool(problem) == bool(part)


def test_everything_is_installed_after_one_question(world) -> None:
    InstallLogic().install()
    assert names(world) == ["confirm", "pip_ensure", "installTorch"]
    assert "3.0 GB" in world.calls[0][1]
    assert world.calls[1][1] == {
        "requirements": list(requirements()),
        "prompt_install": False,
        "requester": "SegToolkit",
    }
    assert world.calls[2][1] == {"askConfirmation": False, "torchVersionRequirement": ">=2.4"}
    assert InstallLogic().status().ready


def test_without_confirmation_nothing_is_asked(world) -> None:
    InstallLogic().install(confirm=False)
    assert names(world) == ["pip_ensure", "installTorch"]


def test_only_what_is_missing_is_installed(world) -> None:
    world.complete()
    world.setTorch(None, False)
    InstallLogic().install()
    assert names(world) == ["confirm", "installTorch"]


def test_a_refusal_installs_nothing(world) -> None:
    world.answers = [False]
    assert codeOf(InstallLogic()) == "install-refused"
    assert names(world) == ["confirm"]


def test_testing_mode_installs_nothing_and_says_so(world, application) -> None:
    application.testingEnabled = lambda: True
    assert codeOf(InstallLogic()) == "install-testing"
    assert world.calls == []


def test_a_second_installation_waits_for_the_first(world) -> None:
    world.busy = True
    assert codeOf(InstallLogic()) == "install-busy"
    assert world.calls == []


def test_a_broken_torch_is_not_installed_over(world) -> None:
    world.setTorch(None, True)
    assert codeOf(InstallLogic()) == "torch-broken"
    assert world.calls == []
    assert "Uninstall" in InstallLogic().status().hint


@pytest.mark.parametrize("answer", [True, False])
def test_without_the_pytorch_extension_its_installation_is_offered(world, monkeypatch, answer) -> None:
    import slicer

    opened: list[str] = []
    action = types.SimpleNamespace(trigger=lambda: opened.append("opened"))
    monkeypatch.setattr(slicer.util, "findChildren", lambda **named: [action])
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    world.answers = [answer]
    assert codeOf(InstallLogic()) == "pytorch-extension-missing"
    assert names(world) == ["confirm"]
    assert bool(opened) == answer


def test_without_the_pytorch_extension_but_with_torch_the_rest_is_installed(world, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    world.setTorch("2.13.0", True)
    InstallLogic().install()
    assert names(world) == ["confirm", "pip_ensure"]


FAILURES = {
    "pip fails": (
        "pipOutcome",
        CalledProcessError(1, ["pip"], output="a\nNo matching distribution\n"),
        "No matching",
    ),
    "pip raises": ("pipOutcome", RuntimeError("pip is not there"), "pip is not there"),
    "pip does nothing": ("pipOutcome", "nothing", "still missing"),
    "torch fails": ("torchOutcome", CalledProcessError(1, ["pip"]), "PyTorch failed"),
    "torch raises": ("torchOutcome", TypeError("'NoneType'"), "NoneType"),
    "torch is refused": ("torchOutcome", None, "not installed"),
    "torch is too old": ("torchOutcome", "2.1", "still missing"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_told_with_its_reason(world, case) -> None:
    attribute, outcome, part = FAILURES[case]
    setattr(world, attribute, outcome)
    with pytest.raises(UserError) as caught:
        InstallLogic().install()
    assert caught.value.code == "install-failed"
    assert part in caught.value.text


def test_an_older_slicer_installs_with_its_own_pip(world, monkeypatch) -> None:
    import slicer

    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.delattr(slicer, "packaging")
    monkeypatch.setattr(slicer.util, "pip_install", lambda wanted: world.pipEnsure(wanted), raising=False)
    world.setTorch("2.13.0", True)
    world.versions["tqdm"] = "4.0"
    assert "tqdm>=4.66" in InstallLogic().missing()
    InstallLogic().install()
    assert names(world) == ["confirm", "pip_ensure"]
    assert InstallLogic().status().ready


def test_nothing_is_imported_or_started_to_find_out(world, monkeypatch) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *arguments, **named: pytest.fail("a process was started"))
    before = set(sys.modules)
    InstallLogic().status()
    assert {
        name for name in set(sys.modules) - before if name.startswith(("torch", "skimage", "pydantic"))
    } == set()


def test_a_damaged_description_counts_as_missing(world, monkeypatch) -> None:
    world.complete()
    monkeypatch.setattr(sys.modules["slicer.packaging"], "pip_check", lambda requirement: 1 / 0)
    assert InstallLogic().missing() == list(requirements())
    assert module.requirements is requirements
