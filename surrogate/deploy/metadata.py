"""What a client has to know about an exported surrogate, as JSON values."""

import hashlib
import math
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from simulations.simulation import package_version
from surrogate.emulator import Surrogate

FORMAT = "physurrogate-export"
FORMAT_VERSION = 1


def describe(emulator: Surrogate) -> dict[str, Any]:
    """System, inputs with ranges, outputs with units, coordinates, error and origin.

    Shapes are those of one sample; the graph has the batch in front. An infinite limit is null.
    """
    simulation, encoding = emulator.simulation, emulator.encoding
    grid, name = simulation.grid, type(simulation).__name__
    error = emulator.training.get("test_relative_l2", {})
    calibration = emulator.calibration
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "package": f"physurrogate {package_version()}",
        "system": name,
        "summary": (type(simulation).__doc__ or name).strip().splitlines()[0],
        "settings": simulation.settings,
        "network": type(emulator.learner).__name__,
        "weights_sha256": weights_sha256(emulator.learner),
        "parameters": {
            key: {
                "description": parameter.description,
                "unit": parameter.unit,
                "admissible": [_finite(limit) for limit in parameter.admissible],
                "trained": list(encoding.ranges[key]),
                "scale": parameter.scale,
            }
            for key, parameter in simulation.parameters.items()
        },
        "field_inputs": {
            key: {
                "description": declared.description,
                "unit": declared.unit,
                "admissible": [_finite(limit) for limit in declared.admissible],
                "initial_of": declared.initial_of,
                "shape": list(declared.shape(grid)),
            }
            for key, declared in simulation.field_inputs.items()
        },
        "fields": {
            key: {
                "description": field.description,
                "unit": field.unit,
                "order": field.order,
                "spatial": field.spatial,
                "shape": [simulation.times.size, *field.shape(grid)],
                "test_relative_l2": error.get(key),
            }
            for key, field in simulation.fields.items()
        },
        "calibration": None
        if calibration is None
        else {
            "coverage": calibration.coverage,
            "n": calibration.n,
            "error_bound": {name: float(b) for name, b in calibration.error_bound.items()},
        },
        "grid_is_fixed": True,
        "resolution": list(grid.shape),
        "axes": [
            {
                "name": axis.name,
                "unit": axis.unit,
                "bounds": list(axis.bounds),
                "boundary": list(axis.boundary),
                "points": axis.points.tolist(),
            }
            for axis in grid.axes
        ],
        "times": simulation.times.tolist(),
        "time_unit": simulation.time_unit,
    }


def weights_sha256(network: nn.Module) -> str:
    """Digest of the weights, for a network of the library that of its ``model.safetensors``."""
    state = {
        name: value.contiguous().clone()  # tied weights are written twice
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor)
    }
    return hashlib.sha256(safetensors.torch.save(state)).hexdigest()


def _finite(limit: float) -> float | None:
    return float(limit) if math.isfinite(limit) else None
