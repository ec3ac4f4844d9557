"""Interchangeable landmarks: from the order in which a network tells them apart to the scheme's own order."""

from __future__ import annotations

import numpy as np

from ..scheme import Scheme


def order_of_ends(picture_xy: np.ndarray, scheme: Scheme) -> np.ndarray:
    """(K,) which detected point each landmark takes: of an interchangeable pair the one with smaller x, then y, first.

    picture_xy: (K, 2). A network learns the pairs in an order that is steady under tilt (`training.ends`).
    """
    order = np.arange(len(scheme))
    for pair in scheme.interchangeable:
        one, other = (scheme.index(name) for name in pair)
        if tuple(picture_xy[one]) > tuple(picture_xy[other]):
            order[[one, other]] = other, one
    return order
