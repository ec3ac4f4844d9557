"""Clips with a known truth in every frame, made from the two frames per patient of CAMUS.

The end-diastolic picture is moved to the end-systolic shape and back by a diffeomorphism that is fitted to both expert
masks. Corresponding points along the outlines of cavity, muscle and atrium (hinge to hinge by arc length, apex and
atrial roof among them) give displacements; a thin-plate spline spreads them over the picture, none at the edges of
picture and sector. Taken as a stationary velocity field v, and corrected twice for what its flow misses, exp(s v) is
the shape at phase s, 0 at end-diastole and 1 at end-systole. Speckle is carried along, noise is added to each frame
anew. The truth of a frame is the end-diastolic points moved by the same flow, whether or not it meets the end-systolic
mask exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.interpolate import PchipInterpolator, RBFInterpolator
from scipy.ndimage import binary_closing, binary_fill_holes, gaussian_filter, map_coordinates

BEAT_S, RATE_HZ, BEATS = 0.8, 32.0, 3
LEAD_S = 0.25 * BEAT_S  # the clip begins in diastole
_STEP_PX = 4  # of the grid that holds the velocities
_BORDER_PX = 60  # between points of the sector's border that stay where they are
_LEVELS = 16
_NOISE = 0.05  # of the grey range, smoothed to the grain of speckle
# Contraction through a beat: ejection, early filling, diastasis, atrial kick. Flat at both ends.
_PHASE = PchipInterpolator((0, 0.36, 0.55, 0.68, 0.82, 1.0), (0, 1, 0.42, 0.28, 0.25, 0))


@dataclass(frozen=True)
class TruthClip:
    """pictures: (F, rows, columns) uint8. points: (F, K, 2) xy px. ED and ES: frame numbers of each beat."""

    pictures: np.ndarray
    points: np.ndarray
    times_s: np.ndarray
    end_diastoles: tuple[int, ...]
    end_systoles: tuple[int, ...]
    es_misfit_px: float  # between the moved points and those of the end-systolic mask


def make_clip(
    picture: Path, ed_mask: Path, es_mask: Path, ed_xy: np.ndarray, es_xy: np.ndarray, seed: int
) -> TruthClip:
    """The clip of one patient; ed_xy, es_xy: (4, 2) hinges, apex, roof (NaN where the atrium is cut)."""
    grey = read_mask(picture).astype(np.float32)
    start, goal = _pairs(read_mask(ed_mask), read_mask(es_mask), ed_xy, es_xy)
    sector = binary_fill_holes(binary_closing(np.pad(grey > 0, 9), iterations=9)[9:-9, 9:-9])
    field = _velocity(start, goal, grey.shape, outline(sector)[::_BORDER_PX])
    times = np.arange(round((LEAD_S + BEATS * BEAT_S) * RATE_HZ)) / RATE_HZ
    phase = _PHASE((times - LEAD_S) / BEAT_S % 1.0)
    grid = np.stack(np.meshgrid(*(np.arange(side, dtype=float) for side in grey.shape[::-1])), -1)  # xy
    levels = [grid]
    for _ in range(_LEVELS):  # where each pixel of the shape at a level comes from
        levels.append(_stepped(levels[-1], field, -1 / _LEVELS))
    rng = np.random.default_rng(seed)
    pictures, points = [], []
    for s in phase:
        low = min(int(s * _LEVELS), _LEVELS - 1)
        part = s * _LEVELS - low
        source = (1 - part) * levels[low] + part * levels[low + 1]
        moved = map_coordinates(grey, (source[..., 1], source[..., 0]), order=1, mode="nearest")
        grain = gaussian_filter(rng.standard_normal(grey.shape), 1.0)
        noisy = moved + (grain / grain.std()) * 255 * _NOISE * (0.2 + moved / 255)
        pictures.append(np.clip(np.where(sector, noisy, 0), 0, 255).astype(np.uint8))
        points.append(_flow(ed_xy, field, s))
    ed_times = LEAD_S + BEAT_S * np.arange(BEATS)
    return TruthClip(
        np.stack(pictures),
        np.stack(points),
        times,
        tuple(round(time * RATE_HZ) for time in ed_times),
        tuple(round((time + 0.36 * BEAT_S) * RATE_HZ) for time in ed_times),
        float(np.nanmean(np.linalg.norm(_flow(ed_xy, field, 1.0) - es_xy, axis=1))),
    )


def read_mask(path: Path) -> np.ndarray:
    """(rows, columns), a mask or a grey picture, as it is stored."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def _pairs(
    ed_mask: np.ndarray, es_mask: np.ndarray, ed_xy: np.ndarray, es_xy: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(n, 2) corresponding points of the two shapes."""
    start, goal = [ed_xy[:3]], [es_xy[:3]]
    for labels, far in (((1,), 2), ((1, 2), 2), ((3,), 3)):
        if np.isnan(ed_xy[far]).any() or np.isnan(es_xy[far]).any():
            continue
        for mask, xy, points in ((ed_mask, ed_xy, start), (es_mask, es_xy, goal)):
            one, other = halves(outline(binary_fill_holes(np.isin(mask, labels))), xy[0], xy[far], xy[1], 12)
            points += [one, other[1:]]
    return np.concatenate(start), np.concatenate(goal)


def outline(mask: np.ndarray) -> np.ndarray:
    """(n, 2) xy px: the border pixels of a mask in order, from neighbour to neighbour."""
    contour = sitk.GetArrayFromImage(sitk.BinaryContour(sitk.GetImageFromArray(mask.astype(np.uint8)), True)) > 0
    y, x = np.nonzero(contour)
    places = {(int(i), int(j)) for i, j in zip(x, y, strict=True)}
    first = min(places, key=lambda place: (place[1], place[0]))
    path, current = [first], first
    places.discard(first)
    while places:  # to the nearest pixel that was not visited, of those that touch
        near = [(current[0] + i, current[1] + j) for i, j in _AROUND if (current[0] + i, current[1] + j) in places]
        if not near:
            break
        current = near[0]
        places.discard(current)
        path.append(current)
    return np.array(path, float)


_AROUND = [(i, j) for r in (1, 2) for i in range(-r, r + 1) for j in range(-r, r + 1) if max(abs(i), abs(j)) == r]
_AROUND.sort(key=lambda move: (move[0] ** 2 + move[1] ** 2, -move[0], -move[1]))


def halves(
    contour: np.ndarray, septal: np.ndarray, far: np.ndarray, lateral: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """(count, 2) each: an outline from the septal hinge to the far end, and on to the lateral hinge, by arc length."""
    a, b, c = (int(np.argmin(np.linalg.norm(contour - point, axis=1))) for point in (septal, far, lateral))
    turned = np.roll(contour, -a, axis=0)
    length = len(contour)
    b, c = (b - a) % length, (c - a) % length
    if b > c:  # the other way round
        turned = np.roll(turned[::-1], 1, axis=0)
        b, c = length - b, length - c
    return _even(turned[: b + 1], count), _even(turned[b : c + 1], count)


def _even(line: np.ndarray, count: int) -> np.ndarray:
    length = np.concatenate(([0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))))
    at = np.linspace(0, length[-1], count)
    return np.column_stack([np.interp(at, length, line[:, axis]) for axis in (0, 1)])


def _velocity(start: np.ndarray, goal: np.ndarray, shape: tuple[int, int], border: np.ndarray) -> np.ndarray:
    """(rows / step, columns / step, 2): px per phase; about none along `border`, (n, 2)."""
    rows, columns = shape
    edge = np.array([(x, y) for x in np.linspace(0, columns - 1, 6) for y in (0, rows - 1)]
                    + [(x, y) for y in np.linspace(0, rows - 1, 6)[1:-1] for x in (0, columns - 1)])  # fmt: skip
    edge = np.concatenate((edge, border))
    anchors = np.concatenate((start, edge))
    x, y = np.arange(0, columns, _STEP_PX), np.arange(0, rows, _STEP_PX)
    places = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2).astype(float)
    move = goal - start
    for _ in range(3):
        moves = np.concatenate((move, np.zeros_like(edge)))
        spline = RBFInterpolator(anchors, moves, kernel="thin_plate_spline", smoothing=60.0)
        field = spline(places).reshape(len(y), len(x), 2)
        field = np.stack([gaussian_filter(field[..., axis], 1.5) for axis in (0, 1)], -1)
        move = move + 0.7 * (goal - _flow(start, field, 1.0))
    return field


def _flow(points: np.ndarray, field: np.ndarray, phase: float) -> np.ndarray:
    """Points (n, 2) moved by exp(phase v)."""
    moved = np.array(points, float)
    for _ in range(_LEVELS):
        moved = _stepped(moved, field, phase / _LEVELS)
    return moved


def _stepped(points: np.ndarray, field: np.ndarray, step: float) -> np.ndarray:
    """One step of Runge and Kutta's midpoint rule, (..., 2)."""
    half = points + 0.5 * step * _at(points, field)
    return points + step * _at(half, field)


def _at(points: np.ndarray, field: np.ndarray) -> np.ndarray:
    where = (points[..., 1] / _STEP_PX, points[..., 0] / _STEP_PX)
    return np.stack([map_coordinates(field[..., axis], where, order=1, mode="nearest") for axis in (0, 1)], -1)
