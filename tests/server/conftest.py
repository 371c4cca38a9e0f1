"""Services on small surrogates that nothing has to be trained for."""

import asyncio
import socket
import threading
from collections.abc import Mapping

import httpx
import numpy as np
import pytest
import torch
import uvicorn

import surrogate
from surrogate.encoding import Encoding
from surrogate.networks import PODPolynomial
from surrogate.server import Options, create_app
from surrogate.server.protocol import PatientProtocol
from surrogate.trust.calibration import Bounds, Calibration
from tests.server.systems import Hot, Slow
from tests.toy import Toy


class Box:
    """A domain of which the p-value is 1 inside the given range of kappa and 0 outside."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    def p_values(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        kappa = np.asarray(inputs["kappa"])
        return np.where((kappa >= self.low) & (kappa <= self.high), 0.5, 0.001)


class GrowingBounds(Calibration):
    """Bounds that grow with the offset, so that a mixed-up answer shows."""

    def bounds(self, emulator, inputs, answer) -> Bounds:
        scale = 1 + np.abs(inputs["offset"])
        error = {name: bound * scale for name, bound in self.error_bound.items()}
        widths = {name: np.multiply.outer(scale, w) for name, w in self.half_width.items()}
        return Bounds(error, widths, self.domain.p_values(inputs))


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
    emulator.calibration = GrowingBounds(0.9, 50, bounds, widths, Box(low, high))
    return emulator


@pytest.fixture(scope="session")
def hot() -> surrogate.Surrogate:
    return calibrated(surrogate_of(Hot(), PODPolynomial(modes=8, max_terms=20)))


@pytest.fixture(scope="session")
def toy() -> surrogate.Surrogate:
    return surrogate_of(Toy(), surrogate.FNO(modes=2, width=4, layers=1))


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


@pytest.fixture(scope="session")
def everywhere(hot, toy):
    """A service that tests share which leave it as it was: its solver takes seconds to start."""
    hasty = surrogate_of(Hot(runaway=1.0), PODPolynomial(modes=2, max_terms=3))
    slow = surrogate_of(Slow(pause=60.0), PODPolynomial(modes=2, max_terms=3))
    models = {"hot": hot, "toy": toy, "hasty": hasty, "slow": slow}
    service = Live(models, max_body=1 << 20, solve_timeout=2.0)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def shared(everywhere):
    """A client of it."""
    with httpx.Client(base_url=everywhere.url, timeout=120) as client:
        yield client


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


@pytest.fixture
def service(live):
    """Start a service: a client of it."""
    clients = []

    def start(models=None, **options) -> httpx.Client:
        clients.append(httpx.Client(base_url=live(models, **options).url, timeout=60))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
