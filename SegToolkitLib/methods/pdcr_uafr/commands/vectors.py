"""``segtoolkit visualise pdcr_uafr``: feature vectors of a model as points, and how apart classes are."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from SegToolkitLib.cli.options import add_device, add_model, add_tested_cases, ask_in_terminal, count
from SegToolkitLib.events import Reporter
from SegToolkitLib.methods.registry import Command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from SegToolkitLib.methods.pdcr_uafr.separation import Projection
    from SegToolkitLib.methods.pdcr_uafr.vectors import Gathered, Vectors
    from SegToolkitLib.palette import Colour

TITLES = {"pca": "PCA", "tsne": "t-SNE"}
BACKGROUND: Colour = (150, 150, 150)
SIDE, RADIUS, EDGE = 640, 3, 16
FINER = 2  # drawn so many times as large, which smooths the dots


def _add_arguments(parser: ArgumentParser) -> None:
    add_model(parser)
    add_tested_cases(parser, "data set with labels")
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="such as encoder.2, or a part of the network; may be repeated (default: what PDCR compares)",
    )
    parser.add_argument(
        "--per-image",
        type=count,
        default=32,
        metavar="N",
        help="vectors of a layer for each picture or slice that shows a structure (default: 32)",
    )
    parser.add_argument(
        "--method",
        choices=list(TITLES),
        default="pca",
        help="to two coordinates; tsne needs scikit-learn (default: pca)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the places, and of t-SNE (default: 0)")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where to write")
    add_device(parser)


def _run(options: Namespace, reporter: Reporter) -> dict[str, object]:
    from SegToolkitLib.automatic.tested import cases_to_test, opened_model
    from SegToolkitLib.dataset.batch import raise_failures
    from SegToolkitLib.dataset.dataset import Dataset
    from SegToolkitLib.device import choose_device
    from SegToolkitLib.methods.pdcr_uafr import automatic
    from SegToolkitLib.methods.pdcr_uafr.pdcr_settings import PdcrSettings
    from SegToolkitLib.methods.pdcr_uafr.segment import PdcrUafrSegmenter
    from SegToolkitLib.methods.pdcr_uafr.separation import check_method
    from SegToolkitLib.methods.pdcr_uafr.tested_cases import classes_for, held_out
    from SegToolkitLib.methods.pdcr_uafr.vectors import gather, layers_to_show
    from SegToolkitLib.training.run_folder import provenance
    from SegToolkitLib.validation import validated

    check_method(options.method)
    model = opened_model(options.model, "pdcr_uafr", options.accept_licence, ask_in_terminal())
    dataset = Dataset.open(options.dataset, options.data)
    cases = cases_to_test(dataset, model, options.cases, held_out, reporter=reporter)
    classes = classes_for(dataset, model.card)
    segmenter = automatic.load(model.folder, model.card, choose_device(options.device), options.precision)
    assert isinstance(segmenter, PdcrUafrSegmenter)
    told = model.card.training.settings.get("pdcr") or {}
    settings = validated(PdcrSettings, told, f"The card of {model.card.name}")
    stride = segmenter.plan.network.output_stride
    layers = layers_to_show(segmenter.network, stride, settings, options.layer)
    found = gather(segmenter, cases, classes, layers, options.per_image, options.seed, reporter)
    if len(found.failures) == len(cases):
        raise_failures(found.failures, len(cases), "read")
    about = {
        "dataset": dataset.description.name,
        "model": str(model.folder),
        "cases": [case.id for case in cases if case.id not in found.failures],
        "per_image": options.per_image,
        "method": options.method,
        "seed": options.seed,
        "made_with": provenance(),
    }
    names = ["background", *(label.name for label in model.card.labels)]
    title = f"{model.card.title} ({model.card.name})"
    write_vectors(options.out, found, names, options.method, options.seed, title, about, reporter)
    raise_failures(found.failures, len(cases), "read")
    return {"folder": str(options.out), "layers": list(found.layers), "images": found.images}


def write_vectors(
    folder: Path,
    found: Gathered,
    names: Sequence[str],
    method: Projection,
    seed: int,
    title: str,
    about: Mapping[str, Any],
    reporter: Reporter,
) -> None:
    """Write ``vectors.csv``, ``vectors.json`` and a picture for each layer; say what came out.

    Args:
        folder: made if missing.
        found: of :func:`gather`.
        names: of the classes, background first.
        method: to two coordinates.
        seed: of t-SNE, and of the order in which points are drawn.
        title: of the model.
        about: what else ``vectors.json`` says.
        reporter: hears of progress, and a line for each layer.

    Raises:
        SegToolkitError: "write-failed"; what :func:`vectors.coordinates` raises.
    """
    from dataclasses import asdict

    from SegToolkitLib.evaluation.sheet import write_sheet
    from SegToolkitLib.evaluation.tables import write_csv, write_results
    from SegToolkitLib.methods.pdcr_uafr.separation import coordinates, separation, separation_within_images

    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    # Before anything is written: t-SNE may refuse.
    placed = {layer: coordinates(vectors.features, method, seed) for layer, vectors in found.layers.items()}
    for done, (layer, vectors) in enumerate(found.layers.items()):
        reporter.progress("drawing", done, len(found.layers))
        points, explained = placed[layer]
        over_all = separation(vectors.features, vectors.classes)
        inside, images = separation_within_images(vectors)
        counts = [int((vectors.classes == number).sum()) for number in range(len(names))]
        figures[layer] = {
            "vectors": dict(zip(names, counts, strict=True)),
            "channels": vectors.features.shape[1],
            "explained": explained,
            "all_images": asdict(over_all),
            "within_images": {**asdict(inside), "images": images},
        }
        rows += _rows(layer, vectors, points, names)
        line = (
            f"silhouette {over_all.silhouette:.3f} (within images {inside.silhouette:.3f}), cosine within"
            f" classes {over_all.cosine_within:.3f}, between {over_all.cosine_between:.3f}"
        )
        how = TITLES[method] + (f", {100 * explained:.0f} % of the variance" if method == "pca" else "")
        write_sheet(
            folder / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', layer)}.png",
            [_scatter(points, vectors.classes, seed)],
            1,
            [
                (_colour(number), f"{name} ({n})")
                for number, (name, n) in enumerate(zip(names, counts, strict=True))
            ],
            how,
            f"{title}: {layer}",
            f"{sum(counts)} feature vectors of {found.images} images; {line}.",
        )
        reporter.info(f"{layer}: {sum(counts)} vectors, {line}")
    reporter.progress("drawing", len(found.layers), len(found.layers))
    write_csv(folder / "vectors.csv", rows)
    images_of = {"images": found.images, "empty_images": found.empty}
    write_results(folder / "vectors.json", {**about, **images_of, "layers": figures})
    reporter.info(f"{found.images} images, {found.empty} without a structure left out; wrote {folder}")


def _rows(
    layer: str, vectors: Vectors, points: NDArray[np.float64], names: Sequence[str]
) -> list[dict[str, Any]]:
    classes = vectors.classes
    return [
        {
            "case": vectors.cases[n],
            **dict(zip(("slice", "row", "column"), vectors.voxels[n].tolist(), strict=True)),
            "layer": layer,
            "class": names[classes[n]],
            **{f"share_{name}": float(one) for name, one in zip(names, vectors.shares[n], strict=True)},
            "x": float(points[n, 0]),
            "y": float(points[n, 1]),
        }
        for n in range(len(points))
    ]


def _colour(number: int) -> Colour:
    from SegToolkitLib.palette import label_colour

    return label_colour(number) if number else BACKGROUND


def _scatter(points: NDArray[np.float64], classes: NDArray[np.int64], seed: int) -> Image.Image:
    """Points [N, 2] as dots in the colours of their classes; both axes have one scale."""
    import numpy as np
    from PIL import Image, ImageDraw

    side, edge, radius = SIDE * FINER, EDGE * FINER, RADIUS * FINER
    low, high = points.min(0), points.max(0)
    scale = (side - 2 * edge) / max(float((high - low).max()), 1e-12)
    # The second coordinate grows upwards.
    places = side / 2 + (points - (low + high) / 2) * scale * (1, -1)
    picture = Image.new("RGB", (side, side), (0, 0, 0))
    draw = ImageDraw.Draw(picture)
    # In no order of classes: the last one drawn would hide the others.
    for n in np.random.default_rng(seed).permutation(len(points)):
        x, y = places[n].tolist()
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), _colour(int(classes[n])))
    return picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


COMMAND = Command(
    "show feature vectors of a model as points, and how apart classes are", _add_arguments, _run
)
