"""Data sets: a folder of cases and its description, folds, and importers of the authors' layouts."""

from SegToolkitLib.dataset.checks import Problem
from SegToolkitLib.dataset.dataset import Case, Dataset
from SegToolkitLib.dataset.description import DatasetDescription, Licence
from SegToolkitLib.dataset.folds import FoldSplit, even_borders, fold_split
from SegToolkitLib.dataset.known import CHAOST2, SABS

__all__ = [
    "CHAOST2",
    "SABS",
    "Case",
    "Dataset",
    "DatasetDescription",
    "FoldSplit",
    "Licence",
    "Problem",
    "even_borders",
    "fold_split",
]
