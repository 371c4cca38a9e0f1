"""Answers as bytes: JSON, arrays of NumPy, NetCDF."""

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import xarray
from starlette.responses import Response

from simulations.simulation import Array
from surrogate.server.errors import Refused
from surrogate.server.served import Prediction, Row, Served, finite

JSON, NPY, NETCDF = "application/json", "application/x-npy", "application/x-netcdf"
MEDIA_TYPES = (JSON, NPY, NETCDF)

#: The header of an answer that is not JSON: what the JSON says beside the fields
ORIGIN_HEADER = "x-answer"


def negotiated(accept: str | None) -> str:
    """The media type that a client likes best; JSON if it takes anything.

    Raises:
        Refused: it takes none of them.
    """
    if not accept or accept == "*/*":
        return JSON
    if accept in MEDIA_TYPES:
        return accept
    best, best_quality = None, 0.0
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.lower().split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        kind = JSON if kind in ("*/*", "application/*") else kind
        if kind in MEDIA_TYPES and quality > best_quality:
            best, best_quality = kind, quality
    if best is None:
        raise Refused(406, "NotAcceptable", f"accept: must be one of {', '.join(MEDIA_TYPES)}")
    return best


def origin(served: Served, row: Row, seed: int, prediction: Prediction) -> dict[str, Any]:
    """What an answer says of itself, as `schema.Origin`."""
    calibration = served.calibration
    return {
        "model": served.name,
        "answered_by": prediction.answered_by,
        "reason": prediction.reason,
        "seconds": prediction.seconds,
        "inputs": {name: row[name] for name in served.simulation.parameters},
        "seed": seed,
        "error_bound": _bounds(prediction),
        "coverage": None if calibration is None else float(calibration.coverage),
        "domain": {"outside": prediction.outside, "p_value": prediction.p_value},
    }


def origins(served: Served, seed: int, predictions: Sequence[Prediction]) -> dict[str, Any]:
    """What the answer to several samples says of them, as `schema.BatchOrigin`."""
    calibration = served.calibration
    return {
        "model": served.name,
        "answered_by": [p.answered_by for p in predictions],
        "seconds": max(p.seconds for p in predictions),
        "n": len(predictions),
        "seed": seed,
        "error_bound": [_bounds(p) for p in predictions],
        "coverage": None if calibration is None else float(calibration.coverage),
        "domain": [{"outside": p.outside, "p_value": p.p_value} for p in predictions],
    }


def _bounds(prediction: Prediction) -> dict[str, float | None] | None:
    return None if prediction.error_bound is None else finite(prediction.error_bound)


def as_json(
    served: Served, about: dict[str, Any], variables: dict[str, Array], batch: bool
) -> Response:
    """Everything in one document; numbers of float32 in as many digits as they need."""
    about["fields"] = {
        name: {
            "unit": served.simulation.fields[_field_of(served, name)].unit,
            "dims": (["sample"] if batch else []) + _dims(served, _field_of(served, name)),
            "shape": values.shape,
            "values": values,
        }
        for name, values in variables.items()
    }
    return Response(orjson.dumps(about, option=orjson.OPT_SERIALIZE_NUMPY), media_type=JSON)


def as_npy(about: dict[str, Any], variables: dict[str, Array]) -> Response:
    """Arrays one after another as ``numpy.save`` writes them: ``numpy.load`` reads one a call."""
    about["fields"] = list(variables)
    pieces = []
    for values in variables.values():
        pieces += [_npy_head(values.shape), values.data.cast("B") if values.size else b""]
    # Headers are ASCII, into which json turns everything
    return Response(b"".join(pieces), headers={ORIGIN_HEADER: json.dumps(about)}, media_type=NPY)


_HEADS: dict[tuple[int, ...], bytes] = {}


def _npy_head(shape: tuple[int, ...]) -> bytes:
    """What precedes the bytes of a float32 array in a file of NumPy."""
    if shape not in _HEADS:
        head = io.BytesIO()
        described = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(head, described)
        if len(_HEADS) > 4096:  # batches of all sizes
            _HEADS.clear()
        _HEADS[shape] = head.getvalue()
    return _HEADS[shape]


def as_netcdf(
    served: Served,
    rows: Sequence[Row],
    seed: int,
    predictions: Sequence[Prediction],
    variables: Sequence[str],
    batch: bool,
) -> Response:
    """The labelled dataset that the surrogate returns when it is called."""
    labelled = [
        _label(served, row, seed + i, prediction, variables)
        for i, (row, prediction) in enumerate(zip(rows, predictions, strict=True))
    ]
    dataset = (
        xarray.concat(labelled, "sample", combine_attrs="drop_conflicts")
        if batch
        else (labelled[0])
    )
    content = bytes(dataset.to_netcdf(engine="h5netcdf"))
    name = f'attachment; filename="{served.name}.nc"'
    return Response(content, headers={"content-disposition": name}, media_type=NETCDF)


def _label(
    served: Served, row: Row, seed: int, prediction: Prediction, variables: Sequence[str]
) -> xarray.Dataset:
    attributes = {
        "seed": seed,
        "answered_by": prediction.answered_by,
        "wall_time_seconds": prediction.seconds,
    }
    if prediction.reason is not None:
        attributes["reason"] = prediction.reason
    dataset = served.simulation.label(prediction.fields, row, attributes)
    for name in variables:
        if name not in dataset:
            field = dataset[_field_of(served, name)]
            described = {"units": field.units, "long_name": f"end of the band of {field.long_name}"}
            dataset[name] = (field.dims, served.values(prediction, name), described)
    left_out = [name for name in served.simulation.fields if name not in variables]
    dataset = dataset.drop_vars(left_out)
    if prediction.p_value is not None:
        dataset.attrs["domain_p_value"] = prediction.p_value
    if prediction.error_bound is not None:
        assert served.calibration is not None
        dataset.attrs["coverage"] = float(served.calibration.coverage)
        described = {"units": "1", "long_name": "bound on the relative L2 error"}
        bounds = list(prediction.error_bound.values())
        dataset["error_bound"] = ("field", bounds, described)
        dataset = dataset.assign_coords(field=list(prediction.error_bound))
    return dataset


def _field_of(served: Served, variable: str) -> str:
    return variable if variable in served.simulation.fields else variable.rpartition("_")[0]


def _dims(served: Served, name: str) -> list[str]:
    field, grid = served.simulation.fields[name], served.simulation.grid
    space = grid.names if field.spatial else ()
    return ["time", *space, *("component", "component2")[: field.order]]
