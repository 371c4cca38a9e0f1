"""Datasets on disk: the layout, writing it, reading it back."""

from simulations.datasets.compression import Compression
from simulations.datasets.layout import SPLITS, Trajectories
from simulations.datasets.reader import Dataset, DatasetError
from simulations.datasets.windows import Window, Windows

__all__ = ["SPLITS", "Compression", "Dataset", "DatasetError", "Trajectories", "Window", "Windows"]
