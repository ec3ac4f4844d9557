"""What a picture may measure: the checks that run on a header before any pixel is read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import ImageError

MIN_SIDE_PX = 16  # nothing anatomical can be recognised in less
MAX_SIDE_PX = 65_535  # the largest Rows or Columns of DICOM (unsigned short)
MAX_ASPECT = 20  # beyond it the network's canvas would hold a line
MAX_DECODED_BYTES = 4 << 30
MAX_SPACING_MM = 1000.0
# A small file that unfolds into a huge picture is an attack or a mistake. Deflate reaches 1030:1 on a blank page;
# lossless medical pictures stay below 10:1, label maps below 300:1.
BOMB_BYTES = 256 << 20
BOMB_RATIO = 500


def check_size(
    sides: Sequence[int], *, count: int = 1, bytes_per_pixel: int = 1, stored_bytes: int | None = None
) -> None:
    """Refuse sizes that are no picture, or that would fill the memory.

    `sides` are (columns, rows) or (columns, rows, slices); `count` is the number of frames; `stored_bytes` the length
    of the file. Raises ImageError.
    """
    text = " x ".join(str(side) for side in sides)
    if any(side < 1 for side in sides) or count < 1:
        raise ImageError(f"its size is {text} px in {count} frame(s): there is no picture in it.")
    # Of a volume the two largest sides count: planes can be cut in any direction, and one slice is a 2D picture.
    largest, second = sorted(sides, reverse=True)[:2]
    if second < MIN_SIDE_PX:
        raise ImageError(f"its size is {text} px; each side needs at least {MIN_SIDE_PX} px.")
    if largest > MAX_SIDE_PX:
        raise ImageError(f"its size is {text} px; no side may have more than {MAX_SIDE_PX} px. Cut or reduce it.")
    if largest > MAX_ASPECT * second:
        raise ImageError(
            f"its size is {text} px; one side may be at most {MAX_ASPECT} times the other. Cut out the anatomy first."
        )
    decoded = math.prod(sides) * count * bytes_per_pixel
    if decoded > MAX_DECODED_BYTES:
        raise ImageError(
            f"its {text} px in {count} frame(s) would take {decoded / 2**30:.1f} GiB of memory; the limit is "
            f"{MAX_DECODED_BYTES >> 30} GiB. Cut or reduce it."
        )
    if stored_bytes is not None and decoded > BOMB_BYTES and decoded > BOMB_RATIO * stored_bytes:
        raise ImageError(
            f"{stored_bytes} bytes claim to hold {decoded / 2**20:.0f} MiB of pixels ({text} px, {count} frame(s)): "
            "the header is damaged or the file is a decompression bomb."
        )


def check_spacing(value: object, what: str) -> float:
    """`value` as a pixel spacing in mm. Raises ImageError unless it is finite, above 0 and at most 1000 mm."""
    try:
        spacing = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ImageError(f"{what} is {value!r}, which is not a number of millimetres.") from None
    if not math.isfinite(spacing) or spacing <= 0 or spacing > MAX_SPACING_MM:
        raise ImageError(
            f"{what} is {spacing:g} mm per pixel; it must be above 0 and at most {MAX_SPACING_MM:g}. Correct it, or "
            "save the picture without it and calibrate by hand."
        )
    return spacing


def check_ijk_to_ras(matrix: np.ndarray) -> np.ndarray:
    """`matrix` (4, 4) as float64. Raises ImageError when it is not an invertible affine map."""
    matrix = np.asarray(matrix, np.float64)
    if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)) or not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise ImageError(f"its pixel-to-patient matrix is not a finite 4 x 4 affine map: {matrix.tolist()}.")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.any(lengths == 0) or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-6:
        raise ImageError("its axes do not span space (the direction matrix cannot be inverted): the header is wrong.")
    return matrix
