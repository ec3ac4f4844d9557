"""Where in a clip the picture is alive: the ultrasound sector, apart from burnt-in text, scales and traces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from .clip import Clip

_FRAMES = 24  # looked at, evenly taken
_SIDE_PX = 256  # of the small picture in which the sector is sought
_LEAST_CHANGE = 2.5  # standard deviation of a grey value through time, of 255; below it is what compression adds
_PART_OF_LIVELIEST = 0.12
_LEAST_AREA = 0.04  # of the picture; less is a clock, or a trace
_MARGIN = 0.03  # of the longer side
_COLOURED = 40  # difference of a pixel's largest and smallest channel, of 255
_MUCH_COLOUR = 0.01  # of the sector's pixels


@dataclass(frozen=True, eq=False)
class Sector:
    """The part of the pictures that belongs to the heart.

    mask: (rows, columns) bool. box: (first column, first row, columns, rows) around it. found: False where nothing
    moves, or too little to tell; the whole picture counts then. coloured: the part of its pixels that hold colour.
    """

    mask: np.ndarray
    box: tuple[int, int, int, int]
    found: bool
    coloured: float = 0.0

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """The box out of a picture (rows, columns, 3), black outside the sector."""
        x, y, columns, rows = self.box
        inside = self.mask[y : y + rows, x : x + columns]
        return np.where(inside[..., None], picture[y : y + rows, x : x + columns], np.uint8(0))

    @property
    def is_coloured(self) -> bool:
        """Whether there is enough colour in it for colour Doppler, and not only a coloured mark."""
        return self.coloured > _MUCH_COLOUR


def find_sector(clip: Clip) -> Sector:
    """The sector of a clip: the convex outline of the largest part of the picture in which grey values change.

    Text and scales stand still. A clock and an electrocardiogram move, but lie apart and are smaller.
    """
    frames = np.unique(np.linspace(0, clip.frame_count - 1, min(_FRAMES, clip.frame_count)).round().astype(int))
    columns, rows = clip.size_wh
    step = max(1, max(columns, rows) // _SIDE_PX)
    total, squares, colour = 0.0, 0.0, 0.0
    for picture in clip.pictures([int(frame) for frame in frames]):
        small = picture[::step, ::step].astype(np.float32)
        grey = small.mean(axis=2)
        total, squares = total + grey, squares + grey**2
        colour = colour + (small.max(axis=2) - small.min(axis=2) > _COLOURED)
    change = np.sqrt(np.maximum(squares / len(frames) - (total / len(frames)) ** 2, 0))
    outline = _outline(change)
    if outline is None:
        return Sector(
            np.ones((rows, columns), bool), (0, 0, columns, rows), False, float((colour / len(frames)).mean())
        )
    mask = _inside(outline, step, rows, columns)
    coloured = float((colour / len(frames))[mask[::step, ::step]].mean())
    y, x = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(x[0]), int(y[0]), int(x[-1] - x[0] + 1), int(y[-1] - y[0] + 1))
    return Sector(mask, box, True, coloured)


def _outline(change: np.ndarray) -> np.ndarray | None:
    """Half-planes (n, 3) around the largest lively part, in pixels of `change`; None where there is no such part."""
    lively = change > max(_LEAST_CHANGE, _PART_OF_LIVELIEST * np.percentile(change, 99))
    reach = max(1, round(0.01 * max(change.shape)))
    lively = ndimage.binary_opening(lively)  # single pixels are noise
    closed = ndimage.binary_closing(np.pad(lively, reach), iterations=reach)[reach:-reach, reach:-reach]
    labels, count = ndimage.label(closed)
    if count == 0:
        return None
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if areas.max() < _LEAST_AREA * change.size:
        return None
    y, x = np.nonzero(labels == areas.argmax())
    try:
        return ConvexHull(np.column_stack((x, y)).astype(float)).equations
    except QhullError:  # all on one line
        return None


def _inside(outline: np.ndarray, step: int, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) bool: within the outline and a margin around it."""
    margin = _MARGIN * max(rows, columns) / step
    x, y = np.arange(columns) / step, np.arange(rows)[:, None] / step
    mask = np.ones((rows, columns), bool)
    for a, b, c in outline:
        mask &= a * x + b * y + c <= margin
    return mask
