"""A surrogate as a package that a customer installs: numpy and onnxruntime are all it needs.

The wheel is written here, without a build tool: it is a zip file of the modules of
`surrogate.deploy.customer`, of the model, and of what the packaging specifications ask for.

References:
    Binary distribution format, https://packaging.python.org/specifications/
    Core metadata 2.4, ibid.
"""

import base64
import hashlib
import inspect
import io
import json
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from simulations.datasets.publish import published
from simulations.simulation import package_version
from surrogate.deploy.archive import write_zip
from surrogate.deploy.graphs import write_onnx
from surrogate.deploy.metadata import describe
from surrogate.deploy.release import Release
from surrogate.emulator import Surrogate

REQUIREMENTS = ("numpy>=1.26", "onnxruntime>=1.20")
EXTRAS = {"parquet": "pyarrow>=15", "plot": "matplotlib>=3.8"}
PYTHON = ">=3.10"


def write_wheel(emulator: Surrogate, folder: Path, release: Release) -> Path:
    """Write ``NAME-VERSION-py3-none-any.whl`` into a folder.

    The same surrogate, release and versions of the exporter give the same bytes.

    Raises:
        ValueError: the network has no ONNX form.
        FileExistsError: the wheel exists.
        ModuleNotFoundError: the packages of the extra ``onnx`` are not installed.
    """
    path = folder / f"{release.module}-{release.version}-py3-none-any.whl"
    if path.exists():
        raise FileExistsError(f"{path}: exists; choose another folder or version")
    data = _calibration_files(emulator)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model.onnx"
        write_onnx(emulator, model)
        data["model.onnx"] = model.read_bytes()
    about = _about(emulator, release, data)
    card = _card(about, release).encode()
    data["about.json"] = (json.dumps(about, indent=1, allow_nan=False) + "\n").encode()
    data["README.md"] = card
    for source in files("surrogate.deploy.customer").iterdir():
        if source.name.endswith(".py"):
            data[source.name] = source.read_bytes()
    data["py.typed"] = b""
    content = {f"{release.module}/{name}": value for name, value in data.items()}
    info = f"{release.module}-{release.version}.dist-info"
    content[f"{info}/METADATA"] = _metadata(about["summary"], release).encode() + card
    content[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: physurrogate ({package_version()})\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n"
    ).encode()
    content[f"{info}/entry_points.txt"] = (
        f"[console_scripts]\n{release.name} = {release.module}.cli:main\n".encode()
    )
    record = [f"{name},{_digest(content[name])},{len(content[name])}" for name in sorted(content)]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    with published(path, exclusive=True) as temporary:
        write_zip(temporary, content)
    return path


def _calibration_files(emulator: Surrogate) -> dict[str, bytes]:
    """The bands and the domain, and the module that knows what a domain is."""
    calibration = emulator.calibration
    if calibration is None:
        return {}
    arrays = {f"half_width/{name}": np.asarray(w) for name, w in calibration.half_width.items()}
    arrays |= {f"domain/{name}": np.asarray(a) for name, a in calibration.domain.arrays().items()}
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **arrays)
    # A domain imports numpy alone, so that a copy of its module works anywhere
    source = Path(inspect.getfile(type(calibration.domain))).read_bytes()
    return {"calibration.npz": packed.getvalue(), "domain.py": source}


def _about(emulator: Surrogate, release: Release, data: dict[str, bytes]) -> dict[str, Any]:
    about = {
        "name": release.name,
        "version": release.version,
        "licence": release.licence,
        "author": release.author,
        "sha256": {name: hashlib.sha256(value).hexdigest() for name, value in data.items()},
        **describe(emulator),
    }
    calibration = emulator.calibration
    if calibration is not None:
        about["calibration"]["domain"] = calibration.domain.settings()
    return about


def _metadata(summary: str, release: Release) -> str:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {release.name}",
        f"Version: {release.version}",
        f"Summary: {summary}",
        *([f"Author: {release.author}"] if release.author else []),
        *([f"License-Expression: {release.licence}"] if release.licence else []),
        f"Requires-Python: {PYTHON}",
        *(f"Requires-Dist: {requirement}" for requirement in REQUIREMENTS),
    ]
    for extra, requirement in EXTRAS.items():
        lines += [f"Provides-Extra: {extra}"]
        lines += [f'Requires-Dist: {requirement}; extra == "{extra}"']
    return "\n".join([*lines, "Description-Content-Type: text/markdown", "", ""])


def _card(about: dict[str, Any], release: Release) -> str:
    """What a customer has to know, as Markdown."""
    parameters, fields = about["parameters"], about["fields"]
    example = {
        name: f"{(p['trained'][0] * p['trained'][1]) ** 0.5:.3g}"
        if p["scale"] == "log"
        else f"{sum(p['trained']) / 2:.3g}"
        for name, p in parameters.items()
    }
    example |= {name: name for name in about["field_inputs"]}
    options = [f"--{name.replace('_', '-')} {value}" for name, value in example.items()]
    call = ", ".join(f"{name}={value}" for name, value in example.items())
    lines = [
        f"# {release.name} {release.version}",
        "",
        about["summary"],
        "",
        f"A surrogate: it answers in the place of the simulation `{about['system']}`, whose "
        f"settings are `{json.dumps(about['settings'])}`.",
        "",
        "```sh",
        f"{release.name} predict {' '.join(options)} -o answer.nc",
        f"{release.name} predict --table cases.csv -o answers.csv",
        f"{release.name} --help",
        "```",
        "",
        "```python",
        f"from {release.module} import predict",
        "",
        f"answer = predict({call})",
        *(f'answer["{name}"]  # {tuple(declared["shape"])}' for name, declared in fields.items()),
        "```",
        "",
        "| input | meaning | unit | trained from | to |",
        "|---|---|---|---|---|",
    ]
    for name, p in parameters.items():
        low, high = p["trained"]
        lines.append(f"| `{name}` | {p['description']} | {p['unit']} | {low:g} | {high:g} |")
    for name, declared in about["field_inputs"].items():
        shape = " x ".join(map(str, declared["shape"]))
        lines.append(f"| `{name}` | {declared['description']}, {shape} | {declared['unit']} | | |")
    bounds = (about["calibration"] or {}).get("error_bound", {})
    lines += ["", "| field | meaning | unit | error on the test split | error bound |"]
    lines += ["|---|---|---|---|---|"]
    for name, declared in fields.items():
        error = declared["test_relative_l2"]
        tested = "not measured" if error is None else f"{100 * error:.2g} %"
        bound = f"{100 * bounds[name]:.2g} %" if name in bounds else "not calibrated"
        lines.append(
            f"| `{name}` | {declared['description']} | {declared['unit']} | {tested} | {bound} |"
        )
    if bounds:
        calibration = about["calibration"]
        lines += [
            "",
            f"Errors are relative L2 errors of an answer. A bound holds with probability "
            f"{calibration['coverage']:g} for inputs like those of the training; it comes from "
            f"{calibration['n']} solutions that the training has not seen.",
        ]
    lines += ["", "Outside the ranges no error is promised, and a warning is given.", ""]
    return "\n".join(lines)


def _digest(content: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
