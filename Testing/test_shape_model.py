"""The shape model: it knows the training shapes in any pose, and names the point that does not belong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import OUTLINE_XY, similar, some_shapes

from MedLandmarkLib.detection.gaussian import LowRankGaussian
from MedLandmarkLib.detection.shape_model import FARTHEST, ShapeModel


@pytest.fixture(scope="module")
def a_model() -> ShapeModel:
    return ShapeModel.fit(some_shapes())


def test_a_new_shape_of_the_same_kind_is_about_one_spread_away(a_model: ShapeModel) -> None:
    distances = [a_model.compare(shape).distance for shape in some_shapes(seed=1)]
    assert 0.4 < np.median(distances) < 1.1
    assert max(distances) < 2.0


@settings(max_examples=30, deadline=None)
@given(st.floats(-180, 180), st.floats(0.1, 10.0), st.floats(-500, 500), st.floats(-500, 500))
def test_place_size_and_turn_do_not_change_the_residuals(turn: float, factor: float, dx: float, dy: float) -> None:
    model, shape = ShapeModel.fit(some_shapes(20)), some_shapes(1, seed=2)[0]
    plain, moved = model.compare(shape), model.compare(similar(shape, turn, factor, (dx, dy)))
    assert np.allclose(moved.residual, plain.residual, atol=1e-6)
    assert moved.size == pytest.approx(factor * plain.size, rel=1e-6)
    assert abs((moved.turn_deg - plain.turn_deg - turn + 180) % 360 - 180) < 1e-6


@pytest.mark.parametrize("wrong", [(0,), (3, 8), (1, 5, 10)])
def test_points_out_of_place_are_told_from_those_in_place(a_model: ShapeModel, wrong: tuple[int, ...]) -> None:
    shape = some_shapes(1, seed=3)[0]
    shape[list(wrong)] += np.array([(25.0, -18.0), (-20.0, 22.0), (5.0, 30.0)])[: len(wrong)]
    fit = a_model.compare(shape)
    residual = fit.residual
    right = [k for k in range(len(shape)) if k not in wrong]
    assert residual[list(wrong)].min() > 8.0
    assert residual[right].max() < 4.0
    assert fit.distance < 2.5


def test_a_mirrored_shape_is_another_shape(a_model: ShapeModel) -> None:
    assert a_model.compare(OUTLINE_XY * (-1.0, 1.0)).distance > 5.0


def test_points_all_in_one_place_are_far_and_have_no_size(a_model: ShapeModel) -> None:
    fit = a_model.compare(np.full((12, 2), -1.0))
    assert np.isfinite(fit.residual).all() and fit.residual.max() <= FARTHEST
    assert fit.size < 1e-6


def test_a_model_is_the_same_after_its_arrays(a_model: ShapeModel) -> None:
    shape = some_shapes(1, seed=4)[0]
    read = ShapeModel.from_arrays(a_model.to_arrays())
    assert np.allclose(read.compare(shape).residual, a_model.compare(shape).residual, rtol=1e-3)


def test_the_mahalanobis_distance_is_that_of_the_full_covariance() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(4000, 3)) * (5.0, 1.0, 1.0)
    gaussian = LowRankGaussian.fit(values, rank=1)
    exact = np.linalg.inv(np.cov(values.T))
    point = np.array([4.0, 2.0, -1.0])
    away = point - values.mean(axis=0)
    assert gaussian.distance(point) == pytest.approx(np.sqrt(away @ exact @ away / 3), rel=0.05)


def test_samples_of_the_gaussian_are_about_one_away() -> None:
    values = np.random.default_rng(1).normal(size=(300, 40)) @ np.random.default_rng(2).normal(size=(40, 40))
    gaussian = LowRankGaussian.fit(values[:200], rank=40)
    assert 0.8 < np.median(gaussian.distance(values[200:])) < 1.5


def test_a_direction_without_variance_makes_no_infinity() -> None:
    values = np.zeros((10, 4))
    assert np.isfinite(LowRankGaussian.fit(values, rank=3).distance(np.ones(4)))
