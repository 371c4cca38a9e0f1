"""What is public, as a list that can be compared: ``python -m tests.public_names`` writes it."""

import dataclasses
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).with_suffix(".json")
MODULES = [
    "simulations",
    "simulations.datasets",
    "simulations.verification",
    "surrogate",
    "surrogate.plot",
]
DEFINING = ["simulations.grid", "simulations.inputs", "simulations.simulation", "surrogate.metrics"]


def public_names() -> dict[str, dict[str, Any]]:
    """By module and name: the arguments of a function; of a class those of its constructor too."""
    found: dict[str, dict[str, Any]] = {}
    for module in [*MODULES, *DEFINING]:
        home = importlib.import_module(module)
        names = getattr(home, "__all__", None) or [
            name
            for name, value in vars(home).items()
            if getattr(value, "__module__", "") == module and not name.startswith("_")
        ]
        found[module] = {name: described(getattr(home, name)) for name in sorted(names)}
    return found


def described(value: Any) -> Any:
    if inspect.isclass(value):
        settings = [f.name for f in dataclasses.fields(value)] if _is_dataclass(value) else []
        own = [n for n in vars(value) if not n.startswith("_") and n not in settings]
        return {"arguments": arguments(value), "members": sorted(own)}
    if inspect.isroutine(value):
        return arguments(value)
    return "value"


def arguments(callable_: Any) -> list[str]:
    try:
        parameters = inspect.signature(callable_).parameters.values()
    except (TypeError, ValueError):  # of an exception that takes what any does
        return []
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return [marks.get(p.kind, "") + p.name for p in parameters if p.name != "self"]


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(value)


def written(found: dict[str, dict[str, Any]]) -> str:
    """JSON with a line for each name, so that a change is a line of the difference."""
    modules = []
    for module, names in found.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(what)}" for name, what in names.items()]
        modules.append(f" {json.dumps(module)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(modules) + "\n}\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(written(public_names()), "utf-8")
