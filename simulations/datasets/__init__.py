"""Datasets on disk: the layout, writing it, reading it back, and reading those of others."""

from simulations.datasets.compression import Compression
from simulations.datasets.foreign import RecordedDataset, open_dataset
from simulations.datasets.layout import SPLITS, Trajectories
from simulations.datasets.reader import Dataset
from simulations.datasets.recorded import Recorded
from simulations.datasets.untrusted import DatasetError, UnsafeFile, open_untrusted
from simulations.datasets.windows import Window, Windows

__all__ = [
    "SPLITS",
    "Compression",
    "Dataset",
    "DatasetError",
    "Recorded",
    "RecordedDataset",
    "Trajectories",
    "UnsafeFile",
    "Window",
    "Windows",
    "open_dataset",
    "open_untrusted",
]
