"""Whole pictures as another hospital would have them: cropped, tilted, of another contrast and pixel size, with marks.

Unlike the augmentation of training, which changes canvases, this changes the picture before it is laid on one, so that
detection goes its whole way. It tells what must not be taken for a picture of the wrong kind.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

# How far a picture is changed: share of each side that is cut off, degrees, factor of the pixel size, exponent.
MOST_CROP = 0.2
MOST_TILT = 15.0
PIXEL_FACTORS = (0.6, 1.5)
GAMMAS = (0.7, 1.4)
CONTRASTS = (0.75, 1.3)


def varied_picture(
    picture: np.ndarray, generator: np.random.Generator, marked_share: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """A changed copy of a picture uint8 (rows, columns, 3), and the (2, 3) matrix picture_xy → its place in the copy.

    marked_share: how many copies have a ruler and letters drawn into them. The same generator state gives the same
    copy. What comes in from outside the picture is black.
    """
    rows, columns = picture.shape[:2]
    tilt = math.radians(generator.uniform(-MOST_TILT, MOST_TILT))
    kept_wh = 1.0 - generator.uniform(0.0, MOST_CROP, size=2)
    offset_wh = generator.uniform(0.0, 1.0 - kept_wh)
    factor = generator.uniform(*PIXEL_FACTORS)
    size_wh = np.maximum(2, np.rint(np.array([columns, rows]) * kept_wh * factor)).astype(int)
    # copy_xy → picture_xy: scale back, move to the window's corner, turn about the picture's centre
    centre = (np.array([columns, rows]) - 1.0) / 2.0
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    linear = turn / factor
    shift = turn @ (offset_wh * [columns, rows] - centre) + centre
    copy = _sampled(picture, linear, shift, size_wh)
    copy = _regraded(copy, generator)
    if generator.uniform() < marked_share:
        _mark(copy, generator)
    back = np.linalg.inv(linear)
    return np.rint(copy).clip(0, 255).astype(np.uint8), np.column_stack([back, -back @ shift])


def moved(points_xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a (2, 3) matrix."""
    return points_xy @ matrix[:, :2].T + matrix[:, 2]


def _sampled(picture: np.ndarray, linear: np.ndarray, shift: np.ndarray, size_wh: np.ndarray) -> np.ndarray:
    """float (rows, columns, 3) of the new size: at copy_xy stands what the picture has at linear @ copy_xy + shift."""
    rows, columns = picture.shape[:2]
    x, y = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    source = np.stack([x, y], axis=-1) @ linear.T + shift
    grid = source / (np.array([columns, rows]) - 1.0) * 2.0 - 1.0
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()[None]
    taken = F.grid_sample(planes, torch.from_numpy(grid).float()[None], align_corners=True)
    return taken[0].permute(1, 2, 0).numpy().copy()


def _regraded(picture: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    gamma = math.exp(generator.uniform(*np.log(GAMMAS)))
    contrast = math.exp(generator.uniform(*np.log(CONTRASTS)))
    unit = (picture / 255.0).clip(0.0, 1.0) ** gamma
    return 255.0 * ((unit - unit.mean()) * contrast + unit.mean())


def _mark(picture: np.ndarray, generator: np.random.Generator) -> None:
    """A ruler along one side and a few lines of letters (as small blocks) in a corner, in place."""
    rows, columns = picture.shape[:2]
    step = max(2, rows // 40)
    thick = max(1, step // 6)
    left = int(generator.uniform(0.02, 0.1) * columns)
    left = left if generator.uniform() < 0.5 else columns - 1 - left - 3 * step
    for number, y in enumerate(range(2 * step, rows - 2 * step, step)):
        picture[y : y + thick, left : left + (3 if number % 5 == 0 else 1) * step] = 255.0
    top = int(generator.uniform(0.02, 0.08) * rows)
    start = int(generator.uniform(0.05, 0.5) * columns)
    for line in range(3):
        for letter in range(12):
            if generator.uniform() < 0.8:
                y, x = top + line * 2 * step, start + letter * step
                picture[y : y + step, x : x + max(1, step // 2)] = 235.0
