"""What TensorBoard is told can be read back by TensorBoard."""

import sys

import pytest

from surrogate.tensorboard import TensorBoard


def test_values_are_read_back_by_step(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = TensorBoard(tmp_path)
    logger.log({"train": 0.5, "valid": 0.75}, 1)
    logger.log({"train": 0.25, "valid": 0.5}, 2)
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("train")] == [(1, 0.5), (2, 0.25)]
    assert [(e.step, e.value) for e in events.Scalars("valid")] == [(1, 0.75), (2, 0.5)]


def test_what_to_install_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'physurrogate\[tensorboard\]'"):
        TensorBoard(tmp_path)
