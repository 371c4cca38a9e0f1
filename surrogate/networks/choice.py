"""Which network to take where none is named."""

import math

from simulations.grid import Grid
from surrogate.networks.fno import FNO
from surrogate.networks.graph_net import GraphNet
from surrogate.networks.mlp import MLP
from surrogate.networks.network import Network, Signature
from surrogate.networks.perceptron import LARGEST
from surrogate.networks.pod import PODNet
from surrogate.networks.pod_polynomial import PODPolynomial

#: With four parameters 400 polynomials reach degree 7, with five degree 5
MOST_PARAMETERS = 4
#: Scalar outputs that are fitted one by one
MOST_SCALARS = 64
#: Points of an axis below which Fourier modes say little
FEWEST_POINTS = 8


def default_network(signature: Signature, grid: Grid) -> Network:
    """An unbuilt network for a problem of this kind.

    - Parameters alone go in: a field, or a few scalars, that depends on few of them usually does so
      smoothly, and `PODPolynomial` fits it in closed form. For many parameters `PODNet` learns the
      coefficients. Many scalars alone are the trajectories of an ordinary differential equation:
      `MLP`.
    - Fields go in on a grid: `FNO`; where an axis has too few points for waves, `MLP`.
    - Individuals (``Axis.members``) have nothing between them. If several of their fields are given
      at the start, as coordinates and velocities are, they are particles, whose names do not
      matter: `GraphNet`. Others are known by their place, like the sites of a ring: `MLP`. Where
      that would be too large, `FNO` takes the lattice for a grid.

    Args:
        signature: sizes of the problem.
        grid: of the simulation.
    """
    if not signature.in_channels:
        few = signature.in_scalars <= MOST_PARAMETERS and signature.out_scalars <= MOST_SCALARS
        if few:
            return PODPolynomial()
        return PODNet() if signature.out_channels else MLP()
    if any(axis.interpolation == "none" for axis in grid.axes):
        given = sum(start >= 0 for start in signature.initial)
        if len(grid.axes) == 1 and given > 1:
            return GraphNet()
        return MLP() if _is_small(signature) or len(grid.axes) > 3 else FNO()
    if not 1 <= len(grid.axes) <= 3 or min(signature.grid) < FEWEST_POINTS:
        return MLP()
    return FNO()


def _is_small(signature: Signature) -> bool:
    points = math.prod(signature.grid)
    largest = max(signature.in_channels, signature.out_channels)
    return points * largest + signature.in_scalars + signature.out_scalars <= LARGEST
