"""Neural networks: arrays in, arrays out. One architecture a file."""

import inspect

from surrogate.networks.baselines import Climatology, Persistence, PODLinear
from surrogate.networks.channels_first import ChannelsFirst
from surrogate.networks.choice import default_network
from surrogate.networks.constrained import Constrained
from surrogate.networks.deeponet import DeepONet
from surrogate.networks.dilated_resnet import DilatedResNet
from surrogate.networks.factorized_fno import FactorizedFNO
from surrogate.networks.fno import FNO
from surrogate.networks.gaussian_process import GaussianProcess
from surrogate.networks.graph_net import GraphNet
from surrogate.networks.koopman import Koopman
from surrogate.networks.mlp import MLP
from surrogate.networks.network import Network, Signature
from surrogate.networks.pod import PODNet
from surrogate.networks.pod_polynomial import PODPolynomial
from surrogate.networks.transolver import Transolver
from surrogate.networks.tucker_fno import TuckerFNO
from surrogate.networks.unet import UNet

__all__ = [
    "FNO",
    "MLP",
    "ChannelsFirst",
    "Climatology",
    "Constrained",
    "DeepONet",
    "DilatedResNet",
    "FactorizedFNO",
    "GaussianProcess",
    "GraphNet",
    "Koopman",
    "Network",
    "PODLinear",
    "PODNet",
    "PODPolynomial",
    "Persistence",
    "Signature",
    "Transolver",
    "TuckerFNO",
    "UNet",
    "by_name",
    "default_network",
]


def by_name(name: str) -> type[Network]:
    """The network class of this name, as model files and the command line give it.

    Raises:
        ValueError: if there is no such network.
    """
    known = {
        key: value
        for key, value in globals().items()
        if isinstance(value, type) and issubclass(value, Network) and not inspect.isabstract(value)
    }
    if name not in known:
        raise ValueError(f"network {name!r}: must be one of {', '.join(sorted(known))}")
    return known[name]
