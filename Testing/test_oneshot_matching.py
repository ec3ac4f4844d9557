"""Instant matching: the landmarks of one annotated picture found again in others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from teaching_pictures import CORNERS, SIDE, drawn_picture, other_picture, posed_picture

from MedLandmarkLib.detection.heatmap import decode_heatmaps
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.matching import MatchingNetwork
from MedLandmarkLib.models.matching.alignment import fitted_similarity
from MedLandmarkLib.models.matching.correlation import top_of
from MedLandmarkLib.models.matching.deformation import Smoothness, smoothly_placed
from MedLandmarkLib.oneshot.views import normalised
from MedLandmarkLib.training.backbones import MEAN, STD
from MedLandmarkLib.training.initial_weights import load_imagenet_trunk


@pytest.fixture(scope="module")
def a_trunk():
    network = LiteNetwork(1)
    load_imagenet_trunk(network)
    return network.trunk.eval()


@pytest.fixture(params=[False, True], ids=["as it is", "local contrast"])
def a_matcher(a_trunk, request):
    return matcher_of(a_trunk, drawn_picture(0), local_contrast=request.param)


def matcher_of(trunk, *templates, local_contrast: bool = False) -> MatchingNetwork:
    network = MatchingNetwork(len(CORNERS), (SIDE, SIDE), len(templates), local_contrast=local_contrast)
    network.trunk = trunk
    for number, (picture, points) in enumerate(templates):
        network.pictures[number] = torch.from_numpy(picture)
        network.points_xy[number] = torch.from_numpy(points).float()
    network.mean[:], network.std[:] = torch.tensor(MEAN), torch.tensor(STD)
    return network.eval()


def canvas_of(picture: np.ndarray) -> torch.Tensor:
    return normalised(torch.from_numpy(picture)[None, None].float())[0]


def test_the_template_finds_its_own_landmarks(a_matcher):
    picture, points = drawn_picture(0)
    match = a_matcher.match(canvas_of(picture))
    assert np.abs(match.canvas_xy.numpy() - points).max() < 1.0
    assert match.return_px.max() < 1.0
    assert match.similarity.agreement > 0.95


@pytest.mark.parametrize("seed", range(4))
def test_landmarks_are_found_in_another_pose(a_matcher, seed):
    picture, points = posed_picture(seed)
    match = a_matcher.match(canvas_of(picture))
    assert np.linalg.norm(match.canvas_xy.numpy() - points, axis=1).max() < 6.0


def test_landmarks_in_the_dark_are_found_where_contrast_is_local(a_trunk):
    shade = np.where(np.arange(SIDE) > SIDE / 2, 0.03, 1.0)  # of the grey levels of the right half a few are left
    off = {}
    for is_local in (False, True):
        matcher = matcher_of(a_trunk, drawn_picture(0), local_contrast=is_local)
        errors = []
        for picture, points in map(posed_picture, (1, 2, 3)):
            match = matcher.match(canvas_of((picture * shade).astype(np.uint8)))
            errors.append(np.linalg.norm(match.canvas_xy.numpy() - points, axis=1).mean())
        off[is_local] = np.mean(errors)
    assert off[True] < 2.5, off
    assert off[True] < 0.6 * off[False], off


def test_a_picture_of_another_kind_agrees_less(a_matcher):
    same = a_matcher.match(canvas_of(posed_picture(1)[0])).similarity.agreement
    other = a_matcher.match(canvas_of(other_picture(1))).similarity.agreement
    assert other < 0.6 * same


def test_the_heatmaps_peak_where_the_match_says(a_matcher):
    canvas = canvas_of(posed_picture(2)[0])
    match = a_matcher.match(canvas)
    peaks = decode_heatmaps(a_matcher(canvas[None]))
    assert torch.allclose(peaks.heatmap_xy[0] * 4.0, match.canvas_xy, atol=0.5)
    assert ((peaks.score > 0) & (peaks.score <= 1.0)).all()


def test_a_landmark_that_the_template_does_not_show_has_an_empty_map(a_trunk):
    picture, points = drawn_picture(0)
    points[2] = np.nan
    maps = matcher_of(a_trunk, (picture, points))(canvas_of(picture)[None])
    assert maps[0, 2].max() == 0.0
    assert (maps[0, [0, 1, 3]].amax(dim=(1, 2)) > 0.5).all()


def test_of_two_templates_the_nearer_one_is_used(a_trunk):
    picture, points = drawn_picture(3)
    network = matcher_of(a_trunk, (other_picture(1), CORNERS + SIDE / 2), (picture, points))
    found = network.match(canvas_of(picture))
    assert np.abs(found.canvas_xy.numpy() - points).max() < 1.0


def test_a_picture_of_another_size_is_refused(a_matcher):
    with pytest.raises(ModelError, match="template"):
        a_matcher.match(torch.zeros(3, 97, 97))


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(0.75, 1.35), st.floats(-40, 40), st.floats(-40, 40), st.integers(0, 10_000))
def test_a_similarity_is_found_among_mostly_wrong_candidates(turn, scale, x, y, seed):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(40, 2, generator=generator) * 300.0
    linear = scale * torch.tensor([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]).float()
    true = points @ linear.T + torch.tensor([x, y])
    candidates = torch.rand(40, 5, 2, generator=generator) * 500.0 - 100.0
    candidates[:28, 0] = true[:28]  # of 200 candidates, 28 are right
    found = fitted_similarity(points, candidates, torch.ones(40, 5), tolerance_px=5.0)
    assert (found.of(points) - true).abs().max() < 3.0
    assert torch.allclose(found.back(found.of(points)), points, atol=1e-2)


def test_a_point_whose_map_is_high_at_a_wrong_place_follows_the_others():
    height, width, stride = 50, 60, 4.0
    expected = torch.cartesian_prod(torch.linspace(40, 200, 5), torch.linspace(40, 160, 4))
    true = expected + torch.tensor([8.0, -6.0])
    y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    maps = torch.exp(-((x - true[:, :1, None]) ** 2 + (y - true[:, 1:, None]) ** 2) / (2 * 10.0**2))
    maps[7] = torch.exp(-((x - 30.0) ** 2 + (y - 150.0) ** 2) / (2 * 10.0**2))
    assert (top_of(maps, stride)[7] - true[7]).norm() > 50.0
    placed, deviation = smoothly_placed(maps, stride, expected, Smoothness(10.0, 150.0, 2.0, 0.05))
    assert (placed - true).norm(dim=1)[torch.arange(20) != 7].max() < 1.5
    assert (placed[7] - true[7]).norm() < 8.0
    assert deviation.min() > 0.0
