"""Trainings in TensorBoard: a logger for ``surrogate.train(…, loggers=[TensorBoard(folder)])``."""

from pathlib import Path


class TensorBoard:
    """A logger that writes what ``tensorboard --logdir FOLDER`` shows.

    Args:
        folder: of the event files; a training that continues adds to it.

    Raises:
        ModuleNotFoundError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(f"{error}: pip install 'physurrogate[tensorboard]'") from None
        self._writer = SummaryWriter(str(folder))

    def log(self, values: dict[str, float], step: int) -> None:
        """Write the values of an epoch, and see to it that they can be looked at."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()
