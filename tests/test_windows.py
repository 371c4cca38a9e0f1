"""Windows over time: the same numbers from memory and from the files, in every process."""

import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from simulations.datasets import Dataset, DatasetError, Windows, frames, windows
from simulations.simulation import InvalidInput
from tests.toy import Toy

TOY = Toy(n_times=7)
N = 50


@pytest.fixture(scope="module")
def made(generate_here, tmp_path_factory):
    """Several shards a split, so that a batch takes from more than one."""
    return generate_here(TOY, N, tmp_path_factory.mktemp("made") / "toy", seed=3)


@pytest.fixture(scope="module")
def loaded(made):
    return made.load("train")


def expected(data, index, history, horizon, stride, repeat_first):
    """A window by plain slicing of the trajectories: the last known frame advances by one."""
    length = history + horizon
    first = 0 if history == 0 or repeat_first else (history - 1) * stride
    known = [t for t in range(first, TOY.n_times) if t + horizon * stride < TOY.n_times + (history == 0) * stride]
    sample, position = divmod(index, len(known))
    start = known[position] - max(history - 1, 0) * stride
    times = [max(start + stride * j, 0) for j in range(length)]
    return sample, start, {name: values[sample, times] for name, values in data.fields.items()}
