"""``segtoolkit visualise cooperative``: a slice whose codes get holes, as a sheet of pictures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import add_device, add_model, ask_in_terminal
from SegToolkitLib.errors import SegToolkitError
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("-i", "--image", type=Path, required=True, metavar="FILE", help="volume")
    parser.add_argument(
        "--label",
        type=Path,
        metavar="FILE",
        help="its label map, whose loss chooses what is masked (default: the model's own result)",
    )
    parser.add_argument(
        "--slice",
        type=int,
        metavar="N",
        help="slice, counted from 0 (default: the one with most of the structures)",
    )
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="PNG", help="picture to write")
    parser.add_argument("--seed", type=int, default=0, help="of the masks (default: 0)")
    parser.add_argument(
        "--hard", action="store_true", help="take away what is masked, in place of weakening it"
    )
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    import numpy as np

    from SegToolkitLib.automatic.segmenter import AutomaticOptions
    from SegToolkitLib.automatic.tested import opened_model
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.cooperative import automatic
    from SegToolkitLib.methods.cooperative.explore import explore
    from SegToolkitLib.methods.cooperative.prepare import stacked
    from SegToolkitLib.methods.cooperative.segment import CooperativeSegmenter
    from SegToolkitLib.volume import check_label, read_volume

    if options.out.suffix.lower() != ".png":
        raise SegToolkitError("unknown-suffix", f"{options.out} is no PNG file.", "End its name in .png.")
    model = opened_model(options.model, "cooperative", options.accept_licence, ask_in_terminal())
    segmenter = automatic.load(model.folder, model.card, choose_device(options.device), "float32")
    assert isinstance(segmenter, CooperativeSegmenter)
    volume = read_volume(options.image)
    stack = stacked(volume, segmenter.plan.input)
    truth = None
    if options.label is not None:
        label = check_label(read_volume(options.label, label=True), volume)
        truth = segmenter.classes_of(stack.label(label))
    number = options.slice
    if number is None:
        shown = truth if truth is not None else segmenter.predict(stack, AutomaticOptions()).labels
        number = int(np.argmax(np.count_nonzero(shown, axis=(1, 2))))
    if not 0 <= number < len(stack):
        raise SegToolkitError(
            "no-slice", f"{options.image.name} has {len(stack)} slices.", f"Choose 0 to {len(stack) - 1}."
        )
    explore(
        segmenter.networks,
        stack.pixels[number],
        None if truth is None else truth[number],
        segmenter.plan.inference,
        {index: label.name for index, label in enumerate(model.card.labels, start=1)},
        options.out,
        f"{model.card.title}: {options.image.name}, slice {number} of 0 to {len(stack) - 1}",
        seed=options.seed,
        soft=not options.hard,
    )
    reporter.info(f"Wrote {options.out}")
    return {"picture": str(options.out), "slice": number}


COMMAND = Command("show what holes in a model's codes do to an image", _add_arguments, _run)
