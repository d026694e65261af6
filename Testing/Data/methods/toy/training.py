"""The toy as the engine knows it; importing this imports no torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from SegToolkitLib.training.method import Context, Place, Prepared, Preset

from .settings import ToySettings


class Toy:
    """See ``SegToolkitLib.training.method.TrainingMethod``."""

    name = "toy"
    title = "Toy"
    summary = "A tiny network on synthetic pictures; for tests."
    settings = ToySettings
    presets = {  # noqa: RUF012
        "quick": Preset(
            "quick",
            "Quick check",
            "A second.",
            ToySettings(steps=20, log_every=1, snapshot_every=5, validate_every=5),
        ),
        "default": Preset(
            "default", "Default", "A few seconds.", ToySettings(log_every=2, validate_every=10)
        ),
        "published": Preset("published", "As published", "As long.", ToySettings()),
    }
    places = (Place("weights", "file", "read at the start"),)
    metric = ("dice", "max")
    needs_dataset = False

    def prepare(self, context: Context) -> Prepared:
        """The task; takes a while where ``preparing`` says so."""
        from .task import ToyTask

        steps = 20
        for step in range(steps if context.settings.preparing else 0):
            time.sleep(context.settings.preparing / steps)
            context.reporter.progress("preparing", step + 1, steps)
        cases = context.dataset.ids if context.dataset else []
        return Prepared(ToyTask(context.settings, context.device, context.group), {"cases": cases})

    def finish(self, context: Context, task: Any) -> Path:
        """A model's folder."""
        from SegToolkitLib.models.card import Licence, ModelCard, Preprocessing, Training
        from SegToolkitLib.models.folder import save_model

        card = ModelCard(
            name="".join(c if c.isalnum() else "-" for c in context.name.lower()).strip("-") or "toy",
            title=f"Toy ({context.name})",
            method="toy",
            preprocessing=Preprocessing(modality="MR", orientation="LPS"),
            licence=Licence(name="none", permissive=True),
            training=Training(
                command=context.command,
                seed=context.settings.seed,
                steps=context.settings.steps,
                settings=context.settings.model_dump(mode="json"),
            ),
        )
        folder = context.run.result / "model"
        save_model(folder, card, task.network.state_dict(), half=False)
        return folder

    def trial(self, settings: ToySettings, dataset: Any, device: Any) -> Any:
        """Made-up samples are all that it has."""
        from .task import ToyTask

        return ToyTask(settings, device)


METHOD = Toy()
