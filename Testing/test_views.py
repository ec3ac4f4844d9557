"""Further looks at a picture, averaged with the first: geometry, borders, progress, the card."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator
from networks import AN_INPUT, BrightSpotNetwork, pictures_with_spots

from MedLandmarkLib.detection.canvas import CanvasGeometry
from MedLandmarkLib.detection.detector import Detector
from MedLandmarkLib.detection.heatmap import decode_heatmaps, encode_heatmaps
from MedLandmarkLib.detection.views import averaged_views, view_geometry
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.catalogue import View, card_from_json, catalogue_card
from MedLandmarkLib.resources import resource_path

VIEWS = (View(0.9), View(0.95, (0.01, 0.01)), View(1.05, (-0.01, 0.01)))
A_GEOMETRY = CanvasGeometry((500, 400), (257, 193), (65, 49), 1.05)


def looks_at(picture_xy: np.ndarray, geometries: list[CanvasGeometry]) -> list[torch.Tensor]:
    """What a faultless network answers to each look at points (K, 2)."""
    return [
        encode_heatmaps(torch.from_numpy(geometry.heatmap_from_picture(picture_xy)).float()[None], (65, 49), 2.0)
        for geometry in geometries
    ]


def test_a_view_shows_its_share_of_the_picture_around_the_moved_centre() -> None:
    own = view_geometry(A_GEOMETRY, View(0.5, (0.1, -0.2)))
    middle = np.array([0.6 * 499.0, 0.3 * 399.0])
    np.testing.assert_allclose(own.heatmap_from_picture(middle), [32.0, 24.0], atol=1e-4)
    assert own.picture_px_per_heatmap_px == pytest.approx(0.5 * A_GEOMETRY.picture_px_per_heatmap_px)


def test_all_looks_at_a_point_meet_in_one_place() -> None:
    points = np.random.default_rng(0).uniform((100, 80), (400, 320), size=(20, 2))
    geometries = [A_GEOMETRY, *(view_geometry(A_GEOMETRY, view) for view in VIEWS)]
    together = averaged_views(looks_at(points, geometries), [[geometry] for geometry in geometries])
    found = A_GEOMETRY.picture_from_heatmap(decode_heatmaps(together).heatmap_xy[0].double().numpy())
    np.testing.assert_allclose(found, points, atol=0.03 * A_GEOMETRY.picture_px_per_heatmap_px)


def test_a_point_that_a_nearer_look_does_not_show_keeps_its_height() -> None:
    corner = np.array([[8.0, 8.0]])
    geometries = [A_GEOMETRY, view_geometry(A_GEOMETRY, View(0.6))]
    alone, _ = looks = looks_at(corner, geometries)
    together = averaged_views(looks, [[geometry] for geometry in geometries])
    assert float(together.max()) == pytest.approx(float(alone.max()), abs=1e-5)


def test_an_error_of_one_look_is_halved() -> None:
    point, off = np.array([[250.0, 200.0]]), np.array([[256.0, 200.0]])
    geometries = [A_GEOMETRY, view_geometry(A_GEOMETRY, View(0.9))]
    looks = [looks_at(place, [own])[0] for place, own in zip((point, off), geometries, strict=True)]
    together = averaged_views(looks, [[geometry] for geometry in geometries])
    found = A_GEOMETRY.picture_from_heatmap(decode_heatmaps(together).heatmap_xy[0].double().numpy())
    np.testing.assert_allclose(found, [[253.0, 200.0]], atol=0.5)


@pytest.mark.parametrize("flip", [True, False])
def test_spots_in_pictures_of_many_sizes_are_found_in_several_views(flip: bool) -> None:
    pictures = pictures_with_spots()
    detector = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu", flip=flip, views=VIEWS)
    peaks = detector.detect(pictures, batch_size=2)
    np.testing.assert_allclose(peaks[0].picture_xy, [[100, 120], [200.5, 310.25], [50, 350]], atol=1.5)
    np.testing.assert_allclose(peaks[1].picture_xy, [[250, 125], [100, 60], [420, 200]], atol=1.5)
    assert all((found.flip_disagreement_px is not None) == flip for found in peaks)


def test_progress_counts_every_look() -> None:
    told: list[float] = []
    detector = Detector(BrightSpotNetwork(), AN_INPUT, device="cpu", flip=True, views=VIEWS)
    detector.detect(pictures_with_spots()[:1], progress=lambda fraction, text: told.append(fraction))
    assert told == sorted(told)
    assert len(set(told)) >= 2 * (1 + len(VIEWS))
    assert told[-1] == 1.0


def test_a_card_tells_the_views_of_each_scheme(schema: Draft202012Validator) -> None:
    data = json.loads(json.dumps(catalogue_card("lite").to_json()))
    data["schemes"]["head-19"]["views"] = [{"scale": 0.9}, {"scale": 1.05, "shift": [-0.01, 0.01]}]
    schema.validate(data)
    card = card_from_json(data, "a card")
    assert card.channels("head-19").views == (View(0.9), View(1.05, (-0.01, 0.01)))
    assert card_from_json(card.to_json(), "the card again") == card


def test_a_view_with_an_unknown_field_is_refused() -> None:
    data = catalogue_card("lite").to_json()
    data["schemes"]["head-19"]["views"] = [{"zoom": 2.0}]
    with pytest.raises(ModelError, match="zoom"):
        card_from_json(data, "a card")


@pytest.fixture
def schema() -> Draft202012Validator:
    whole = json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator({**whole["$defs"]["card"], "$defs": whole["$defs"]})
