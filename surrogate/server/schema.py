"""The types of requests and answers, made from what a simulation declares.

They check what comes in and are the OpenAPI schema at once. JSON is read by them from bytes, so
that NaN, nesting without end and numbers too large are refused before anything is made of them.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from simulations.simulation import FieldInput
from surrogate.server.errors import Refused
from surrogate.server.served import Served

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

Seed = Annotated[
    int, Field(ge=0, le=2**53 - 1, description="Of the field inputs that are not given.")
]


def call_type(served: Served) -> type[BaseModel]:
    """A request for one answer: ``inputs``, ``seed`` and ``fields``."""
    return _request(served, "Call", _inputs(served, None))


def batch_type(served: Served, most: int) -> type[BaseModel]:
    """A request for several answers: of each input a list."""
    return _request(served, "Batch", _inputs(served, most))


def _request(served: Served, kind: str, inputs: type[BaseModel]) -> type[BaseModel]:
    chosen: Any = Literal[tuple(served.variables)]
    described = "Variables of the answer, in this order; without, the fields of the simulation."
    return create_model(
        f"{kind}_{_identifier(served.name)}",
        __config__=STRICT,
        inputs=(inputs, Field(default_factory=dict, validate_default=True)),
        seed=(Seed, 0),
        fields=(
            Annotated[list[chosen], Field(min_length=1, max_length=32)] | None,
            Field(None, description=described),
        ),
    )


def _inputs(served: Served, most: int | None) -> type[BaseModel]:
    simulation = served.simulation
    declared: dict[str, Any] = {}
    for name, parameter in simulation.parameters.items():
        limits = _limits(parameter.admissible)
        extra: dict[str, Any] = {
            "unit": parameter.unit,
            "scale": parameter.scale,
            "trained": list(served.ranges[name]),
        }
        default = served.defaults[name]
        if most is None:
            declared[name] = (
                float,
                Field(
                    default,
                    description=parameter.description,
                    json_schema_extra=extra,
                    **limits,
                ),
            )
        else:
            number = Annotated[float, Field(**limits)]
            values: Any = Annotated[list[number], Field(min_length=1, max_length=most)]
            about = f"{parameter.description}; of all samples {default:g} if not given"
            declared[name] = (
                values | None,
                Field(None, description=about, json_schema_extra=extra),
            )
    for name, field_input in simulation.field_inputs.items():
        kind: Any = _array(field_input, simulation.grid)
        if most is not None:
            kind = Annotated[list[kind], Field(min_length=1, max_length=most)]
        about = f"{field_input.description}; drawn from the seed if not given"
        extra = {"unit": field_input.unit}
        declared[name] = (kind | None, Field(None, description=about, json_schema_extra=extra))
    ending = "Inputs" if most is None else "InputLists"
    return create_model(f"{ending}_{_identifier(served.name)}", __config__=STRICT, **declared)


def _array(declared: FieldInput, grid: Any) -> Any:
    limits = _limits(declared.admissible)
    kind: Any = Annotated[float, Field(**limits)]
    for size in reversed(declared.shape(grid)):
        kind = Annotated[list[kind], Field(min_length=size, max_length=size)]
    return kind


def _limits(admissible: tuple[float, float]) -> dict[str, Any]:
    return {k: v for k, v in zip(("ge", "le"), admissible, strict=True) if math.isfinite(v)}


def _identifier(name: str) -> str:
    return name.replace("-", "_").replace(".", "_")


def parsed(kind: type[BaseModel], body: bytes) -> BaseModel:
    """The request in a body of JSON.

    Raises:
        Refused: it is not one; says where and why.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        given = first.get("input")
        shown = f"={given!r}" if isinstance(given, (int, float)) and abs(given) < 1e308 else ""
        raise Refused(422, "InvalidInput", f"{place[:200]}{shown}: {first['msg'][:300]}") from None


class Domain(BaseModel):
    """Whether the inputs are like those of the training."""

    outside: list[str] = Field(description="Parameters outside the range of the training.")
    p_value: float | None = Field(
        description="How often training inputs are as unusual as these; small is unlike them."
    )


class Origin(BaseModel):
    """What every answer says of itself, in JSON in the body, otherwise in the header x-answer."""

    model: str
    answered_by: str
    reason: str | None = Field(description="Why the simulation answered in the surrogate's place.")
    seconds: float = Field(description="Time that the computation took.")
    inputs: dict[str, float] = Field(description="Value of every parameter.")
    seed: int
    error_bound: dict[str, float | None] | None = Field(
        description="Of each field: bound on the relative L2 error, that holds with `coverage`."
    )
    coverage: float | None
    domain: Domain


class Variable(BaseModel):
    """A field, or an end of the band around it."""

    unit: str
    dims: list[str]
    shape: list[int]
    values: Any = Field(description="Nested lists in the order of `dims`; null is not finite.")


class Answer(Origin):
    """The answer in JSON."""

    fields: dict[str, Variable]


class BatchOrigin(BaseModel):
    """What the answer to several samples says of them."""

    model: str
    answered_by: list[str]
    seconds: float
    n: int
    seed: int
    error_bound: list[dict[str, float | None] | None]
    coverage: float | None
    domain: list[Domain]


class BatchAnswer(BatchOrigin):
    """The answer to several samples in JSON: all values have the samples in front."""

    fields: dict[str, Variable]


class Problem(BaseModel):
    type: str
    message: str


class ErrorAnswer(BaseModel):
    """Why there is no answer."""

    error: Problem
