"""What a result came from: its scheme, the model and its settings, and what the model found before anybody edited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import MedLandmarkError, SchemeError
from ..landmark import LandmarkSet
from ..plane import PLANE_SETTING
from ..plane.projection import PROJECTION_SETTING
from ..scheme import Scheme, load_scheme
from ..scheme.reading import scheme_from_json
from ..scheme.store import scheme_ids
from .calibration import ijk_to_ras
from .markups import PLANE_KEY, volume_of
from .records import keep, kept, set_from_record, set_record

ORIGIN_KEY = "MedLandmark.Origin"


@dataclass(frozen=True)
class Provenance:
    """Which weights found the landmarks, and how; empty where they were placed by hand."""

    model_id: str = ""
    model_version: str = ""
    model_sha256: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    software: str = f"MedLandmark {__version__}"


def keep_origin(node: Any, scheme: Scheme, provenance: Provenance, prediction: LandmarkSet, result_id: str) -> None:
    """Write the origin of a new result to its node. Raises SchemeError where a scheme of the user's own is gone."""
    record = asdict(provenance) | {"settings": dict(provenance.settings), "notes": list(provenance.notes)}
    origin = {
        "result": result_id,
        "scheme": scheme.id,
        "scheme_version": scheme.version,
        "scheme_json": _own_scheme_json(scheme),
        "provenance": record,
        "prediction": set_record(prediction),
    }
    keep(node, ORIGIN_KEY, origin)
    show_origin(node)


def has_origin(node: Any) -> bool:
    return kept(node, ORIGIN_KEY) is not None


def kept_result_id(node: Any) -> str:
    """The id of the result as its own file has it."""
    return str(_origin(node).get("result") or "")


def prediction_of(node: Any) -> LandmarkSet:
    """What the model found, before anybody touched it. Raises MedLandmarkError where it cannot be read."""
    return set_from_record(node, ORIGIN_KEY, _origin(node).get("prediction") or {})


def provenance_of(node: Any) -> Provenance:
    """Which weights found the landmarks. Raises MedLandmarkError where it cannot be read."""
    try:
        data = dict(_origin(node)["provenance"])
        return Provenance(**{**data, "notes": tuple(data.get("notes", ()))})
    except (KeyError, TypeError, ValueError) as error:
        raise MedLandmarkError(f"Node '{node.GetName()}' is damaged: {ORIGIN_KEY} ({error!r}).") from error


def scheme_of(node: Any) -> Scheme:
    """The scheme of a result: a shipped one by its id, one of the user's own from its copy in the node.

    Raises SchemeError or MedLandmarkError where it is neither.
    """
    origin = _origin(node)
    if origin.get("scheme_json") is not None:
        return scheme_from_json(origin["scheme_json"], Path(f"{origin.get('scheme')}.json"))
    return load_scheme(str(origin.get("scheme")))


def show_origin(node: Any) -> None:
    """Attributes for people who look at the node in the Data module, and the plane for the points' descriptions."""
    origin = _origin(node)
    provenance = origin.get("provenance") or {}
    node.SetAttribute("MedLandmark.Scheme", f"{origin.get('scheme')} {origin.get('scheme_version')}")
    model = f"{provenance.get('model_id', '')} {provenance.get('model_version', '')}".strip()
    node.SetAttribute("MedLandmark.Model", model or "none")
    node.SetAttribute(PLANE_KEY, plane_text(provenance.get("settings") or {}, volume_of(node)) or None)


def plane_text(settings: Mapping[str, Any], volume: Any | None) -> str:
    """Which plane of a volume the landmarks were found in, by the settings of the detection; empty for a whole image.

    Raises MedLandmarkError where the settings are damaged.
    """
    projection = settings.get(PROJECTION_SETTING)
    if projection is not None:
        return f"found in a {projection.get('kind', '')} projection of the volume"
    if settings.get("slice") is not None:
        return f"found on slice {settings['slice']}"
    plane = settings.get(PLANE_SETTING)
    if plane is None:
        return ""
    try:
        matrix, (columns, rows) = np.array(plane["plane_to_ijk"], float).reshape(4, 4), plane["size_wh"]
    except (KeyError, TypeError, ValueError) as error:
        raise MedLandmarkError(f"The plane among the settings of a result is damaged ({error!r}).") from error
    corners = matrix @ np.array([(x, y, 0.0, 1.0) for x in (0, columns - 1) for y in (0, rows - 1)]).T
    text = f"found on a cut through slices {corners[2].min():.0f} to {corners[2].max():.0f}"
    if volume is None:
        return text
    axes = ijk_to_ras(volume)[:3, :3]
    normal, between = np.cross(*(axes @ matrix[:3, :2]).T), np.cross(axes[:, 0], axes[:, 1])
    cosine = abs(normal @ between) / (np.linalg.norm(normal) * np.linalg.norm(between))
    return f"{text}, tilted by {np.degrees(np.arccos(min(cosine, 1.0))):.0f}° against them"


def _origin(node: Any) -> dict[str, Any]:
    origin = kept(node, ORIGIN_KEY)
    if not isinstance(origin, dict):
        raise MedLandmarkError(f"Node '{node.GetName()}' is no result of MedLandmark: it lacks {ORIGIN_KEY}.")
    return origin


def _own_scheme_json(scheme: Scheme) -> Any | None:
    """The content of a scheme file of the user's own, so that the scene can be measured on any machine."""
    try:
        if scheme.id in scheme_ids() and scheme == load_scheme(scheme.id):
            return None
    except SchemeError:
        pass  # not one that ships with the library
    try:
        return json.loads(scheme.path.read_text(encoding="utf-8-sig"))
    except (AttributeError, OSError, ValueError) as error:
        raise SchemeError(
            f"Scheme {scheme.id} cannot be kept with the result: its file {scheme.path} cannot be read ({error})."
        ) from error
