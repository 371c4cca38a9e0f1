"""Data bought where it counts: which inputs are worth a run of the solver, and growing by them."""

from surrogate.trust.acquisition.growth import Growth, grow
from surrogate.trust.acquisition.selection import METHODS, Acquisition, Selection, acquire

__all__ = ["METHODS", "Acquisition", "Growth", "Selection", "acquire", "grow"]
