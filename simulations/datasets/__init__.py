"""Datasets on disk: the layout, writing it, reading it back."""

from simulations.datasets.layout import SPLITS, Trajectories
from simulations.datasets.reader import Dataset, DatasetError

__all__ = ["SPLITS", "Dataset", "DatasetError", "Trajectories"]
