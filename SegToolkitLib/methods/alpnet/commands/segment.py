"""``segtoolkit segment alpnet``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from SegToolkitLib.cli.options import add_device, add_model, ask_in_terminal, slice_range
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command
from SegToolkitLib.sharding import add_shard

SUPPORT_HELP = (
    "an outlined volume: image, mask (label map or .seg.nrrd), and the outlined slices such as 12 or 5,12,20"
    " (default: every slice that has an outline); may be repeated"
)


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument(
        "--support",
        action="append",
        default=[],
        nargs="+",
        metavar=("IMAGE MASK", "SLICES"),
        help=SUPPORT_HELP,
    )
    parser.add_argument(
        "--support-set",
        action="append",
        default=[],
        type=Path,
        metavar="ZIP",
        help="outlined volumes saved as one file (from the few-shot panel); beside or instead of --support",
    )
    parser.add_argument(
        "--query",
        action="append",
        required=True,
        metavar="IMAGE",
        help="volume to segment, or a folder of volumes; may be a support; repeatable",
    )
    parser.add_argument("--out", type=Path, required=True, help="file (one query) or folder (several)")
    parser.add_argument(
        "--structures",
        metavar="V=NAME,...",
        help='label values and names, such as "1=liver,4=spleen" (default: all)',
    )
    parser.add_argument(
        "--slices", type=slice_range, metavar="FIRST:LAST", help="slices that hold the structures"
    )
    parser.add_argument(
        "--plane",
        default="acquired",
        choices=["acquired", "axial", "coronal", "sagittal"],
        help="plane of the slices",
    )
    parser.add_argument(
        "--series",
        action="append",
        default=[],
        metavar="UID",
        help="series to take from a DICOM folder that has several (see: segtoolkit series); repeatable",
    )
    parser.add_argument(
        "--keep-largest", action="store_true", help="only the largest component of each structure"
    )
    parser.add_argument(
        "--as-published",
        action="store_true",
        help="label whatever beats its background, slice by slice: nothing rejected or followed",
    )
    parser.add_argument(
        "--confidence", type=Path, metavar="FILE", help="also write the confidence (0 to 1) as a volume"
    )
    parser.add_argument("--overlay", type=Path, metavar="PNG", help="also draw the result over the image")
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="pass over queries whose result is there, as a batch does that goes on after its time limit",
    )
    parser.add_argument("--batch", type=int, default=8, help="slices encoded at once")
    add_shard(parser, "queries")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.methods.alpnet.segment_files import SegmentJob, SupportFile, segment_files

    job = SegmentJob(
        model=options.model,
        supports=[SupportFile.parse(words) for words in options.support],
        support_sets=options.support_set,
        queries=[Path(query) for query in options.query],
        out=options.out,
        structures=options.structures,
        slices=options.slices,
        plane=options.plane,
        series=options.series,
        keep_largest=options.keep_largest,
        as_published=options.as_published,
        confidence=options.confidence,
        overlay=options.overlay,
        batch=options.batch,
        device=options.device,
        precision=options.precision,
        accept_licence=options.accept_licence,
        ask=ask_in_terminal(),
        skip_existing=options.skip_existing,
    )
    return segment_files(job, reporter, options.shard)


COMMAND = Command("find structures that are outlined on a few slices", _add_arguments, _run)
