"""The service: what it answers at which address."""

import asyncio
import importlib.resources
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from simulations.simulation import InvalidInput, package_version
from surrogate.emulator import Surrogate
from surrogate.server import answers, schema, umbridge
from surrogate.server.batching import Batcher
from surrogate.server.errors import Refused
from surrogate.server.gate import RECORD, Gate
from surrogate.server.metrics import Metrics
from surrogate.server.options import DEFAULTS, Options
from surrogate.server.served import SOLVER, Prediction, Row, Served, check_name
from surrogate.server.solver import Solver

PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}

# Float32 values of an answer: batches are limited to what fits
MOST_VALUES = 1 << 26
# Above so many values an answer in JSON is written by another thread
FEW_VALUES = 1 << 14

STATUSES = {
    400: "no such model (UM-Bridge)",
    401: "a key is needed",
    406: "no media type that the service has",
    413: "the body is too large",
    415: "the body is not JSON",
    422: "the inputs are not admissible, or the simulation diverges",
    429: "too many runs of the simulation",
    503: "overloaded, or not answered in time",
}


def create_app(models: Mapping[str, Surrogate], options: Options = DEFAULTS) -> FastAPI:
    """An ASGI application that answers for surrogates.

    Args:
        models: surrogates by the name that clients use.
        options: limits and switches.

    Raises:
        InvalidInput: a name that cannot stand in an address, no model, or a tolerance for a model
            whose error is not bounded.
    """
    service = Service(models, options)
    app = FastAPI(
        title="physurrogate",
        summary="Surrogates of physical simulations",
        version=package_version(),
        docs_url=None,  # its scripts come from elsewhere
        redoc_url=None,
        lifespan=service.lifespan,
    )
    app.router.route_class = _Route
    app.add_middleware(
        Gate, api_keys=options.api_keys, max_body=options.max_body, metrics=service.metrics
    )
    app.add_exception_handler(HTTPException, _as_refusal)
    app.state.service = service
    _add_models(app, service)
    _add_bridge(app, service)
    _add_operation(app, service)
    if options.page:
        _add_page(app)
    if options.api_keys:
        _document_keys(app)
    return app


class Service:
    """The models, and the threads and processes that answer for them."""

    def __init__(self, models: Mapping[str, Surrogate], options: Options) -> None:
        if not models:
            raise InvalidInput("models: there are none to serve")
        identifiers = [name.replace("-", "_").replace(".", "_") for name in models]
        if len({*identifiers}) < len(identifiers):
            raise InvalidInput(f"models: {list(models)} differ in punctuation alone")
        self.options, self.metrics = options, Metrics()
        self.models = {name: Served(check_name(name), model) for name, model in models.items()}
        for served in self.models.values():
            if options.tolerance is not None and served.calibration is None:
                raise InvalidInput(
                    f"tolerance={options.tolerance:g}: {served.name} has no calibration, "
                    "so that its error has no bound"
                )
        self.ready = False
        self.inference = ThreadPoolExecutor(1, "inference")
        self.writing = ThreadPoolExecutor(1, "writing")
        self.solver = (
            Solver(options.solve_timeout, options.solve_queue, options.solves_per_minute)
            if options.solve
            else None
        )
        self.batchers = {name: self._batcher(served) for name, served in self.models.items()}

    def _batcher(self, served: Served) -> Batcher[Row, Prediction]:
        options = self.options
        batcher = Batcher(
            served.predict,
            self.inference,
            most=options.max_batch,
            gather=options.gather,
            queue=options.queue,
            observe=self.metrics.batches.labels(served.name).observe,
        )
        self.metrics.waiting.labels(served.name).set_function(lambda: batcher.waiting)
        return batcher

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self.ready = True
        yield
        self.ready = False
        if self.solver is not None:
            await asyncio.to_thread(self.solver.close)
        self.inference.shutdown()
        self.writing.shutdown()

    def most(self, served: Served) -> int:
        """Samples that a request may ask for."""
        shapes = (f.shape(served.simulation.grid) for f in served.simulation.fields.values())
        values = served.simulation.times.size * sum(int(np.prod(shape)) for shape in shapes)
        return max(1, min(self.options.max_batch, MOST_VALUES // values))

    async def predict(self, served: Served, rows: list[Row]) -> list[Prediction]:
        """Answers of the surrogate, or of the simulation where the guard wants it."""
        predictions = await self.batchers[served.name](rows, self.options.timeout)
        if self.options.guard and served.can_solve:
            for position, prediction in enumerate(predictions):
                reason = served.distrust(prediction, self.options)
                if reason is not None:
                    solved = await self.solve(served, rows[position])
                    solved.outside, solved.p_value = prediction.outside, prediction.p_value
                    solved.reason = reason
                    predictions[position] = solved
        for prediction in predictions:
            self.metrics.predictions.labels(served.name, prediction.answered_by).inc()
        return predictions

    async def predict_one(self, served: Served, row: Row) -> Prediction:
        return (await self.predict(served, [row]))[0]

    async def solve(self, served: Served, row: Row) -> Prediction:
        """The answer of the simulation, in a process of its own."""
        if self.solver is None or not served.can_solve:
            raise Refused(422, "NoSimulation", f"{served.name}: its simulation cannot be asked for")
        solution, seconds = await self.solver.solve(served.simulation, row)
        self.metrics.solver_seconds.labels(served.name).observe(seconds)
        return Prediction(solution, SOLVER, seconds)

    async def in_inference_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.inference, work)

    async def write(self, size: int, work: Callable[[], Response]) -> Response:
        """An answer of so many values: of many by a thread, so that others are not kept waiting."""
        if size <= FEW_VALUES:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self.writing, work)


Answering = Callable[[Any, Request], Awaitable[Response]]
Asking = Callable[[Served, list[Row]], Awaitable[list[Prediction]]]


class _Route(APIRoute):
    """A route whose body is read by its type from bytes, which refuses in our own words."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        endpoint: Any = self.endpoint
        kind = getattr(endpoint, "body_type", None)

        async def handle(request: Request) -> Response:
            try:
                if kind is None:
                    return await endpoint(request)
                return await endpoint(schema.parsed(kind, await request.body()), request)
            except InvalidInput as error:
                raise Refused(422, "InvalidInput", str(error)) from None

        return handle


def _post(
    app: FastAPI, path: str, kind: type[BaseModel], answer: Answering, summary: str, **more: Any
) -> None:
    """Register an operation; its declared body is what OpenAPI shows and what is parsed."""

    async def endpoint(body: Any, request: Request) -> Response:
        return await answer(body, request)

    endpoint.__annotations__["body"] = kind
    endpoint.body_type = kind  # type: ignore[attr-defined]
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": schema.ErrorAnswer, "description": meaning}
        for status, meaning in STATUSES.items()
    }
    responses |= more.pop("responses", {})
    app.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=summary,
        responses=responses,
        operation_id=path.strip("/").replace("/", "_"),
        response_model=None,
        **more,
    )


def _get(
    app: FastAPI, path: str, answer: Callable[[Request], Response], summary: str, **more: Any
) -> None:
    async def endpoint(request: Request) -> Response:
        return answer(request)

    app.add_api_route(
        path,
        endpoint,
        methods=["GET"],
        summary=summary,
        response_model=None,
        operation_id=path.strip("/").replace("/", "_") or "page",
        **more,
    )


def _add_models(app: FastAPI, service: Service) -> None:
    described = {name: served.describe() for name, served in service.models.items()}
    for name, served in service.models.items():
        described[name]["can_solve"] = served.can_solve and service.solver is not None
        described[name]["most_samples"] = service.most(served)
        described[name]["significance"] = service.options.significance
    listed = answers.orjson.dumps({"models": list(described.values())})
    _get(
        app,
        "/models",
        lambda _: Response(listed, media_type=answers.JSON),
        "The models: inputs with units and ranges, fields, grid, times, error",
    )
    for served in service.models.values():
        _add_model(app, service, served)


def _add_model(app: FastAPI, service: Service, served: Served) -> None:
    fields = list(served.simulation.fields)

    async def deliver(
        call: Any, request: Request, rows: list[Row], ask: Asking, batch: bool = False
    ) -> Response:
        kind = answers.negotiated(request.headers.get("accept"))
        found = await ask(served, rows)
        record = request.scope[RECORD]
        record["model"] = served.name
        record["answered_by"] = sorted({p.answered_by for p in found})
        record["n"] = len(found)
        # A dataset is what a call of the surrogate returns, bands included
        names = call.fields or (served.variables if kind == answers.NETCDF else fields)
        if batch:
            about = answers.origins(served, call.seed, found)
        else:
            about = answers.origin(served, rows[0], call.seed, found[0])

        def variables() -> dict[str, Any]:
            if not batch:
                return {name: served.values(found[0], name) for name in names}
            return {name: np.stack([served.values(p, name) for p in found]) for name in names}

        def write() -> Response:
            if kind == answers.JSON:
                return answers.as_json(served, about, variables(), batch)
            if kind == answers.NPY:
                return answers.as_npy(about, variables())
            return answers.as_netcdf(served, rows, call.seed, found, names, batch)

        size = sum(values.size for p in found for values in p.fields.values())
        return await service.write(FEW_VALUES + 1 if kind == answers.NETCDF else size, write)

    async def solved(served: Served, rows: list[Row]) -> list[Prediction]:
        prediction = await service.solve(served, rows[0])
        service.metrics.predictions.labels(served.name, SOLVER).inc()
        return [prediction]

    async def predict(call: Any, request: Request) -> Response:
        rows = [served.complete(_given(call.inputs), call.seed)]
        return await deliver(call, request, rows, service.predict)

    async def predict_batch(call: Any, request: Request) -> Response:
        rows = _rows(served, _given(call.inputs), call.seed)
        return await deliver(call, request, rows, service.predict, batch=True)

    async def solve(call: Any, request: Request) -> Response:
        rows = [served.complete(_given(call.inputs), call.seed)]
        return await deliver(call, request, rows, solved)

    one, many = schema.call_type(served), schema.batch_type(served, service.most(served))
    path, tags = f"/models/{served.name}", [served.name]
    _post(
        app,
        f"{path}/predict",
        one,
        predict,
        "Ask the surrogate",
        responses={200: _answered(schema.Answer)},
        tags=tags,
    )
    _post(
        app,
        f"{path}/predict-batch",
        many,
        predict_batch,
        "Ask the surrogate for many samples",
        responses={200: _answered(schema.BatchAnswer)},
        tags=tags,
    )
    if service.solver is not None and served.can_solve:
        _post(
            app,
            f"{path}/solve",
            one,
            solve,
            "Run the simulation",
            responses={200: _answered(schema.Answer)},
            tags=tags,
        )


def _given(inputs: BaseModel | dict[str, Any]) -> dict[str, Any]:
    """What a client has said, or its defaults; None is not said."""
    items = inputs if isinstance(inputs, dict) else inputs.__dict__
    return {name: value for name, value in items.items() if value is not None}


def _rows(served: Served, given: dict[str, list[Any]], seed: int) -> list[Row]:
    """The samples of lists of inputs; the fields of sample ``i`` are drawn from ``seed + i``."""
    lengths = {name: len(values) for name, values in given.items()}
    if not lengths:
        raise InvalidInput("inputs: a batch needs a list of at least one input")
    if len({*lengths.values()}) > 1:
        raise InvalidInput(f"inputs: lists of {lengths} values must be of one length")
    n = next(iter(lengths.values()))
    return [
        served.complete({name: values[i] for name, values in given.items()}, seed + i)
        for i in range(n)
    ]


def _answered(model: type[BaseModel]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {
        "model": model,
        "description": "The answer, in the media type that the Accept header asks for",
        "content": {answers.NPY: binary, answers.NETCDF: binary},
        "headers": {
            answers.ORIGIN_HEADER: {
                "description": "JSON of all but the values, where the body is not JSON",
                "schema": {"type": "string"},
            }
        },
    }


def _add_bridge(app: FastAPI, service: Service) -> None:
    bridge = umbridge.Bridge(service.models, service.predict_one, service.in_inference_thread)
    tags = ["UM-Bridge"]
    _get(app, "/Info", lambda _: bridge.info(), "Protocol and models", tags=tags)
    operations: tuple[tuple[str, type[BaseModel], Any], ...] = (
        ("ModelInfo", umbridge.SizesRequest, bridge.model_info),
        ("InputSizes", umbridge.SizesRequest, bridge.input_sizes),
        ("OutputSizes", umbridge.SizesRequest, bridge.output_sizes),
        ("Evaluate", umbridge.EvaluateRequest, bridge.evaluate),
        ("Gradient", umbridge.GradientRequest, bridge.gradient),
        ("ApplyJacobian", umbridge.JacobianRequest, bridge.apply_jacobian),
    )
    for name, kind, operation in operations:

        async def answer(body: Any, request: Request, operation: Any = operation) -> Response:
            request.scope[RECORD]["model"] = body.name[:64]
            return await operation(body)

        _post(app, f"/{name}", kind, answer, f"{name} of UM-Bridge", tags=tags)


def _add_operation(app: FastAPI, service: Service) -> None:
    def ready(request: Request) -> Response:
        if not service.ready:
            raise Refused(503, "NotReady", "the service is starting or ending", 1)
        return Response(b'{"status": "ready"}', media_type=answers.JSON)

    tags = ["operation"]
    _get(
        app,
        "/health",
        lambda _: Response(b'{"status": "alive"}', media_type=answers.JSON),
        "Whether the process answers",
        tags=tags,
    )
    _get(app, "/ready", ready, "Whether requests should be sent here", tags=tags)
    _get(
        app,
        "/metrics",
        lambda _: service.metrics.response(),
        "Metrics for Prometheus",
        tags=tags,
        response_class=PlainTextResponse,
    )


def _add_page(app: FastAPI) -> None:
    folder = importlib.resources.files("surrogate.server") / "page"
    for path, (name, kind) in PAGE.items():
        content = (folder / name).read_bytes()
        # No cache: a page must fit the service that it asks
        response = Response(content, headers={"cache-control": "no-cache"}, media_type=kind)
        _get(app, path, partial(_same, response), "The page", include_in_schema=False)


def _same(response: Response, request: Request) -> Response:
    return response


def _document_keys(app: FastAPI) -> None:
    make = app.openapi

    def openapi() -> dict[str, Any]:
        document = make()
        schemes = {"key": {"type": "http", "scheme": "bearer"}}
        document.setdefault("components", {})["securitySchemes"] = schemes
        document["security"] = [{"key": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


async def _as_refusal(request: Request, error: Exception) -> Response:
    """An unknown address or method, in the form of all other refusals."""
    assert isinstance(error, HTTPException)
    refusal = Refused(error.status_code, str(error.detail).replace(" ", ""), str(error.detail))
    response = refusal.response()
    response.headers.update(error.headers or {})
    return response
