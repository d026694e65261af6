"""The cases of a run: prepared once, kept in a cache on disk and mapped into memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from SegToolkitLib.dataset.cache import Cache
from SegToolkitLib.dataset.dataset import Case
from SegToolkitLib.dataset.open_files import TOO_MANY, check_errno, check_spare
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter

Read = TypeVar("Read")


def check_cache(folder: Path) -> None:
    """Complain if nothing can be kept there: a training does without, a preparation would be in vain.

    Raises:
        SegToolkitError: "bad-place".
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise SegToolkitError("bad-place", f"{folder} cannot take prepared cases.", "Choose another --cache.")


class CachedCase:
    """What a method keeps of one case: a dataclass derives from it, and reads arrays as cached properties.

    Attributes:
        case: its files.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    case: Case

    @property
    def id(self) -> str:
        """Of the case."""
        return self.case.id

    def __getstate__(self) -> dict[str, Any]:
        # Other processes map the arrays themselves.
        return {one.name: self.__dict__[one.name] for one in fields(self)}


class CaseReader:
    """Reads cases one by one; what cannot be used is told and left out. A method's reader derives from it.

    Args:
        cache: keeps what is prepared.
        reporter: hears of progress and of cases that are left out.

    Attributes:
        checksums: of the files that were read.
        failures: why a case was left out, by id.
    """

    def __init__(self, cache: Cache, reporter: Reporter) -> None:
        self._cache, self._reporter = cache, reporter
        self._told_gb = cache.limit_gb
        self.checksums: dict[str, str] = {}
        self.failures: dict[str, str] = {}

    def check_some(self, ready: int) -> None:
        """Complain if cases were left out and none is ready.

        Raises:
            SegToolkitError: "cases-failed".
        """
        if self.failures and not ready:
            told = " ".join(f"Case {id}: {why}" for id, why in self.failures.items())
            raise SegToolkitError(
                "cases-failed",
                f"None of the {len(self.failures)} cases could be prepared. {told}",
                "Mend them and run the same command again.",
            )

    def _each(self, ids: Iterable[str], what: str, read: Callable[[str], Read]) -> list[Read]:
        """What ``read`` gives for these cases; ``what`` they are, for the progress.

        Raises:
            SegToolkitError: "too-many-files", which all later cases would fail of, too.
        """
        ids, found = list(ids), []
        for done, id in enumerate(ids, start=1):
            try:
                found.append(read(id))
            except OSError as error:
                check_errno(error)
                raise
            except SegToolkitError as error:
                if error.code == TOO_MANY:
                    raise
                check_spare()
                self.failures[id] = error.message
                self._reporter.warning(f"Case {id} is left out: {error.message}", error.hint)
            self._reporter.progress(f"reading {what}", done, len(ids))
        self._tell_size()
        return found

    def _tell_size(self) -> None:
        """Warn of more prepared cases than the cache may keep; again only where that needs another limit."""
        used, limit = self._cache.used_gb, self._cache.limit_gb
        if used <= self._told_gb:
            return
        # Rounded up to two digits, so that what is told suffices.
        digits = 1 - math.floor(math.log10(used))
        self._told_gb = math.ceil(used * 10**digits) / 10**digits
        self._reporter.warning(
            f"The prepared cases of this run take {used:.3g} GB so far, which is more than"
            f" data.cache_gb={limit:g}. They stay while it runs; a later run may have to prepare them again.",
            f"Set data.cache_gb={self._told_gb:g} to keep them, if {self._cache.folder} has room for it.",
        )

    def _note(self, case: Case, *, label: bool = True) -> None:
        """Remember the checksums of a case's image and, unless it is not used, of its label."""
        self.checksums[case.id] = self._cache.content_hash(case.image)
        if label:
            self._note_label(case)

    def _note_label(self, case: Case) -> None:
        if case.label is not None:
            self.checksums[f"label of {case.id}"] = self._cache.content_hash(case.label)
