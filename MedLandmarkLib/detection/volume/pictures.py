"""The picture of a plane for a network that reads volumes: the plane in green, its neighbours in red and blue."""

from __future__ import annotations

import numpy as np

from ...image import Image
from ...plane import Plane, oblique_plane


def neighbour_picture(image: Image, plane: Plane, neighbour_px: float, frame: int = 0) -> np.ndarray:
    """uint8 (rows, columns, 3): the image `neighbour_px` pixels before the plane, in it, and as far behind it.

    What lies just before and behind tells a network how far through the plane a structure lies, which one picture does
    not. With neighbour_px 0 the three are the picture as it is shown.
    """
    if neighbour_px == 0:
        return oblique_plane(image, plane, frame).picture
    step = plane.plane_to_ras[:3, 2]
    picture = np.empty((plane.size_wh[1], plane.size_wh[0], 3), np.uint8)
    for channel, offset in enumerate((-neighbour_px, 0.0, neighbour_px)):
        matrix = plane.plane_to_ras.copy()
        matrix[:3, 3] += offset * step
        # a coloured image is read as grey, in the usual weights (ITU-R BT.601)
        shown = oblique_plane(image, Plane(matrix, plane.size_wh), frame).picture
        is_grey = image.pixels.shape[-1] == 1
        picture[..., channel] = shown[..., 0] if is_grey else np.rint(shown @ (0.299, 0.587, 0.114))
    return picture
