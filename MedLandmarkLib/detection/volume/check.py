"""What can be searched for landmarks in space, and what cannot, said before any work is done."""

from __future__ import annotations

import numpy as np

from ...errors import ImageError
from ...image import Image
from ...image.display import sampled

# A picture of tissue has hundreds of grey values; a segmentation has one for each of its structures.
_FEW_VALUES = 16
_FEWEST_SLICES = 8


def require_volume(image: Image, frame: int | None = None) -> int:
    """The frame to work on. Raises ImageError where the image is no volume of pictures that knows its millimetres."""
    name = image.path.name if image.path else "The image"
    if frame is None:
        if image.frame_count > 1:
            raise ImageError(
                f"{name} holds {image.frame_count} volumes, one after the other; name one with --frame 0 to "
                f"{image.frame_count - 1}."
            )
        frame = 0
    if not 0 <= frame < image.frame_count:
        raise ImageError(f"There is no frame {frame}: {name} has frames 0 to {image.frame_count - 1}.")
    columns, rows, slices = image.size
    if slices < _FEWEST_SLICES:
        raise ImageError(
            f"{name} has {columns} x {rows} x {slices} voxels: too few slices to be searched in space "
            f"({_FEWEST_SLICES} are needed). Detect in one slice with --slice."
        )
    if image.calibration.kind == "none":
        raise ImageError(
            f"{name} states no voxel size ({image.calibration.source}), without which a volume cannot be cut in any "
            "direction. Give the pixel spacing with --spacing."
        )
    _require_numbers(image.pixels[frame], name)
    values = np.unique(sampled(image.pixels[frame]))
    if len(values) == 1:
        raise ImageError(f"{name} has the value {values[0]} everywhere: there is nothing to find in it.")
    if image.pixels.dtype.kind in "iu" and len(values) <= _FEW_VALUES and values[0] >= 0:
        listed = ", ".join(str(value) for value in values[:6])
        raise ImageError(
            f"{name} holds only the values {listed}{', ...' if len(values) > 6 else ''}: it is a label map, not a "
            "picture. Give the image that it was drawn on."
        )
    return frame


def _require_numbers(pixels: np.ndarray, name: str) -> None:
    """`read_image` and the scene replace what is no number, and say so; of an image made by hand nobody has."""
    if pixels.dtype.kind != "f":
        return
    bad = sum(int(np.count_nonzero(~np.isfinite(one_slice))) for one_slice in pixels)
    if bad:
        raise ImageError(
            f"{name} has {bad} voxels that are no finite numbers (NaN or infinite). Replace them, for instance by the "
            "lowest value, before it is searched."
        )
