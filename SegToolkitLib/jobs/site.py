"""The site file: what a cluster wants to hear, written once by whoever knows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.settings import Settings
from SegToolkitLib.validation import read_json, validated

VARIABLE = re.compile(r"[A-Za-z_]\w*")


class Site(Settings):
    """Settings of a cluster; every field may be left out.

    Attributes:
        partition, account, qos, constraint: as SLURM calls them.
        minutes: time limit of one job. A training that needs longer is put back into the queue.
        requeues: how often a training is put back because its time was over.
        nodes: machines that one training uses together.
        gpus: of each machine; 0 for the CPU. A training with several starts one process for each.
        cpus: cores of each machine.
        memory_gb: main memory of each machine; None takes the cluster's default.
        at_once: jobs of an array that run at the same time.
        warning_seconds: how long before the end a training is told to save.
        modules: names for ``module load``, in their order.
        setup: lines of the shell before the command.
        environment: variables.
        python: command that starts the Python that has SegToolkit there; None takes the present one.
        slurm: further options of sbatch, by their names without the dashes.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    minutes: int = Field(default=240, ge=1)
    requeues: int = Field(default=20, ge=0)
    nodes: int = Field(default=1, ge=1)
    gpus: int = Field(default=0, ge=0)
    cpus: int = Field(default=4, ge=1)
    memory_gb: float | None = Field(default=None, gt=0)
    at_once: int = Field(default=16, ge=1)
    warning_seconds: int = Field(default=120, ge=1)
    modules: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)
    python: str | None = None
    slurm: dict[str, str | int | bool] = Field(default_factory=dict)

    @field_validator("environment", mode="before")
    @classmethod
    def _as_text(cls, values: Any) -> Any:
        """YAML reads 1 as a number and on as a truth; variables are text."""
        if not isinstance(values, dict):
            return values
        for name in values:
            if not VARIABLE.fullmatch(str(name)):
                raise ValueError(f"{name!r} cannot be the name of a variable")
        return {str(name): str(value) for name, value in values.items()}

    def lines(self) -> list[str]:
        """Lines of the shell before the command: variables, modules, setup."""
        exports = [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return [*(f"module load {shlex.quote(name)}" for name in self.modules), *exports, *self.setup]


def read_site(file: Path) -> Site:
    """Read a site file, YAML or JSON.

    Raises:
        SegToolkitError: it cannot be read, or a field is unknown or out of range.
    """
    if file.suffix.lower() == ".json":
        return validated(Site, read_json(file), str(file))
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise SegToolkitError(
            "missing-package", "Reading YAML needs the Python package PyYAML.", "Install it, or write JSON."
        ) from error
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SegToolkitError(
            "unreadable", f"{file} could not be read: {error.strerror or error}.", "Check the path."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SegToolkitError(
            "not-yaml", f"{file} is not valid YAML: {error}.", "Mend the file; docs/jobs.md has examples."
        ) from error
    if not isinstance(values or {}, dict):
        raise SegToolkitError(
            "not-yaml", f"{file} holds no fields with values.", "Write lines such as minutes: 240."
        )
    return validated(Site, values or {}, str(file))
