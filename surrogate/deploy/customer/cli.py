"""The command of this package: it parses, predicts and prints."""

import argparse
import json
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .answer import Answer
from .files import WRITTEN, check_ending, read_table, write_answer
from .model import DamagedPackage, InvalidInput, Model, limits, read_about, read_file
from .picture import PICTURES, save_picture

#: Which extra of this package brings a module that is missing
EXTRAS = {"matplotlib": "plot", "pyarrow": "parquet"}
NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def main() -> None:
    """Entry point."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0, 1 for what went wrong, 2 for what was asked wrongly."""
    about = read_about()
    name = about["name"]

    def complain(message: object) -> None:
        print(f"{name}: {message}", file=sys.stderr)

    parser = _parser(about)
    given = parser.parse_args(_attached(arguments))
    if given.command is None:
        parser.print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda message, *_, **__: complain(f"warning: {message}")
            if given.command == "info":
                _info(about, given)
            else:
                _predict(about, given)
    except InvalidInput as error:
        complain(error)
        return 2
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        complain(f"{error}: pip install '{name}[{extra}]'" if extra else error)
        return 1
    except (DamagedPackage, OSError, ValueError, MemoryError) as error:
        complain(error)
        return 1
    return 0


def _attached(arguments: Sequence[str]) -> list[str]:
    """With ``--x -1e-3`` as ``--x=-1e-3``: argparse takes a number like this for an option."""
    attached: list[str] = []
    for argument in arguments:
        if attached and attached[-1].startswith("--") and NEGATIVE.fullmatch(argument):
            attached[-1] += f"={argument}"
        else:
            attached.append(argument)
    return attached


def _parser(about: dict[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(about["name"], description=about["summary"])
    parser.add_argument("--version", action="version", version=about["version"])
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    info = commands.add_parser("info", help="What the model is, its ranges and errors.")
    info.add_argument("--json", action="store_true", help="Print all that is known, as JSON.")
    info.add_argument("--card", action="store_true", help="Print the model card.")
    predict = commands.add_parser("predict", help="Ask what the simulation would answer.")
    reserved = {"table", "output", "plot", "json", "help"}
    taken = reserved | {key.replace("_", "-") for key in about["parameters"]}
    for key, declared in about["parameters"].items():
        option = _option(key, reserved)
        flags = [option]
        long = "-".join(re.findall(r"[a-z0-9]+", declared["description"].lower()))
        if long not in taken and len(long) <= 30:
            flags.append("--" + long)
            taken.add(long)
        low, high = declared["trained"]
        unit = "" if declared["unit"] == "1" else f" {declared['unit']}"
        text = f"{declared['description']}; trained from {low:g} to {high:g}{unit}"
        predict.add_argument(*flags, dest=f"input:{key}", type=float, metavar="X", help=text)
    for key, declared in about["field_inputs"].items():
        shape = " x ".join(map(str, declared["shape"]))
        text = f"{declared['description']} in {declared['unit']}: a .npy file of {shape} numbers"
        option = _option(key, reserved)
        predict.add_argument(option, dest=f"input:{key}", type=Path, metavar="FILE", help=text)
    text = "A case in each row, .csv or .parquet; columns are called like parameters."
    predict.add_argument("--table", type=Path, metavar="FILE", help=text)
    text = f"File to write: {', '.join(WRITTEN)}."
    predict.add_argument("-o", "--output", type=Path, metavar="FILE", help=text)
    text = f"Picture to write: {', '.join(PICTURES)}; needs the extra 'plot'."
    predict.add_argument("--plot", type=Path, metavar="FILE", help=text)
    predict.add_argument("--json", action="store_true", help="Print a summary as JSON.")
    return parser


def _option(key: str, reserved: set[str]) -> str:
    option = key.replace("_", "-")
    return f"--input-{option}" if option in reserved else f"--{option}"


def _predict(about: dict[str, Any], given: argparse.Namespace) -> None:
    # Before the model is asked, which may take long
    if given.output is not None:
        check_ending(given.output, WRITTEN)
    if given.plot is not None:
        check_ending(given.plot, PICTURES)
    inputs: dict[str, Any] = {}
    if given.table is not None:
        inputs.update(read_table(given.table, about["parameters"]))
    for name in [*about["parameters"], *about["field_inputs"]]:
        value = getattr(given, f"input:{name}")
        if value is None:
            continue
        if name in inputs:
            raise InvalidInput(f"{name}: is given and a column of {given.table} too")
        inputs[name] = np.load(value, allow_pickle=False) if isinstance(value, Path) else value
    answer = Model().predict(inputs)
    if given.output is not None:
        write_answer(given.output, answer)
    if given.plot is not None:
        save_picture(given.plot, answer)
    if given.json:
        print(json.dumps(_summary(answer), indent=2))
    elif given.output is None and given.plot is None:
        for line in _lines(answer):
            print(line)


def _summary(answer: Answer) -> dict[str, Any]:
    fields = {}
    for name, values in answer.fields.items():
        fields[name] = {
            "unit": answer.about["fields"][name]["unit"],
            "shape": list(values.shape),
            **(
                {"value": values.item()}
                if values.size == 1
                else {"min": float(values.min()), "max": float(values.max())}
            ),
        }
        if name in answer.error_bound:
            fields[name]["error_bound"] = answer.error_bound[name]
    summary: dict[str, Any] = {"fields": fields, "in_domain": np.asarray(answer.in_domain).tolist()}
    if answer.domain_p_value is not None:
        summary["domain_p_value"] = np.asarray(answer.domain_p_value).tolist()
        summary["coverage"] = answer.coverage
    return summary


def _lines(answer: Answer) -> list[str]:
    lines = []
    for name, field in _summary(answer)["fields"].items():
        unit = "" if field["unit"] == "1" else f" {field['unit']}"
        span = (
            f"{field['value']:g}" if "value" in field else f"{field['min']:g} to {field['max']:g}"
        )
        bound = ""
        if "error_bound" in field:
            bound = f", relative error below {100 * field['error_bound']:.2g} %"
            bound += f" with probability {answer.coverage:g}"
        lines.append(f"{name} {tuple(field['shape'])}: {span}{unit}{bound}")
    inside = np.atleast_1d(answer.in_domain)
    lines.append(f"inside the training range: {int(inside.sum())} of {inside.size}")
    return lines


def _info(about: dict[str, Any], given: argparse.Namespace) -> None:
    if given.card:
        print(read_file("README.md").decode())
        return
    if given.json:
        print(json.dumps(about, indent=2))
        return
    print(f"{about['name']} {about['version']}: {about['summary']}")
    for key in ("licence", "author"):
        if about[key]:
            print(f"{key}: {about[key]}")
    print(f"model: {about['network']}, sha256 {about['sha256']['model.onnx']}")
    for name, declared in about["parameters"].items():
        low, high = declared["trained"]
        least, most = limits(declared)
        print(
            f"  {name}: {declared['description']} ({declared['unit']}), trained from {low:g} to "
            f"{high:g}, admissible from {least:g} to {most:g}"
        )
    for name, declared in about["field_inputs"].items():
        print(f"  {name}: {declared['description']} ({declared['unit']}), {declared['shape']}")
    for name, declared in about["fields"].items():
        error = declared["test_relative_l2"]
        tested = "not measured" if error is None else f"{100 * error:.2g} %"
        print(
            f"  -> {name}: {declared['description']} ({declared['unit']}), {declared['shape']}, "
            f"test error {tested}"
        )
    calibration = about["calibration"]
    for name, bound in (calibration or {}).get("error_bound", {}).items():
        coverage = calibration["coverage"]
        print(f"  {name}: error below {100 * bound:.2g} % with probability {coverage:g}")
