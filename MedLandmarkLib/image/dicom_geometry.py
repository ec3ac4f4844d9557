"""Where the frames of a DICOM image lie in space and time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from ..errors import ImageError
from .dicom_fields import group_of_frame, number, numbers
from .itk import ras_matrix

_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True)
class FrameLayout:
    """Which stored frame stands where: `order` (frames, slices) of stored frame numbers, and the RAS matrix."""

    order: np.ndarray
    ijk_to_ras: np.ndarray
    warnings: tuple[str, ...] = ()

    @property
    def is_cine(self) -> bool:
        """Whether frames follow each other in time, one slice each, in stored order."""
        return self.order.shape[1] == 1


def frame_layout(dataset: Dataset, frame_count: int, spacing_xy: tuple[float, float]) -> FrameLayout:
    """Frames at different places are slices of a volume, sorted along its normal; others follow each other in time.

    An image without a place in the patient lies as Slicer lays 2D images: i to the patient's right, j to the back.
    Raises ImageError when its orientation makes no axes.
    """
    cine = np.arange(frame_count)[:, np.newaxis]  # (frames, 1)
    axes = _in_plane_axes(dataset, 0)
    places = [_position(dataset, frame) for frame in range(frame_count)]
    if axes is None or places[0] is None:
        return FrameLayout(cine, ras_matrix(np.diag((*spacing_xy, 1.0)), np.zeros(3)))
    normal = np.cross(axes[0], axes[1])
    in_plane = np.column_stack((axes[0] * spacing_xy[0], axes[1] * spacing_xy[1]))
    single = FrameLayout(cine, ras_matrix(np.column_stack((in_plane, normal * _thickness(dataset))), places[0]))
    if frame_count == 1 or any(place is None for place in places):
        return single
    # a frame with another orientation ends the idea of one volume
    if not all(np.allclose(other, axes, atol=1e-4) for other in _stated_axes(dataset, frame_count)):
        warning = "Its frames have different orientations; they are read as a sequence, placed like the first."
        return FrameLayout(cine, single.ijk_to_ras, (warning,))
    heights = np.array([place @ normal for place in places])
    levels = np.unique(np.round(heights / _SAME_PLACE_MM).astype(np.int64))
    if len(levels) == 1:
        return single
    order = _order_by_level(np.round(heights / _SAME_PLACE_MM).astype(np.int64), levels)
    if order is None:
        warning = "Its frames lie at different places, unequally often; they are read as a sequence."
        return FrameLayout(cine, single.ijk_to_ras, (warning,))
    return _stack(order, places, in_plane, heights)


def frame_times_s(dataset: Dataset, frame_count: int) -> tuple[float, ...] | None:
    """Seconds since the first frame; None where the header does not tell (see `frame_timing`)."""
    return frame_timing(dataset, frame_count)[0]


def frame_timing(dataset: Dataset, frame_count: int) -> tuple[tuple[float, ...] | None, str]:
    """Seconds since the first frame, from FrameTimeVector, FrameTime, or a rate, and the attribute that says so.

    None, with the reason, where none is stated.
    """
    if frame_count < 2:
        return None, "there is one frame"
    steps_ms = numbers(dataset, "FrameTimeVector")
    if steps_ms is not None and len(steps_ms) == frame_count and all(step >= 0 for step in steps_ms):
        # the first entry is the time before the first frame: always 0 by the standard (PS3.3 C.7.6.5.1.2)
        return tuple(float(time) for time in np.cumsum((0.0, *steps_ms[1:])) / 1000), "FrameTimeVector (0018,1065)"
    frame_time_ms = number(dataset, "FrameTime")
    if frame_time_ms is not None and math.isfinite(frame_time_ms) and frame_time_ms > 0:
        return tuple(frame * frame_time_ms / 1000 for frame in range(frame_count)), "FrameTime (0018,1063)"
    for keyword, tag in (("CineRate", "(0018,0040)"), ("RecommendedDisplayFrameRate", "(0008,2144)")):
        rate = number(dataset, keyword)
        if rate is not None and math.isfinite(rate) and rate > 0:
            return tuple(frame / rate for frame in range(frame_count)), f"{keyword} {tag}"
    return None, "the DICOM header states no frame time"


def _in_plane_axes(dataset: Dataset, frame: int) -> np.ndarray | None:
    """Unit vectors (2, 3), LPS: along a row (column index grows) and down a column. None where not stated."""
    values = numbers(group_of_frame(dataset, frame, "PlaneOrientationSequence"), "ImageOrientationPatient", 6)
    if values is None:
        return None
    axes = np.array(values).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if not np.all(np.isfinite(axes)) or np.any(np.abs(lengths - 1) > 0.05) or abs(axes[0] @ axes[1]) > 0.05:
        raise ImageError(
            f"its ImageOrientationPatient {list(values)} is not two unit vectors at a right angle: the header is wrong."
        )
    return axes / lengths[:, np.newaxis]


def _stated_axes(dataset: Dataset, frame_count: int) -> list[np.ndarray]:
    """The axes of all frames, once for each place in the header that states them (mostly one, shared by all)."""
    holders = [group_of_frame(dataset, frame, "PlaneOrientationSequence") for frame in range(frame_count)]
    first_frames = {id(holder): frame for frame, holder in reversed(list(enumerate(holders)))}
    axes = [_in_plane_axes(dataset, frame) for frame in first_frames.values()]
    return [np.full((2, 3), np.nan) if frame_axes is None else frame_axes for frame_axes in axes]


def _position(dataset: Dataset, frame: int) -> np.ndarray | None:
    """Centre of the frame's first pixel, LPS mm."""
    values = numbers(group_of_frame(dataset, frame, "PlanePositionSequence"), "ImagePositionPatient", 3)
    if values is None:
        return None
    if not np.all(np.isfinite(values)):
        raise ImageError(f"its ImagePositionPatient {list(values)} is not finite: the header is wrong.")
    return np.array(values)


def _thickness(dataset: Dataset) -> float:
    """The length of a slice's axis where there is only one slice: any positive number will do."""
    holder = group_of_frame(dataset, 0, "PixelMeasuresSequence")
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = number(holder, keyword)
        if value is not None and math.isfinite(value) and value > 0:
            return value
    return 1.0


def _order_by_level(heights: np.ndarray, levels: np.ndarray) -> np.ndarray | None:
    """(frames, slices) of stored frame numbers, each level's visits in stored order; None where visits differ."""
    visits = [np.flatnonzero(heights == level) for level in levels]
    if len({len(visit) for visit in visits}) != 1:
        return None
    return np.column_stack(visits)


def _stack(order: np.ndarray, places: list, in_plane: np.ndarray, heights: np.ndarray) -> FrameLayout:
    """A volume: its slice axis leads from the lowest to the highest frame, so a tilted gantry's shear is kept."""
    first, last = order[0, 0], order[0, -1]
    step = (places[last] - places[first]) / (order.shape[1] - 1)
    gaps = np.diff(heights[order[0]])
    warnings: tuple[str, ...] = ()
    if gaps.max() - gaps.min() > 0.05 * gaps.mean():
        warnings = (f"Its slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart; the mean is used.",)
    return FrameLayout(order, ras_matrix(np.column_stack((in_plane, step)), places[first]), warnings)
