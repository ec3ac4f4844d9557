"""The two ends of an axis come out in the scheme's order, whatever the network's."""

from __future__ import annotations

import numpy as np
import torch

from MedLandmarkLib.detection.ends import order_of_ends, ordered_ends, pairs_of, separated_ends
from MedLandmarkLib.detection.heatmap import decode_heatmaps, encode_heatmaps
from MedLandmarkLib.scheme import load_scheme

PAIRS = pairs_of(load_scheme("fetal-head-4"))
WH, REACH = (64, 48), 6.0


def drawn(*places: tuple[tuple[float, float], float]) -> torch.Tensor:
    """(h, w): peaks of given heights at given places."""
    return sum(height * encode_heatmaps(torch.tensor(place), WH, 2.0) for place, height in places)


def found_in(maps: list[torch.Tensor]) -> torch.Tensor:
    """(4, 2): where the ends are read, after the maps of each pair were told apart."""
    return decode_heatmaps(separated_ends(torch.stack(maps)[None], PAIRS, REACH)).heatmap_xy[0]


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


def test_two_maps_that_are_highest_at_the_same_end_are_read_at_both() -> None:
    """What a network gives for an upright axis: it cannot know which end is meant by which map."""
    top, bottom, left, right = (30.2, 8.0), (31.0, 40.5), (12.0, 24.0), (50.4, 23.0)
    maps = [
        drawn((top, 0.57), (bottom, 0.30)), drawn((top, 0.44), (bottom, 0.40)),
        drawn((left, 0.3), (right, 0.5)), drawn((left, 0.35), (right, 0.45)),
    ]  # fmt: skip
    plain = decode_heatmaps(torch.stack(maps)[None]).heatmap_xy[0]
    assert (plain[0] - plain[1]).norm() < 1.0 and (plain[2] - plain[3]).norm() < 1.0
    expected = ordered_ends(torch.tensor([[top, bottom, left, right]]), PAIRS)[0]
    torch.testing.assert_close(found_in(maps), expected, atol=0.15, rtol=0)


def test_maps_that_are_sure_keep_their_points_and_gain_height_where_both_see_an_end() -> None:
    ends = torch.tensor([[8.0, 20.3], [54.6, 26.0], [30.0, 6.0], [33.5, 41.0]])
    ends = ordered_ends(ends[None], PAIRS)[0]
    maps = [drawn((tuple(point.tolist()), 0.6)) for point in ends]
    torch.testing.assert_close(found_in(maps), ends, atol=0.05, rtol=0)
    torch.testing.assert_close(separated_ends(torch.stack(maps)[None], PAIRS, REACH)[0], torch.stack(maps))
    maps[1] = maps[1] + drawn((tuple(ends[0].tolist()), 0.2))
    assert separated_ends(torch.stack(maps)[None], PAIRS, REACH)[0, 0].max() > 0.75


def test_a_broad_end_is_not_taken_for_two() -> None:
    """A ridge along the skull about one end is longer than the ends may be apart, but the other end is likelier."""
    ridge = sum(drawn(((10.0 + step, 20.0 + step), 0.3)) for step in (-3.0, 0.0, 3.0))
    maps = [ridge, drawn(((55.0, 24.0), 0.25)), drawn(((30.0, 5.0), 0.5)), drawn(((30.0, 40.0), 0.5))]
    found = found_in(maps)
    assert found[0, 0] < 20 and found[1, 0] > 50


def test_maps_without_two_places_stay_as_they_are() -> None:
    single = drawn(((20.0, 20.0), 0.5))
    for maps in (torch.zeros(4, 48, 64), torch.stack([single, single, single, single])):
        torch.testing.assert_close(separated_ends(maps[None], PAIRS, REACH)[0], maps)
    other = torch.rand(1, 4, 48, 64, generator=torch.Generator().manual_seed(0))
    assert separated_ends(other, (), REACH) is other
