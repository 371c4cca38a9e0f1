"""The physical systems, one a file."""

from simulations.systems.burgers import Burgers

__all__ = ["Burgers"]
