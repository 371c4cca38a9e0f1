"""Settings, inputs and the like from what was typed."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from simulations import Simulation


def make(name: str, settings: Iterable[str], preset: str | None = None) -> "Simulation":
    import simulations

    given = parse_settings(settings)
    if preset is None:
        return simulations.make(name, given)
    return type(simulations.make(name)).preset(preset, **given)


def parse_part(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 1
    job, slash, jobs = text.partition("/")
    if not (slash and job.isdecimal() and jobs.isdecimal() and int(job) < int(jobs)):
        raise typer.BadParameter(f"--range={text}: must be I/M with integers 0 <= I < M")
    return int(job), int(jobs)


def parse_settings(assignments: Iterable[str]) -> dict[str, Any]:
    """Values are JSON where they can be read as such, and text otherwise."""
    parsed: dict[str, Any] = {}
    for name, value in _pairs(assignments):
        try:
            parsed[name] = json.loads(value)
        except json.JSONDecodeError:
            parsed[name] = value
    return parsed


def parse_levels(levels: list[str]) -> int | dict[str, Any] | None:
    """One number for all parameters, or numbers or lists of values by name."""
    if len(levels) == 1 and levels[0].isdecimal():
        return int(levels[0])
    return parse_settings(levels) or None


def parse_inputs(assignments: Iterable[str]) -> dict[str, Any]:
    """Numbers as such and fields from files; what is neither is for the simulation to refuse."""
    import numpy as np

    parsed: dict[str, Any] = {}
    for name, value in _pairs(assignments):
        if value.endswith(".npy"):
            parsed[name] = np.load(value, allow_pickle=False)
            continue
        try:
            parsed[name] = float(value)
        except ValueError:
            parsed[name] = value
    return parsed


def _pairs(assignments: Iterable[str]) -> Iterable[tuple[str, str]]:
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{assignment!r}: must be NAME=VALUE")
        yield name, value
