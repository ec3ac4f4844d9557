"""How the options of `medlandmark volume` are read: which planes of a volume are asked for."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..image import Image
    from ..plane import Plane

_AXES = ("sagittal", "coronal", "axial")

Point = tuple[float, float, float]


@dataclass(frozen=True)
class VolumeTask:
    """kind: "whole", "cephalogram", "index", "points" or "teeth"; the other fields are what that kind needs."""

    kind: str
    axis: str = ""
    index: int = 0
    points: tuple[Point, ...] = ()
    teeth: tuple[tuple[Point, Point], ...] = ()
    labial: Point = (0.0, 1.0, 0.0)
    pixel_mm: float | None = None

    def planes(self, image: Image) -> list[Plane]:
        """The planes to cut. Raises ImageError."""
        from ..plane import anatomical_plane, plane_through_points
        from ..plane.placing import box_ras, finest_spacing
        from ..plane.tooth import tooth_plane

        if self.kind == "index":
            return [anatomical_plane(image, self.axis, self.index, self.pixel_mm)]
        if self.kind == "points":
            pixel = self.pixel_mm or finest_spacing(image)
            low, high = box_ras(image)
            side = min(2048, math.ceil(float((high - low).max()) / pixel))
            return [plane_through_points(self.points, pixel, (side, side))]
        return [tooth_plane(crown, apex, self.labial) for crown, apex in self.teeth]


def task_of(cephalogram: bool, plane: str | None, teeth: list[str], labial: str, pixel_mm: float | None) -> VolumeTask:
    """What is asked for. Raises BadParameter for texts that are none, or for several things at once."""
    if (cephalogram, plane is not None, bool(teeth)).count(True) > 1:
        raise typer.BadParameter("--cephalogram, --plane and --tooth exclude each other: give one of them")
    if cephalogram:
        return VolumeTask("cephalogram")
    if teeth:
        pairs = tuple(_points(text, 2, "two points CROWN:APEX") for text in teeth)
        return VolumeTask("teeth", teeth=pairs, labial=_points(labial, 1, "a direction")[0])
    if plane is None:
        return VolumeTask("whole")
    if match := re.fullmatch(r"([a-z]+):(\d{1,6})", plane):
        if match[1] not in _AXES:
            raise typer.BadParameter(f"'{match[1]}' is no anatomical axis: give {', '.join(_AXES)}")
        return VolumeTask("index", axis=match[1], index=int(match[2]), pixel_mm=pixel_mm)
    return VolumeTask("points", points=_points(plane, 3, "axial:120 or three points"), pixel_mm=pixel_mm)


def directions_of(text: str) -> tuple[str, ...]:
    """ "sagittal,axial" as a tuple, each once."""
    names = tuple(dict.fromkeys(text.split(",")))
    if not set(names) <= set(_AXES):
        raise typer.BadParameter(f"'{text}' are no directions: give some of {','.join(_AXES)}")
    return names


def _points(text: str, count: int, what: str) -> tuple[Point, ...]:
    try:
        points = tuple(tuple(float(number) for number in part.split(",")) for part in text.split(":"))
    except ValueError:
        points = ()
    if len(points) != count or any(len(point) != 3 or not all(map(math.isfinite, point)) for point in points):
        raise typer.BadParameter(f"'{text}' is not {what}: a point is X,Y,Z in mm (RAS), points are parted by ':'")
    return points
