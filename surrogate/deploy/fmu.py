"""A surrogate as a block of other simulators: an FMU for co-simulation, FMI 2.0.

It holds the C of the surrogate and its library for this platform; nothing else is needed to run it.
`native` writes the C of the graph, ``fmi2.c`` is the interface of the standard.

References:
    Functional Mock-up Interface for Model Exchange and Co-Simulation, version 2.0.4,
    https://fmi-standard.org
"""

import hashlib
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor, nn

from simulations.simulation import package_version
from surrogate.deploy.archive import write_zip
from surrogate.deploy.graphs import not_exportable, quiet, record
from surrogate.deploy.metadata import describe
from surrogate.deploy.native import to_c
from surrogate.deploy.release import Release
from surrogate.deploy.whole import Whole
from surrogate.emulator import Surrogate
from surrogate.propagation import Rollout

#: Entries of a field beyond which it is no signal between blocks any more
MOST_ENTRIES = 1024
FLAGS = ("-O3", "-fno-math-errno", "-fno-trapping-math", "-fassociative-math", "-fno-signed-zeros")


@dataclass(frozen=True)
class Variable:
    """A number that the block takes or gives."""

    name: str
    description: str
    unit: str
    start: float = 0.0
    admissible: tuple[float, float] = (-math.inf, math.inf)
    trained: tuple[float, float] = (-math.inf, math.inf)


class Block(nn.Module):
    """The graph of a block, and its variables.

    Three kinds: of a steady problem the outputs follow the inputs; of stored times they are
    interpolated between these; a propagator has a state that is advanced step by step.

    Raises:
        ValueError: there is nothing in the surrogate that could be a signal.
    """

    def __init__(self, emulator: Surrogate) -> None:
        super().__init__()
        self.whole, self.emulator = Whole(emulator), emulator
        simulation = emulator.simulation
        self.rollout = emulator.network if isinstance(emulator.network, Rollout) else None
        if self.rollout is not None and self.rollout.is_timed:
            raise ValueError(
                f"{type(simulation).__name__}: its stored times are not equidistant, and an FMU "
                "takes steps of one length"
            )
        self.kind = "STEPS" if self.rollout else "SERIES" if simulation.times.size > 1 else "STATIC"
        grid = simulation.grid
        inputs = {**simulation.parameters, **simulation.field_inputs}
        shapes = {name: f.shape(grid) for name, f in simulation.field_inputs.items()}
        for name, shape in shapes.items():
            if math.prod(shape) > MOST_ENTRIES:
                raise ValueError(
                    f"{name}: has {math.prod(shape)} entries; an FMU takes fields of at most "
                    f"{MOST_ENTRIES}"
                )
        self.shapes = {name: shapes.get(name, ()) for name in inputs}
        starts = {f.initial_of: n for n, f in simulation.field_inputs.items() if f.initial_of}
        self.states = self.rollout.state_fields if self.rollout else ()
        self.state_inputs = [starts[name] for name in self.states]
        sizes = {n: math.prod(f.shape(grid)) for n, f in simulation.fields.items()}
        others = [n for n in sizes if n not in self.states]
        self.reads = [name for name in others if sizes[name] <= MOST_ENTRIES]
        self.left_out = [name for name in others if sizes[name] > MOST_ENTRIES]
        if not (self.reads or self.states):
            raise ValueError(
                f"{type(simulation).__name__}: all of its fields have more than {MOST_ENTRIES} "
                "entries, too many for an FMU"
            )
        self.plain_inputs = [name for name in inputs if name not in self.state_inputs]
        example = {name: values[0] for name, values in self.whole.example(2).items()}
        self.inputs = [
            variable
            for name in self.plain_inputs
            for variable in self._inputs(name, inputs[name], example[name])
        ]
        self.first = [
            variable
            for name in self.state_inputs
            for variable in self._inputs(name, inputs[name], example[name])
        ]
        self.outputs = [
            Variable(label, field.description, field.unit)
            for name in (*self.states, *self.reads)
            for field in (simulation.fields[name],)
            for label in _labels(name, field.shape(grid))
        ]

    def _inputs(self, name: str, declared: Any, example: Tensor) -> Iterator[Variable]:
        encoding = self.emulator.encoding
        trained = encoding.ranges.get(name, (-math.inf, math.inf))
        if self.shapes[name]:  # the mean is a better start than the noise of an example
            mean = encoding.moments[declared.initial_of or name][0]
            example = torch.as_tensor(np.asarray(mean)).expand(self.shapes[name])
            low, high = declared.admissible
            example = example.clamp(low, high)
        values = example.flatten().tolist()
        for label, start in zip(_labels(name, self.shapes[name]), values, strict=True):
            yield Variable(
                label, declared.description, declared.unit, start, declared.admissible, trained
            )

    def example(self) -> tuple[Tensor, ...]:
        x = torch.tensor([v.start for v in self.inputs])
        if self.rollout is None:
            return (x,)
        first = torch.tensor([v.start for v in self.first])
        return x, first.repeat(self.rollout.problem.history, 1)

    def forward(self, x: Tensor, history: Tensor | None = None) -> tuple[Tensor, ...]:
        """Outputs of all stored times ``(time, outputs)``; of a propagator the next state and
        what is read off the present one.
        """
        given = self._named(x, self.plain_inputs)
        if history is None:
            answer = self.whole(given)
            frames = answer[self.reads[0]].shape[1]
            return (torch.cat([answer[name].reshape(frames, -1) for name in self.reads], 1),)
        rollout, encoding = self.rollout, self.emulator.encoding
        assert rollout is not None
        encoded = [
            encoding.normalise({**given, **self._named(frame, self.state_inputs)}, 1)
            for frame in history.unbind()
        ]
        fields, scalars = encoded[-1]
        frames = [fields[..., rollout.initial] for fields, _ in encoded]
        by_kind = dict(
            zip(
                ("state", "others", "scalars"),
                rollout.step(frames, fields[..., rollout.constant], scalars, torch.zeros(1)),
                strict=True,
            )
        )
        physical = {}
        for output, (kind, part, *_) in zip(encoding.outputs, rollout.slots, strict=True):
            count = part.stop - part.start
            mean, std = torch.as_tensor(output.mean[:count]), torch.as_tensor(output.std[:count])
            physical[output.name] = (by_kind[kind][..., part] * std + mean).flatten()
        return (
            torch.cat([physical[name] for name in self.states]),
            torch.cat([physical[name] for name in self.reads] or [x.new_empty(0)]),
        )

    def _named(self, values: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """One sample of each of these inputs from their numbers in a row."""
        parts = values.split([math.prod(self.shapes[name]) for name in names])
        return {
            name: part.reshape(1, *self.shapes[name])
            for name, part in zip(names, parts, strict=True)
        }


def write_fmu(emulator: Surrogate, path: Path, release: Release) -> None:
    """Write the FMU of a surrogate.

    Parameters and field inputs are inputs of the block if the problem is steady or the surrogate a
    propagator; an initial condition, and everything a surrogate of many times is asked with, is
    fixed before the start. Fields of up to 1024 entries are outputs.

    Raises:
        ValueError: the surrogate has no such form, or the compiler fails.
        FileNotFoundError: there is no C compiler.
    """
    compiler = _compiler()
    block = Block(emulator).eval()
    example = block.example()
    with quiet():
        program = record(emulator, block, example)
        try:
            source, work = to_c(program, example, "evaluate")
        except ValueError as error:
            raise not_exportable(emulator, error) from error
    header = _header(block, source, work)
    guid = hashlib.sha256(header.encode()).hexdigest()[:32]
    header = f'#define GUID "{guid}"\n' + header
    interface = files("surrogate.deploy").joinpath("fmi2.c").read_text(encoding="utf-8")
    sources = {f"{release.module}.c": interface, "model.h": header}
    description = _description(block, release, guid, [f"{release.module}.c"])
    library = f"{release.module}{_suffix()}"
    content = {f"sources/{name}": text.encode() for name, text in sources.items()}
    content["modelDescription.xml"] = description
    content[f"binaries/{_platform()}/{library}"] = _compiled(compiler, sources, library)
    write_zip(path, content)


def _header(block: Block, source: str, work: int) -> str:
    simulation = block.emulator.simulation
    times = simulation.times.tolist()
    history = block.rollout.problem.history if block.rollout else 1
    reads = len(block.outputs) - len(block.first)
    lines = [
        f"#define KIND {block.kind}",
        f"#define N_X {len(block.inputs)}",
        f"#define N_S {len(block.first)}",
        f"#define N_R {reads}",
        f"#define N_Y {len(block.outputs)}",
        f"#define N_T {len(times)}",
        f"#define HISTORY {history}",
        f"#define WORK {work}",
        f"#define STEP {(times[1] - times[0] if len(times) > 1 else 1.0)!r}",
        _array("TIMES", times),
        _array("X_START", [v.start for v in block.inputs]),
        _array("X_LOW", [v.admissible[0] for v in block.inputs]),
        _array("X_HIGH", [v.admissible[1] for v in block.inputs]),
        _array("X_TRAINED_LOW", [v.trained[0] for v in block.inputs]),
        _array("X_TRAINED_HIGH", [v.trained[1] for v in block.inputs]),
        _array("S_START", [v.start for v in block.first]),
    ]
    return "\n".join([*lines, source.replace("void evaluate", "static void evaluate", 1)])


def _array(name: str, values: Sequence[float]) -> str:
    words = {math.inf: "INFINITY", -math.inf: "-INFINITY"}
    numbers = ", ".join(words.get(value, repr(float(value))) for value in values or [0.0])
    return f"static const double {name}[] = {{{numbers}}};"


def _description(block: Block, release: Release, guid: str, sources: list[str]) -> bytes:
    """The ``modelDescription.xml``."""
    about = describe(block.emulator)
    times = about["times"]
    errors = [
        f"{name} {100 * field['test_relative_l2']:.2g} %"
        for name, field in about["fields"].items()
        if field["test_relative_l2"] is not None
    ]
    text = f"{about['summary']} Learnt by {block.emulator.network_name}."
    text += f" Errors on the test split: {', '.join(errors)}." if errors else ""
    if block.left_out:
        text += f" Too large to be signals: {', '.join(block.left_out)}."
    root = ElementTree.Element(
        "fmiModelDescription",
        fmiVersion="2.0",
        modelName=release.name,
        guid=guid,
        description=text,
        version=release.version,
        generationTool=f"physurrogate {package_version()}",
        variableNamingConvention="structured",
    )
    for key, value in {"author": release.author, "license": release.licence}.items():
        if value is not None:
            root.set(key, value)
    slave = ElementTree.SubElement(
        root,
        "CoSimulation",
        modelIdentifier=release.module,
        canHandleVariableCommunicationStepSize="true",
        canGetAndSetFMUstate="true",
    )
    listed = ElementTree.SubElement(slave, "SourceFiles")
    for name in sources:
        ElementTree.SubElement(listed, "File", name=name)
    categories = ElementTree.SubElement(root, "LogCategories")
    for name in ("logStatusWarning", "logStatusError"):
        ElementTree.SubElement(categories, "Category", name=name)
    experiment = {"startTime": "0"}
    if len(times) > 1:
        experiment["stopTime"] = repr(times[-1] - times[0])
        experiment["stepSize"] = repr(times[1] - times[0])
    ElementTree.SubElement(root, "DefaultExperiment", experiment)
    variables = ElementTree.SubElement(root, "ModelVariables")
    asked = {"causality": "input", "variability": "continuous"}
    fixed = {"causality": "parameter", "variability": "fixed", "initial": "exact"}
    for variable in block.inputs:
        _scalar(variables, variable, fixed if block.kind == "SERIES" else asked)
    for variable in block.first:
        _scalar(variables, variable, fixed)
    first_output = len(variables) + 1
    given = {"causality": "output", "variability": "continuous", "initial": "calculated"}
    for variable in block.outputs:
        _scalar(variables, variable, given)
    inside = ElementTree.SubElement(
        variables,
        "ScalarVariable",
        {**given, "variability": "discrete"},
        name="in_domain",
        valueReference=str(len(variables)),
        description="whether all parameters are in the ranges of the training",
    )
    ElementTree.SubElement(inside, "Boolean")
    structure = ElementTree.SubElement(root, "ModelStructure")
    for group in ("Outputs", "InitialUnknowns"):
        unknowns = ElementTree.SubElement(structure, group)
        for index in range(first_output, len(variables) + 1):
            ElementTree.SubElement(unknowns, "Unknown", index=str(index))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _scalar(variables: ElementTree.Element, variable: Variable, attributes: dict[str, str]) -> None:
    low, high = variable.trained
    trained = f", trained from {low:g} to {high:g}" if math.isfinite(low) else ""
    unit = "" if variable.unit == "1" else f" ({variable.unit})"
    entry = ElementTree.SubElement(
        variables,
        "ScalarVariable",
        attributes,
        name=variable.name,
        valueReference=str(len(variables)),
        description=variable.description + unit + trained,
    )
    real = ElementTree.SubElement(entry, "Real")
    if attributes["causality"] != "output":
        for key, limit in zip(("min", "max"), variable.admissible, strict=True):
            if math.isfinite(limit):
                real.set(key, repr(float(limit)))
        real.set("start", repr(variable.start))


def _labels(name: str, shape: Sequence[int]) -> list[str]:
    """Names of the entries of an array, counted from 1 as the standard does."""
    if not shape:
        return [name]
    places = product(*(range(1, size + 1) for size in shape))
    return [f"{name}[{','.join(map(str, place))}]" for place in places]


def _compiler() -> list[str]:
    """The command of the C compiler, looked for before anything long is done."""
    command = shlex.split(os.environ.get("CC", "cc"))
    if not command or shutil.which(command[0]) is None:
        raise FileNotFoundError(f"CC={' '.join(command)!r}: an FMU needs a C compiler, such as gcc")
    return command


def _compiled(compiler: list[str], sources: dict[str, str], library: str) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in sources.items():
            Path(scratch, name).write_text(text, encoding="utf-8")
        main = next(name for name in sources if name.endswith(".c"))
        command = [*compiler, *FLAGS, "-shared", "-fPIC", "-fvisibility=hidden", main]
        command += ["-o", library, "-lm"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            first = (done.stderr.strip() or "no message").splitlines()[0]
            raise ValueError(f"{compiler[0]} fails: {first}")
        return Path(scratch, library).read_bytes()


def _platform() -> str:
    """The folder of the binaries, as the standard calls it."""
    bits = "64" if sys.maxsize > 2**32 else "32"
    if platform.machine().lower() in ("arm64", "aarch64") and sys.platform != "darwin":
        return f"aarch64-{sys.platform}"
    return {"linux": "linux", "darwin": "darwin", "win32": "win"}.get(sys.platform, "linux") + bits


def _suffix() -> str:
    return {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
