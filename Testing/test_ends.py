"""The two ends of an axis come out in the scheme's order, whatever the network's."""

from __future__ import annotations

import numpy as np

from MedLandmarkLib.detection.ends import order_of_ends
from MedLandmarkLib.scheme import load_scheme


def test_the_end_with_the_smaller_x_is_the_first() -> None:
    scheme = load_scheme("fetal-head-4")
    points = np.array([[10.0, 50.0], [90.0, 52.0], [52.0, 20.0], [48.0, 80.0]])  # OFD in order, BPD not
    assert order_of_ends(points, scheme).tolist() == [0, 1, 3, 2]


def test_of_an_upright_axis_the_upper_end_is_the_first() -> None:
    scheme = load_scheme("fetal-head-4")
    points = np.array([[10.0, 50.0], [90.0, 52.0], [50.0, 80.0], [50.0, 20.0]])
    assert order_of_ends(points, scheme).tolist() == [0, 1, 3, 2]


def test_a_scheme_without_such_pairs_keeps_its_order() -> None:
    scheme = load_scheme("a4c-4")
    assert order_of_ends(np.array([[9.0, 0], [3, 0], [5, 0], [1, 0]]), scheme).tolist() == [0, 1, 2, 3]
