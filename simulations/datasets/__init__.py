"""Datasets on disk: the layout, writing it, reading it back."""

from simulations.datasets.layout import SPLITS, Trajectories
from simulations.datasets.reader import Dataset
from simulations.datasets.untrusted import DatasetError, UnsafeFile, open_untrusted

__all__ = ["SPLITS", "Dataset", "DatasetError", "Trajectories", "UnsafeFile", "open_untrusted"]
