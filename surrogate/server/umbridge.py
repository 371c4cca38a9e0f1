"""UM-Bridge, the protocol by which programs for uncertainty ask models of any kind.

Inputs are flat lists: all parameters together in the order of the simulation, then each field
input. Outputs are the fields, each a flat list ``(time, *space, *component)``; ``config`` may
choose among them, ``{"fields": ["nusselt"]}``.

References:
    Seelinger et al., UM-Bridge: Uncertainty quantification and modeling bridge, Journal of Open
    Source Software 8 (2023) 4748.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from simulations.simulation import InvalidInput
from surrogate.server.answers import JSON
from surrogate.server.errors import Refused
from surrogate.server.served import Prediction, Row, Served

PROTOCOL_VERSION = 1.0

Vector = list[float]


class _Request(BaseModel):
    # Clients may send more than they have to
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    name: str
    config: dict[str, Any] | None = None


class SizesRequest(_Request):
    """Which model, and what is chosen of it."""


class EvaluateRequest(_Request):
    """Where a model is evaluated."""

    input: list[Vector]


class GradientRequest(EvaluateRequest):
    """A derivative: of which output, with respect to which input, times what."""

    model_config = ConfigDict(title="GradientRequest")

    out_wrt: Annotated[int, Field(alias="outWrt", ge=0)]
    in_wrt: Annotated[int, Field(alias="inWrt", ge=0)]
    sens: Vector


class JacobianRequest(EvaluateRequest):
    """The same with a vector as long as the input."""

    out_wrt: Annotated[int, Field(alias="outWrt", ge=0)]
    in_wrt: Annotated[int, Field(alias="inWrt", ge=0)]
    vec: Vector


#: How a service answers a row, and how it has something worked out in the thread of the network
Predict = Callable[[Served, Row], Awaitable[Prediction]]
InThread = Callable[..., Awaitable[Any]]


class Bridge:
    """The operations of the protocol on the models of a service."""

    def __init__(self, models: dict[str, Served], predict: Predict, in_thread: InThread) -> None:
        self.models, self._predict, self._in_thread = models, predict, in_thread

    def info(self) -> Response:
        return _answer({"protocolVersion": PROTOCOL_VERSION, "models": list(self.models)})

    async def model_info(self, request: SizesRequest) -> Response:
        self._model(request)
        support = {"Evaluate": True, "Gradient": True, "ApplyJacobian": True, "ApplyHessian": False}
        return _answer({"support": support})

    async def input_sizes(self, request: SizesRequest) -> Response:
        return _answer({"inputSizes": _input_sizes(self._model(request))})

    async def output_sizes(self, request: SizesRequest) -> Response:
        served = self._model(request)
        sizes = [_size(served, name) for name in _chosen(served, request)]
        return _answer({"outputSizes": sizes})

    async def evaluate(self, request: EvaluateRequest) -> Response:
        served = self._model(request)
        names = _chosen(served, request)
        prediction = await self._predict(served, _row(served, request))
        flat = [prediction.fields[name].reshape(-1).astype(float).tolist() for name in names]
        return _answer({"output": flat})

    async def gradient(self, request: GradientRequest) -> Response:
        return await self._product(request, request.sens, transposed=True)

    async def apply_jacobian(self, request: JacobianRequest) -> Response:
        return await self._product(request, request.vec, transposed=False)

    async def _product(
        self, request: GradientRequest | JacobianRequest, vector: Vector, *, transposed: bool
    ) -> Response:
        served = self._model(request)
        names, sizes = _chosen(served, request), _input_sizes(served)
        for key, position, known in (
            ("outWrt", request.out_wrt, len(names)),
            ("inWrt", request.in_wrt, len(sizes)),
        ):
            if position >= known:
                raise InvalidInput(f"{key}={position}: must be below {known}")
        output = names[request.out_wrt]
        expected = _size(served, output) if transposed else sizes[request.in_wrt]
        if len(vector) != expected:
            key = "sens" if transposed else "vec"
            raise InvalidInput(f"{key} has {len(vector)} values: must have {expected}")
        row = _row(served, request)
        product = await self._in_thread(
            lambda: served.product(row, output, request.in_wrt, vector, transposed=transposed)
        )
        return _answer({"output": product})

    def _model(self, request: _Request) -> Served:
        if request.name not in self.models:
            known = ", ".join(self.models)
            shown = request.name[:64]
            raise Refused(400, "ModelNotFound", f"name={shown!r}: must be one of {known}")
        return self.models[request.name]


def _answer(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content), media_type=JSON)


def _chosen(served: Served, request: _Request) -> list[str]:
    known = list(served.simulation.fields)
    chosen = (request.config or {}).get("fields", known)
    if not isinstance(chosen, list) or not chosen or any(name not in known for name in chosen):
        raise InvalidInput(f"config.fields: must be a list of {known}")
    return chosen


def _input_sizes(served: Served) -> list[int]:
    simulation = served.simulation
    fields = [math.prod(f.shape(simulation.grid)) for f in simulation.field_inputs.values()]
    return [len(simulation.parameters), *fields]


def _size(served: Served, name: str) -> int:
    simulation = served.simulation
    return simulation.times.size * math.prod(simulation.fields[name].shape(simulation.grid))


def _row(served: Served, request: EvaluateRequest) -> Row:
    sizes, given = _input_sizes(served), [len(vector) for vector in request.input]
    if given != sizes:
        raise InvalidInput(f"input has vectors of {given[:32]} values: must have {sizes}")
    return served.vectors(request.input)
