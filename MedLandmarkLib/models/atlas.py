"""Models that are one annotated volume: a template and its points, in files that other programs open as well.

A folder of family "atlas" holds card.json, the points (points.mrk.json, the card's weights) and the template volume
(the card's `volume`). Where the template is not handed on, `architecture["package"]` names an installed Python package
that brings it, the file in it, and the extra of this library that installs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, MedLandmarkError, ModelError
from ..export.files import written_whole
from ..export.landmarks_json import read_json_object
from ..export.mrk_json import MARKUPS_SCHEMA
from ..image import Image, read_image
from .catalogue import ModelCard
from .folder import file_sha256, weights_path, write_json

FAMILY = "atlas"
POINTS_NAME = "points.mrk.json"
TEMPLATE_NAME = "template.nii.gz"


@dataclass(frozen=True, eq=False)
class Atlas:
    """image: the template volume. points_ras: what is annotated in it, (3,) RAS mm each, by landmark."""

    image: Image
    points_ras: dict[str, np.ndarray]

    def points(self, names: tuple[str, ...]) -> np.ndarray:
        """(K, 3) in the order of names, NaN for a landmark that is not annotated."""
        return np.array([self.points_ras.get(name, np.full(3, np.nan)) for name in names]).reshape(-1, 3)


@dataclass(frozen=True)
class LoadedAtlas:
    """An atlas ready to be carried over. sha256 identifies the points and, as their file names it, the template."""

    card: ModelCard
    atlas: Atlas
    sha256: str


def load_atlas(card: ModelCard) -> LoadedAtlas:
    """The template and the points of a model of family "atlas".

    Raises ModelError where files are damaged or do not belong together, or where the package with the template is not
    installed.
    """
    points_file = weights_path(card)
    if points_file is None or card.weights is None:
        raise ModelError(f"Model '{card.id}' names no file of points. Get the model again.")
    path, sha256 = _template_file(card)
    points, template_sha256 = read_points(points_file)
    if file_sha256(path) != sha256 or template_sha256 != sha256:
        raise ModelError(
            f"{path} is not the volume that the points of model '{card.id}' were read in (its sha256 is not "
            f"{sha256[:12]}...). {_other_package(card)}"
        )
    try:
        image = read_image(path)
    except ImageError as error:
        raise ModelError(f"Model '{card.id}': its template cannot be read. {error}") from error
    return LoadedAtlas(card, Atlas(image, points), card.weights.sha256)


def read_points(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """Points of a markups file, (3,) RAS mm by label, and the sha256 of their template. Raises ModelError."""
    try:
        markup = read_json_object(path)["markups"][0]
        template_sha256 = str(markup["name"]).rpartition(" ")[2]
        sign = np.array((1.0, 1.0, 1.0) if markup["coordinateSystem"] in ("RAS", "0") else (-1.0, -1.0, 1.0))
        placed = [one for one in markup["controlPoints"] if one.get("positionStatus", "defined") == "defined"]
        points = {str(one["label"]): np.array(one["position"], float).reshape(3) * sign for one in placed}
    except (MedLandmarkError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path} does not hold the points of a model ({error!r}). Get the model again.") from error
    if not all(np.isfinite(point).all() for point in points.values()):
        raise ModelError(f"{path}: a point is not finite. Get the model again.")
    return points, template_sha256


def write_points(path: Path, points_ras: dict[str, np.ndarray], definitions: dict[str, str], sha256: str) -> None:
    """Points as markups that 3D Slicer opens, named after the template they lie in; whole or not at all."""
    points = [
        {
            "id": str(number),
            "label": name,
            "description": definitions.get(name, ""),
            "position": [round(float(value), 6) + 0.0 for value in point * (-1.0, -1.0, 1.0)],
            "positionStatus": "defined",
        }
        for number, (name, point) in enumerate(points_ras.items(), 1)
    ]
    markup = {
        "type": "Fiducial",
        "name": f"points of template {sha256}",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "controlPoints": points,
    }
    with written_whole(path) as temporary:
        write_json(temporary, {"@schema": MARKUPS_SCHEMA, "markups": [markup]})


def packaged_template(package: dict[str, Any]) -> Path:
    """The template file in an installed package. Raises ModelError that says how to install it."""
    name, extra = str(package["name"]), str(package["extra"])
    found = find_spec(name)  # finds the folder without importing the package, which may take seconds
    folders = [] if found is None else list(found.submodule_search_locations or ())
    path = next(
        (Path(folder) / package["file"] for folder in folders if (Path(folder) / package["file"]).is_file()), None
    )
    if path is None:
        raise ModelError(
            f"The template of this model comes with the Python package {name}, which is not installed"
            f"{'' if found is None else ' as expected (it lacks ' + str(package['file']) + ')'}: "
            f"pip install medlandmark[{extra}]"
        )
    return path


def _template_file(card: ModelCard) -> tuple[Path, str]:
    package = card.architecture.get("package")
    try:
        if package is not None:
            return packaged_template(package), str(package["sha256"])
        return card.folder / card.volume.file, card.volume.sha256
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"Model '{card.id}': its card names no template volume ({error!r}).") from error


def _other_package(card: ModelCard) -> str:
    package = card.architecture.get("package")
    if package is None:
        return "Get the model again."
    try:
        installed = version(str(package["name"]))
    except PackageNotFoundError:
        installed = "of an unknown version"
    return f"{package['name']} {installed} is installed; the points were made for {package['version']}."
