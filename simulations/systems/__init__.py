"""The physical systems, one a file."""

from simulations.systems.burgers import Burgers
from simulations.systems.darcy_flow import DarcyFlow
from simulations.systems.natural_convection import NaturalConvection

__all__ = ["Burgers", "DarcyFlow", "NaturalConvection"]
