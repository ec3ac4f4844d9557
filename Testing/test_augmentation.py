"""Augmentation: the landmarks follow the picture exactly."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from MedLandmarkLib.training.augmentation import AUGMENTATIONS, Augmentation, AugmentationRecipe, mirrored
from MedLandmarkLib.training.bending import bent

WIDTH, HEIGHT = 97, 121
GEOMETRY_ONLY = AugmentationRecipe(
    name="geometry", rotation=40.0, shift=0.1, scale=(0.7, 1.3), geometric_probability=1.0, mirror_probability=0.0,
    brightness=0.0, contrast=0.0, gamma=(1.0, 1.0), noise=0.0, blur_probability=0.0, dropout_probability=0.0,
    dropout_area=(0.02, 0.04),
)  # fmt: skip


def a_blob_at(x: float, y: float) -> torch.Tensor:
    """(1, 1, H, W) picture of a bright spot."""
    rows, columns = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))[None, None]


def centroid(picture: torch.Tensor) -> tuple[float, float]:
    weight = picture[0, 0].clamp_min(0.05) - 0.05
    rows, columns = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    return float((weight * columns).sum() / weight.sum()), float((weight * rows).sum() / weight.sum())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(30.0, 66.0), st.floats(40.0, 80.0))
def test_a_landmark_follows_its_spot_through_rotation_shift_and_scale(seed: int, x: float, y: float) -> None:
    torch.manual_seed(seed)
    picture, canvas_xy = Augmentation(GEOMETRY_ONLY)(a_blob_at(x, y), torch.tensor([[[x, y]]]))
    if canvas_xy.isnan().any() or not (12 < canvas_xy[0, 0, 0] < WIDTH - 13 and 12 < canvas_xy[0, 0, 1] < HEIGHT - 13):
        return  # the spot is cut off, so that its centroid says nothing
    assert centroid(picture) == pytest.approx(canvas_xy[0, 0].tolist(), abs=0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(30.0, 66.0), st.floats(40.0, 80.0))
def test_a_landmark_follows_its_spot_through_bending(seed: int, x: float, y: float) -> None:
    torch.manual_seed(seed)
    canvas_xy = torch.tensor([[[x, y], [float("nan"), float("nan")]]])
    picture, placed = bent(a_blob_at(x, y), canvas_xy, bend=0.005)
    assert placed[0, 1].isnan().all()
    assert centroid(picture) == pytest.approx(placed[0, 0].tolist(), abs=0.4)  # the spot itself is bent a little
    assert (placed[0, 0] - canvas_xy[0, 0]).norm() > 0.0


def test_a_landmark_that_leaves_the_canvas_is_absent() -> None:
    torch.manual_seed(0)
    augmentation = Augmentation(GEOMETRY_ONLY)
    corners = torch.tensor([[[0.0, 0.0], [WIDTH - 1.0, HEIGHT - 1.0], [WIDTH / 2, HEIGHT / 2]]]).repeat(16, 1, 1)
    _, canvas_xy = augmentation(torch.zeros(16, 1, HEIGHT, WIDTH), corners)
    present = canvas_xy[~canvas_xy.isnan().any(-1)]
    assert canvas_xy[:, :2].isnan().any()
    assert (present >= 0).all() and (present[:, 0] <= WIDTH - 1).all() and (present[:, 1] <= HEIGHT - 1).all()


def test_an_absent_landmark_stays_absent() -> None:
    torch.manual_seed(0)
    canvas_xy = torch.tensor([[[float("nan"), float("nan")], [50.0, 60.0]]])
    _, changed = Augmentation(AUGMENTATIONS["mild"])(torch.rand(1, 1, HEIGHT, WIDTH), canvas_xy)
    assert changed[0, 0].isnan().all()


def test_mirroring_swaps_left_and_right_landmarks() -> None:
    canvas_xy = torch.tensor([[[10.0, 20.0], [80.0, 30.0]]])
    picture, changed = mirrored(a_blob_at(10.0, 20.0), canvas_xy, (1, 0))
    assert changed[0].tolist() == [[WIDTH - 1 - 80.0, 30.0], [WIDTH - 1 - 10.0, 20.0]]
    assert centroid(picture) == pytest.approx((WIDTH - 1 - 10.0, 20.0), abs=0.05)


@pytest.mark.parametrize("name", ["mild", "bent", "reference"])
def test_the_grey_levels_stay_in_range(name: str) -> None:
    torch.manual_seed(3)
    pictures, _ = Augmentation(AUGMENTATIONS[name], (0,))(torch.rand(4, 1, 65, 97), torch.full((4, 1, 2), 30.0))
    assert pictures.shape == (4, 1, 65, 97)
    assert pictures.min() >= 0.0 and pictures.max() <= 1.0
