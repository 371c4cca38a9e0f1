"""Services on small surrogates that nothing has to be trained for."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import uvicorn
from starlette.testclient import TestClient

import surrogate
from surrogate.encoding import Encoding
from surrogate.networks import PODPolynomial
from surrogate.server import Options, create_app
from surrogate.server.protocol import PatientProtocol
from tests.toy import Toy


@dataclass(frozen=True)
class Hot(Toy):
    """The toy without fields to start from: a map of parameters alone."""

    n: int = 16

    field_inputs = {}

    def solve(self, inputs):
        x, y = np.meshgrid(*(axis.points for axis in self.grid.axes), indexing="ij")
        theta = inputs["offset"] + np.exp(-inputs["kappa"] * self.times)[:, None, None] * (
            np.sin(np.pi * x) * np.cos(np.pi * y)
        )
        return super().solve({**inputs, "theta0": theta[0], "source": np.zeros_like(theta[0])})


class Box:
    """A domain of which the p-value is 1 inside the given range of kappa and 0 outside."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def p_values(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        kappa = np.asarray(inputs["kappa"])
        return np.where((kappa >= self.low) & (kappa <= self.high), 0.5, 0.001)


@dataclass(frozen=True)
class Calibration:
    """What the service uses of `surrogate.trust.calibration.Calibration`."""

    coverage: float
    n: int
    error_bound: dict
    half_width: dict
    domain: Box


def encoding_of(simulation) -> Encoding:
    moments = {}
    for name, field in (simulation.fields | dict(simulation.field_inputs)).items():
        components = np.arange(1.0, 1 + simulation.grid.ndim**field.order)
        shape = (simulation.grid.ndim,) * field.order
        moments[name] = (
            (components - 1).reshape(shape).tolist(),
            components.reshape(shape).tolist(),
        )
    ranges = {name: parameter.sampling for name, parameter in simulation.parameters.items()}
    return Encoding(simulation, moments, ranges)


def surrogate_of(simulation, network) -> surrogate.Surrogate:
    encoding = encoding_of(simulation)
    torch.manual_seed(0)
    sizes = encoding.signature
    network.build(sizes)
    network.prepare(
        torch.randn(32, *sizes.grid, sizes.in_channels),
        2 * torch.rand(32, sizes.in_scalars) - 1,
        torch.randn(32, *sizes.grid, sizes.out_channels),
        torch.randn(32, sizes.out_scalars),
    )
    return surrogate.Surrogate(simulation, network, encoding)


def calibrated(emulator, low=0.0, high=1.0) -> surrogate.Surrogate:
    simulation = emulator.simulation
    widths = {
        name: np.full((simulation.times.size, *field.shape(simulation.grid)), 0.25)
        for name, field in simulation.fields.items()
    }
    bounds = dict.fromkeys(simulation.fields, 0.02) | {"power": 0.05}
    emulator.calibration = Calibration(0.9, 50, bounds, widths, Box(low, high))
    return emulator


@pytest.fixture(scope="session")
def hot() -> surrogate.Surrogate:
    return calibrated(surrogate_of(Hot(), PODPolynomial(modes=8, max_terms=20)))


@pytest.fixture(scope="session")
def toy() -> surrogate.Surrogate:
    return surrogate_of(Toy(), surrogate.FNO(modes=2, width=4, layers=1))


@pytest.fixture
def service(hot, toy):
    """Start a service: a client of it, which raises what the service does not handle."""
    clients = []

    def start(models=None, **options) -> TestClient:
        app = create_app(models or {"hot": hot, "toy": toy}, Options(**options))
        client = TestClient(app)
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


class Live:
    """A service that listens on a port of its own, in a thread."""

    def __init__(self, models, **options):
        self.app = create_app(models, Options(**options))
        config = uvicorn.Config(
            self.app, http=PatientProtocol, ws="none", log_config=None, server_header=False
        )
        self.server = uvicorn.Server(config)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        asyncio.run(self.server.serve([self.socket]))

    def stop(self):
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def live(hot, toy):
    """Start a service that clients reach over the network."""
    started = []

    def start(models=None, **options) -> Live:
        started.append(Live(models or {"hot": hot, "toy": toy}, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()
