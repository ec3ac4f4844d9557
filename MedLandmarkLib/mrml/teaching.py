"""Annotated images of the scene, as a teaching learns from them: points, the image that they lie on, and pixels.

Which points are learned from is kept in the scene: a list of points that refers to its image by a role of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ImageError, MedLandmarkError
from ..landmark import Status
from .calibration import ijk_to_ras
from .markups import DEFINED, PIXELS_NOTE, volume_of
from .nodes import nodes_of_class
from .reading import read_landmarks, told_status
from .results import FIDUCIAL_CLASS, is_result, results
from .sequences import frames_of
from .volume import check_volume

TEMPLATE_ROLE = "medLandmarkTemplate"  # from a list of points to the image that it annotates
CHECKED = frozenset({Status.ACCEPTED, Status.EDITED})
UNCHECKED = frozenset({Status.PREDICTED, Status.DOUBTFUL})
_OFF_PLANE = 0.5  # of a slice: a point further off lies in another picture


@dataclass(frozen=True)
class TaughtPoints:
    """The points of an annotated image. names: all that its list has, in order. picture_xy: pixel by name.

    unchecked: landmarks that a model predicted and nobody accepted or edited, which were left out.
    """

    names: tuple[str, ...]
    picture_xy: dict[str, tuple[float, float]]
    unchecked: tuple[str, ...] = ()


def templates(scene: Any) -> list[tuple[Any, Any]]:
    """(points, image) of each annotated image that is to be learned from, in the scene's order."""
    pairs = [(node, node.GetNodeReference(TEMPLATE_ROLE)) for node in nodes_of_class(scene, FIDUCIAL_CLASS)]
    return [(node, volume) for node, volume in pairs if volume is not None]


def add_template(scene: Any, points: Any, volume: Any, with_unchecked: bool = False) -> TaughtPoints:
    """Learn from these points, which lie on this image. Raises MedLandmarkError where that cannot be."""
    taught = taught_points(scene, points, volume, with_unchecked)
    other = next((node for node, image in templates(scene) if image is volume and node is not points), None)
    if other is not None:
        raise MedLandmarkError(
            f"Image '{volume.GetName()}' is on the list with the points '{other.GetName()}'; remove those first."
        )
    points.SetNodeReferenceID(TEMPLATE_ROLE, volume.GetID())
    return taught


def remove_template(points: Any) -> None:
    """Learn from these points no more; they stay in the scene."""
    points.SetNodeReferenceID(TEMPLATE_ROLE, None)


def reviewed_results(scene: Any) -> list[tuple[Any, Any]]:
    """(result, image) of each result with a landmark that somebody accepted or edited, and that can be learned from."""
    found = []
    for node in results(scene):
        volume = volume_of(node)
        try:
            taught_points(scene, node, volume)
        except MedLandmarkError:
            continue  # its message is for those who ask for this very result
        found.append((node, volume))
    return found


def taught_points(scene: Any, points: Any, volume: Any, with_unchecked: bool = False) -> TaughtPoints:
    """What the points say of the image. with_unchecked: also what a model predicted and nobody accepted or edited.

    Raises ImageError for an image that is no single picture, and MedLandmarkError for points that have no names, share
    one, lie outside, or are all unchecked.
    """
    check_picture(scene, volume)
    if points is None:
        raise MedLandmarkError("No points are chosen. Place a point for each landmark, and choose their list.")
    if is_result(points) and volume_of(points) is not volume:
        raise MedLandmarkError(f"The result '{points.GetName()}' was found in another image than '{volume.GetName()}'.")
    placed = _placed_in_result(points) if is_result(points) else _placed_by_hand(points, volume)
    wanted = CHECKED | UNCHECKED if with_unchecked else CHECKED
    used = {name: ijk for name, (status, ijk) in placed.items() if status in wanted and ijk is not None}
    unchecked = tuple(name for name, (status, _ijk) in placed.items() if status in UNCHECKED and not with_unchecked)
    if not used:
        raise MedLandmarkError(
            f"Nobody has accepted or edited a landmark of '{points.GetName()}'. Review them first."
            if unchecked
            else f"'{points.GetName()}' has no placed point. Place a point for each landmark."
        )
    for name, ijk in used.items():
        _require_inside(points, volume, name, ijk)
    picture_xy = {name: (float(ijk[0]), float(ijk[1])) for name, ijk in used.items()}
    return TaughtPoints(tuple(placed), picture_xy, unchecked)


def check_picture(scene: Any, volume: Any) -> None:
    """Raise ImageError unless a node is a single picture: no volume of several slices, no frame of a clip."""
    check_volume(volume)
    slices, frames = volume.GetImageData().GetDimensions()[2], frames_of(scene, volume)
    if slices > 1 or frames > 1:
        what = f"has {slices} slices" if slices > 1 else f"is one of {frames} frames of a clip"
        raise ImageError(f"Image '{volume.GetName()}' {what}; teaching learns from single pictures.")


def pictures(scene: Any, without: Sequence[Any] = ()) -> list[Any]:
    """The volume nodes of the scene that are single pictures, without some of them."""
    found = []
    for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        try:
            check_picture(scene, node)
        except ImageError:
            continue  # a volume, a clip or no picture at all
        if all(node is not other for other in without):
            found.append(node)
    return found


def _placed_in_result(node: Any) -> dict[str, tuple[Status, Any]]:
    return {landmark.name: (landmark.status, landmark.ijk) for landmark in read_landmarks(node)}


def _placed_by_hand(node: Any, volume: Any) -> dict[str, tuple[Status, Any]]:
    """Status and pixel by label; what carries no status in its description was placed by a person."""
    ras_to_ijk = np.linalg.inv(ijk_to_ras(volume))
    placed: dict[str, tuple[Status, Any]] = {}
    for number in range(node.GetNumberOfControlPoints()):
        name = node.GetNthControlPointLabel(number).strip()
        if not name or name in placed:
            raise MedLandmarkError(
                f"Two points of '{node.GetName()}' are called '{name}'; each landmark needs a name of its own."
                if name
                else f"Point {number + 1} of '{node.GetName()}' has no name; name it after its landmark."
            )
        ras = np.array(node.GetNthControlPointPositionWorld(number))
        is_placed = node.GetNthControlPointPositionStatus(number) == DEFINED and np.isfinite(ras).all()
        description = (node.GetNthControlPointDescription(number) or "").removesuffix(PIXELS_NOTE).rstrip()
        status = told_status(description) if is_placed else Status.MISSING
        placed[name] = status, tuple((ras_to_ijk @ [*ras, 1.0])[:3]) if is_placed else None
    return placed


def _require_inside(points: Any, volume: Any, name: str, ijk: Sequence[float]) -> None:
    size = volume.GetImageData().GetDimensions()
    is_inside = all(-0.5 <= value <= length - 0.5 for value, length in zip(ijk[:2], size[:2], strict=True))
    if not is_inside or abs(ijk[2]) > _OFF_PLANE + 1e-3:
        raise MedLandmarkError(
            f"Point '{name}' of '{points.GetName()}' does not lie on image '{volume.GetName()}': choose the image that "
            "the points were placed on."
        )
