"""Which part of the library answers a request, and how a failure becomes a sentence."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import METHODS, Service, service_of

OWN_VERBS = ("environment", "models", "add_model", "accept_licence")
# Verbs that belong to no method, by the module whose VERBS has them; imported when first asked for.
MODULES = {
    "job_answers": (
        "jobs",
        "job_show",
        "job_start",
        "job_stop",
        "job_kill",
        "job_resume",
        "job_clone",
        "job_delete",
        "job_move",
        "job_events",
    ),
    "dataset_answers": ("dataset_check", "dataset_add"),
    "training_answers": ("methods", "check_settings", "estimate"),
    "dicom_answers": ("export_dicom_seg",),
    "automatic_answers": ("auto_warm", "auto_segment"),
    "compare_answers": ("compare",),
    "ejection_answers": ("ejection",),
}
SIMPLEITK_MEMORY = "Failed to allocate memory"
MODULE_OF = {verb: module for module, verbs in MODULES.items() for verb in verbs}
# The library's hints name options of the command line; behind a window other words help.
HINTS = {
    "licence-not-accepted": "Accept these terms to use the model; you are asked once.",
    "device-missing": "Choose the CPU, or install a PyTorch that fits the GPU and its driver.",
    "unknown-device": "Choose one of the devices that are listed.",
    "result-not-finite": "Compute in full precision (float32); if that fails too, the model is damaged.",
    "planes-differ": "Choose one plane for all volumes.",
    "too-many-structures": "Outline fewer structures at a time.",
    "ct-statistics": "Give mean and deviation of the prepared training scans, on the scale 0 to 255.",
    "other-network": "Choose one file of the coarse and one of the fine stage, or one of them alone.",
    "labels-differ": "Choose the set of labels that the networks were trained with.",
    "model-exists": "Choose to replace it, or remove it first.",
}


class Answers:
    """Routes requests; a method's service is made when it is first needed and then kept."""

    def __init__(self) -> None:
        self._services: dict[str, Service] = {}

    def answer(self, values: Mapping[str, Any], reporter: Reporter) -> None:
        """Do what a request asks and report ``done`` or ``error``, exactly one of them."""
        try:
            outputs = self._do(values, reporter)
        except Exception as error:
            if _is_out_of_memory(error):
                self._relieve()
            reporter.error(told(error))
            return
        reporter.done(**outputs)

    def _relieve(self) -> None:
        """Let go of all that is kept."""
        for service in self._services.values():
            service.relieve()
        automatic = sys.modules.get("SegToolkitLib.worker.automatic_answers")
        if automatic is not None:
            automatic.relieve()

    def _do(self, values: Mapping[str, Any], reporter: Reporter) -> dict[str, object]:
        verb = values["do"]
        if verb in MODULE_OF:
            module = importlib.import_module(f"SegToolkitLib.worker.{MODULE_OF[verb]}")
            outputs: dict[str, object] = module.VERBS[verb](values, reporter)
            return outputs
        if verb not in OWN_VERBS:
            return self._service_for(values).verbs[verb](values, reporter)
        if verb == "environment":
            from SegToolkitLib.worker.environment import environment

            return environment()
        from SegToolkitLib.worker import models

        if verb == "models":
            return models.list_models(values)
        if verb == "accept_licence":
            return models.accept_licence(values)
        return models.add_model(
            values, lambda order: self._service_for(order).verbs["import_checkpoint"](order, reporter)
        )

    def _service_for(self, values: Mapping[str, Any]) -> Service:
        """The service of the request's method, of its model's method, or the first that knows the verb."""
        verb, method = values["do"], values.get("method")
        if method is None and isinstance(values.get("model"), str):
            from SegToolkitLib.models.store import ModelStore

            card = ModelStore().find(values["model"]).card
            method = card.method if card else None
        if method is not None and method not in METHODS:
            raise SegToolkitError(
                "unknown-method",
                f"There is no method {method!r} in this SegToolkit.",
                f"The methods are {', '.join(METHODS)}.",
            )
        candidates = METHODS if method is None else (method,)
        for name in candidates:
            if name not in self._services:
                self._services[name] = service_of(name)
            if verb in self._services[name].verbs:
                return self._services[name]
        theirs = [v for name in candidates for v in self._services[name].verbs]
        known = [*OWN_VERBS, *MODULE_OF, *theirs, "quit"]
        raise SegToolkitError(
            "unknown-request", f"There is no request {verb!r}.", f"The requests are {', '.join(known)}."
        )


def told(error: Exception) -> SegToolkitError:
    """The failure as what a person reads; the trace of a fault of ours goes to stderr."""
    if isinstance(error, SegToolkitError):
        return SegToolkitError(error.code, error.message, HINTS.get(error.code, error.hint))
    if isinstance(error, MemoryError) or SIMPLEITK_MEMORY in str(error):
        return SegToolkitError(
            "out-of-memory",
            "There was not enough memory.",
            "Close other programs, crop the volume, or segment a range of slices.",
        )
    if _is_out_of_memory(error):
        return SegToolkitError(
            "out-of-gpu-memory",
            "The GPU ran out of memory.",
            "Choose the CPU, or segment a part of it.",
        )
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    if isinstance(error, ImportError):
        name = (error.name or "").partition(".")[0] or "that is needed"
        return SegToolkitError(
            "missing-package",
            f"The Python package {name} is missing or damaged ({error}).",
            "Install what the panel says is missing.",
        )
    return SegToolkitError(
        "internal",
        f"SegToolkit failed unexpectedly ({type(error).__name__}: {error}).",
        "Please report it together with the lines of the log.",
    )


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and SIMPLEITK_MEMORY in str(error)
