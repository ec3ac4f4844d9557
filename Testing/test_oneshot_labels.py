"""Pseudo-labels, and views of pictures in which they follow exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MedLandmarkLib.oneshot.gallery import Gallery
from MedLandmarkLib.oneshot.labels import PseudoLabels, slips
from MedLandmarkLib.oneshot.views import NONE, STRONG, GreyChanges, draw_views
from MedLandmarkLib.oneshot.whole import WholePictures

DIAGONAL = 1000.0


def shapes(count: int, seed: int = 0, noise: float = 2.0) -> torch.Tensor:
    """(count, 6, 2): one shape in many poses, each point a little off by itself."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.rand(6, 2, generator=generator) * 400.0 + 100.0
    angle = torch.randn(count, generator=generator) * 0.1
    turned = torch.stack((torch.stack((angle.cos(), -angle.sin()), -1), torch.stack((angle.sin(), angle.cos()), -1)), 1)
    scale = 1.0 + 0.1 * torch.randn(count, 1, 1, generator=generator)
    shift = 20.0 * torch.randn(count, 1, 2, generator=generator)
    return scale * (mean @ turned.transpose(1, 2)) + shift + noise * torch.randn(count, 6, 2, generator=generator)


def test_a_point_far_off_the_shape_is_a_slip_and_no_other_is():
    points = shapes(40)
    points[17, 3] += torch.tensor([60.0, -30.0])
    found = slips(points, torch.ones(40, 6), DIAGONAL)
    assert found[17, 3]
    assert found.sum() - found[17].sum() <= 2
    assert found[17].sum() <= 2  # with so few landmarks a neighbour may fall with it


def test_little_is_called_a_slip_where_all_are_right():
    assert slips(shapes(60, seed=3), torch.ones(60, 6), DIAGONAL).float().mean() < 0.01


def test_nothing_is_a_slip_among_too_few_shapes():
    points = shapes(5)
    points[2, 1] += 300.0
    assert not slips(points, torch.ones(5, 6), DIAGONAL).any()


def test_renewed_labels_keep_the_annotated_points_and_weigh_the_others_by_their_spread():
    points = shapes(30)
    annotated = points[:2].clone()
    labels = PseudoLabels.from_matching(annotated, points[2:], torch.full((28, 6), 4.0), DIAGONAL)
    spread = torch.full((30, 6), 1.0)
    spread[5, 2] = 40.0
    found = points + torch.randn(points.shape, generator=torch.Generator().manual_seed(1))
    renewed = replace(labels, anchor_xy=None).renewed(found, spread, DIAGONAL)
    assert torch.equal(renewed.canvas_xy[:2], annotated)
    assert (renewed.weight[:2] == 1.0).all()
    assert torch.equal(renewed.canvas_xy[2:], found[2:])
    assert renewed.weight[5, 2] < 0.01 < 0.9 < renewed.weight[6, 2]


def test_a_landmark_that_was_not_annotated_weighs_nothing():
    points = shapes(20)
    points[:, 4] = float("nan")
    labels = PseudoLabels.from_matching(points[:1], points[1:], torch.zeros(19, 6), DIAGONAL)
    assert (labels.weight[:, 4] == 0.0).all()
    assert (labels.weight[:, 0] > 0.0).all()


def test_one_landmark_can_be_taken_out_and_put_back():
    points = shapes(15)
    labels = PseudoLabels.from_matching(points[:1], points[1:], torch.zeros(14, 6), DIAGONAL)
    own = labels.of_landmark(3)
    assert torch.equal(own.anchor_xy, labels.anchor_xy[:, 3:4])
    moved = replace(own, canvas_xy=own.canvas_xy + 5.0, weight=own.weight * 0.5)
    together = labels.with_landmark(3, moved)
    others = torch.arange(6) != 3
    assert torch.equal(together.canvas_xy[:, others], labels.canvas_xy[:, others])
    assert torch.equal(together.canvas_xy[:, 3], labels.canvas_xy[:, 3] + 5.0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(33, 200), st.integers(33, 200))
def test_points_go_to_a_view_and_back(seed, width, height):
    generator = torch.Generator().manual_seed(seed)
    pictures = torch.zeros(3, 1, 150, 170)
    centres = torch.rand(3, 2, generator=generator) * 140.0
    views = draw_views(pictures, centres, (width, height), STRONG, generator)
    view_xy = torch.rand(3, 5, 2, generator=generator) * (torch.tensor([width, height]) - 1.0)
    assert torch.allclose(views.from_canvas(views.to_canvas(view_xy)), view_xy, atol=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_a_bright_dot_lies_in_the_view_where_its_point_says(seed):
    picture = torch.zeros(1, 1, 161, 161)
    picture[0, 0, 79:82, 89:92] = 255.0  # its middle at (90, 80)
    generator = torch.Generator().manual_seed(seed)
    views = draw_views(picture, torch.tensor([[80.0, 80.0]]), (161, 161), STRONG, generator)
    placed = views.from_canvas(torch.tensor([[[90.0, 80.0]]]))[0, 0]
    share = views.pictures[0, 0] / views.pictures.sum()
    y, x = torch.meshgrid(torch.arange(161.0), torch.arange(161.0), indexing="ij")
    middle = torch.stack(((share * x).sum(), (share * y).sum()))
    assert torch.allclose(middle, placed, atol=0.3)


def test_an_unchanged_view_is_the_picture_itself():
    picture = torch.rand(2, 1, 97, 129) * 255.0
    middle = torch.tensor([[64.0, 48.0]]).expand(2, 2)
    views = draw_views(picture, middle, (129, 97), NONE, torch.Generator())
    assert torch.allclose(views.pictures, picture, atol=1e-2)


def test_a_point_outside_the_view_is_unknown():
    views = draw_views(torch.zeros(1, 1, 97, 97), torch.tensor([[20.0, 20.0]]), (33, 33), NONE, torch.Generator())
    assert views.from_canvas(torch.tensor([[[80.0, 80.0], [21.0, 19.0]]])).isnan().any(dim=-1).tolist() == [
        [True, False]
    ]


def test_grey_changes_follow_from_their_seed():
    pictures = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (4, 1, 65, 65))).float()
    changes = GreyChanges()
    assert torch.equal(changes(pictures, 5), changes(pictures, 5))
    assert not torch.equal(changes(pictures, 5), changes(pictures, 6))
    assert 0.0 <= changes(pictures, 5).min() <= changes(pictures, 5).max() <= 255.0


def test_many_annotated_pictures_teach_alone_until_the_others_have_been_judged():
    points = shapes(20)
    labels = PseudoLabels.from_matching(points[:8], points[8:], torch.zeros(12, 6), DIAGONAL).of_the_annotated()
    pictures = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(20, 1, 33, 33)
    gallery = Gallery(pictures, points[:8], torch.ones(20), tuple(Path(f"{n}.png") for n in range(20)))
    source = WholePictures(gallery, labels, batch_size=8)
    source.grey = lambda pictures, seed: pictures
    drawn = torch.cat([source.draw(seed).pictures.amax(dim=(1, 2, 3)).round() for seed in range(6)])
    assert set(drawn.tolist()) <= set(range(8))
    source.labels = labels.renewed(points, torch.ones(20, 6), DIAGONAL)
    drawn = torch.cat([source.draw(seed).pictures.amax(dim=(1, 2, 3)).round() for seed in range(6)])
    assert any(number >= 8 for number in drawn.tolist())


def test_points_follow_pictures_that_are_bent_and_those_that_leave_are_unknown() -> None:
    y, x = torch.meshgrid(torch.arange(129.0), torch.arange(129.0), indexing="ij")
    places = torch.tensor([[64.0, 60.0], [20.0, 100.0], [126.0, 4.0]])
    pictures = torch.stack([255.0 * torch.exp(-((x - px) ** 2 + (y - py) ** 2) / 8.0) for px, py in places])
    points = torch.full((3, 2, 2), torch.nan)
    points[:, 0] = places  # the second landmark is nowhere annotated
    gallery = Gallery(
        pictures.to(torch.uint8)[:, None], points, torch.ones(3), tuple(Path(f"{n}.png") for n in range(3))
    )
    labels = PseudoLabels(points, torch.ones(3, 2), 3)
    found = {}
    for bend in (0.0, 0.02):
        source = WholePictures(gallery, labels, 3, bend)
        source.grey = lambda pictures, seed: pictures
        found[bend] = [source.draw(seed) for seed in range(12)]
        seen = 0
        for batch in found[bend]:
            assert batch.picture_xy[:, 1].isnan().all()
            for picture, point in zip(batch.pictures[:, 0], batch.picture_xy[:, 0], strict=True):
                if point.isfinite().all() and point.min() > 4 and point.max() < 124:
                    peak = torch.stack((x, y))[:, picture == picture.max()].mean(dim=1)
                    assert (peak - point).norm() < 1.5
                    seen += 1
        assert seen >= 15
        assert any(batch.picture_xy[:, 0].isnan().any() for batch in found[bend])
    moved = [a.picture_xy[:, 0] - b.picture_xy[:, 0] for a, b in zip(found[0.0], found[0.02], strict=True)]
    assert torch.cat(moved).norm(dim=-1).nan_to_num(0.0).max() > 2.0


def test_a_landmark_that_a_network_lost_in_most_pictures_keeps_its_labels():
    points = shapes(30)
    labels = PseudoLabels.from_matching(points[:1], points[1:], torch.full((29, 6), 4.0), DIAGONAL)
    lost = points.clone()
    lost[:, 4] += torch.tensor([0.0, 300.0])  # in all pictures alike: no shape tells
    lost[7, 2] += 300.0  # in one picture: a slip
    renewed = labels.renewed(lost, torch.full((30, 6), 1.0), DIAGONAL)
    assert torch.equal(renewed.canvas_xy[:, 4], labels.canvas_xy[:, 4])
    assert torch.equal(renewed.weight[:, 4], labels.weight[:, 4])
    assert torch.equal(renewed.canvas_xy[1:, 0], lost[1:, 0])
    assert renewed.weight[7, 2] == 0.0


def test_what_the_answers_have_in_common_off_the_anchors_is_taken_back():
    points = shapes(31)
    noise = torch.randn(points.shape, generator=torch.Generator().manual_seed(2))
    labels = PseudoLabels.from_matching(points[:1], points[1:], torch.full((30, 6), 4.0), DIAGONAL)
    drifted = points + noise
    drifted[:, 1] += torch.tensor([-6.0, 3.0])
    renewed = labels.renewed(drifted, torch.full((31, 6), 1.0), DIAGONAL)
    free = replace(labels, anchor_xy=None).renewed(drifted, torch.full((31, 6), 1.0), DIAGONAL)
    assert (free.canvas_xy - points)[1:, 1].median(dim=0).values.norm() > 5.0
    assert (renewed.canvas_xy - points)[1:, 1].median(dim=0).values.norm() < 0.1
    taken_back = (renewed.canvas_xy - free.canvas_xy)[1:, 0]  # the same in all pictures
    assert torch.allclose(taken_back, taken_back[:1], atol=1e-3)
    assert torch.equal(renewed.canvas_xy[0], points[0])
    again = renewed.renewed(drifted + 4.0, torch.full((31, 6), 1.0), DIAGONAL)  # the anchors stay the first ones
    assert torch.allclose(again.canvas_xy, renewed.canvas_xy, atol=1e-3)


def test_an_answer_far_off_its_anchor_counts_less():
    points = shapes(31, noise=6.0)
    labels = PseudoLabels.from_matching(points[:1], points[1:], torch.full((30, 6), 4.0), DIAGONAL)
    answers = points.clone()
    answers[9, 5] += torch.tensor([12.0, 0.0])
    weight = labels.renewed(answers, torch.full((31, 6), 1.0), DIAGONAL).weight
    assert weight[9, 5] < 0.5 < 0.9 < weight[8, 5]


def test_labels_that_were_nowhere_may_be_found_and_a_gallery_of_annotated_pictures_alone_is_renewed():
    points = shapes(30)
    found = points[1:].clone()
    found[:, 3] = float("nan")
    labels = PseudoLabels.from_matching(points[:1], found, torch.full((29, 6), 4.0), DIAGONAL)
    assert torch.equal(labels.renewed(points, torch.full((30, 6), 1.0), DIAGONAL).canvas_xy[1:, 3], points[1:, 3])
    alone = PseudoLabels.from_matching(points, torch.zeros(0, 6, 2), torch.zeros(0, 6), DIAGONAL)
    assert torch.equal(alone.renewed(points, torch.zeros(30, 6), DIAGONAL).canvas_xy, points)
