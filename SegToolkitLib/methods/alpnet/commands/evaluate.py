"""``segtoolkit evaluate alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import add_device, whole_numbers
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.alpnet.commands.data_options import add_dataset, open_dataset
from SegToolkitLib.methods.registry import Command


def _add_arguments(parser: ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[FOLD=]MODEL",
        help="model of a fold (0=runs/fold0/result/model), repeated for several folds",
    )
    parser.add_argument(
        "--untrained", action="store_true", help="test fresh weights of the compact encoder instead"
    )
    parser.add_argument("--fold", type=whole_numbers, help="folds to test (default: those of the models)")
    parser.add_argument(
        "--test-organs", help="names, or a test group of the data set (default: all structures)"
    )
    parser.add_argument(
        "--support-index", type=whole_numbers, default=[-1], help="support scans in the validation list"
    )
    parser.add_argument("--parts", type=int, default=3, help="chunks of an organ (default: 3)")
    parser.add_argument("--z-margin", type=int, default=0, help="slices beyond the organ that are scored")
    parser.add_argument("--window", type=int, help="pooling window (default: the model's)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write the tables")
    parser.add_argument("--pictures", type=int, default=1, help="overlay pictures a fold (default: 1)")
    parser.add_argument("--predictions", action="store_true", help="also write the predicted volumes")
    parser.add_argument("--batch", type=int, default=8, help="slices encoded at once")
    parser.add_argument("--accept-licence", action="store_true", help="accept the models' licences")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.alpnet.evaluate import ProtocolSettings
    from SegToolkitLib.methods.alpnet.evaluation_run import EvaluationOptions, evaluate_folds

    return evaluate_folds(
        open_dataset(options),
        EvaluationOptions(
            models=tuple(options.model),
            untrained=options.untrained,
            folds=tuple(options.fold or ()),
            organs=options.test_organs,
            protocol=ProtocolSettings(options.parts, options.z_margin, tuple(options.support_index)),
            window=options.window,
            device=choose_device(options.device),
            precision=options.precision,
            batch=options.batch,
            pictures=options.pictures,
            predictions=options.predictions,
            accept_licence=options.accept_licence,
        ),
        options.out,
        reporter,
    )


COMMAND = Command("test few-shot models by the authors' protocol and by an honest one", _add_arguments, _run)
