"""A closer look: where a picture shows more than the overview, the landmarks' surroundings are compared there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from teaching_pictures import CORNERS, SIDE, drawn_picture, posed_picture
from test_oneshot_matching import a_trunk  # noqa: F401

from MedLandmarkLib.detection import detect
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.matching import MatchingNetwork
from MedLandmarkLib.models.matching.correlation import correlate, correlate_each
from MedLandmarkLib.models.matching.features import compared_features, compared_windows
from MedLandmarkLib.oneshot.gallery import canvas_geometry, closer_canvas
from MedLandmarkLib.oneshot.instant import _on_canvas, _px_ratio
from MedLandmarkLib.oneshot.request import TeachRequest, TeachSettings, Template
from MedLandmarkLib.oneshot.teaching import teach
from MedLandmarkLib.oneshot.views import normalised
from MedLandmarkLib.scheme import own_scheme, write_scheme
from MedLandmarkLib.training.backbones import MEAN, STD

LARGE = 321  # 32 n + 1


def enlarged(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners on corners."""
    factor = (LARGE - 1) / (SIDE - 1)
    large = torch.nn.functional.interpolate(
        torch.from_numpy(picture)[None, None].float(), (LARGE, LARGE), mode="bicubic", align_corners=True
    )[0, 0]
    return large.round().clamp(0, 255).byte().numpy(), points * factor


def matcher(trunk, overview: int | None) -> MatchingNetwork:
    network = MatchingNetwork(len(CORNERS), (LARGE, LARGE), overview_wh=overview and (overview, overview))
    network.trunk = trunk
    picture, points = enlarged(*drawn_picture(0))
    network.pictures[0], network.points_xy[0] = torch.from_numpy(picture), torch.from_numpy(points).float()
    network.mean[:], network.std[:] = torch.tensor(MEAN), torch.tensor(STD)
    return network.eval()


def canvas_of(picture: np.ndarray) -> torch.Tensor:
    return normalised(torch.from_numpy(picture)[None, None].float())[0]


def test_the_template_finds_its_own_landmarks_on_the_canvas(a_trunk) -> None:
    picture, points = enlarged(*drawn_picture(0))
    match = matcher(a_trunk, SIDE).match(canvas_of(picture))
    assert np.abs(match.canvas_xy.numpy() - points).max() < 1.0
    assert match.return_px.max() < 1.0


def test_it_comes_nearer_than_the_overview_alone(a_trunk) -> None:
    close, overview_only = matcher(a_trunk, SIDE), matcher(a_trunk, SIDE)
    overview_only.canvas_wh = overview_only.overview_wh  # nothing more to look at
    factor = (LARGE - 1) / (SIDE - 1)
    overview_only.pictures = torch.from_numpy(drawn_picture(0)[0])[None, None].expand(1, 3, -1, -1)
    overview_only.points_xy = overview_only.points_xy / factor
    errors = {True: [], False: []}
    for seed in range(6):
        small, points = posed_picture(seed)
        large, large_points = enlarged(small, points)
        found = close.match(canvas_of(large)).canvas_xy.numpy()
        errors[True].append(np.linalg.norm(found - large_points, axis=1).mean() / factor)
        found = overview_only.match(canvas_of(small)).canvas_xy.numpy()
        errors[False].append(np.linalg.norm(found - points, axis=1).mean())
    assert np.mean(errors[True]) < np.mean(errors[False])
    assert np.mean(errors[True]) < 2.0


def test_windows_are_compared_as_whole_pictures_are() -> None:
    torch.manual_seed(0)
    one, other = ({2: torch.randn(1, 12, 17, 17), 3: torch.randn(1, 20, 9, 9)} for _ in range(2))
    alone = ({stage: maps[0] for stage, maps in part.items()} for part in (one, other))
    whole = compared_features(*alone, (2, 3), (17, 17))
    windows = compared_windows(one, other, (2, 3), 17)
    for single, many in zip(whole, windows, strict=True):
        assert torch.allclose(single, many[0], atol=1e-5)
    points = torch.tensor([[20.0, 24.0]])
    each = correlate_each(windows[0], points, windows[1], 4)
    assert torch.allclose(correlate(whole[0], points, whole[1], 4), each, atol=1e-5)


def test_the_closer_canvas_shows_half_as_much_again_if_the_picture_has_it() -> None:
    assert closer_canvas((967, 1200), (641, 801)) == (961, 1217)
    assert closer_canvas((1935, 2400), (641, 801)) == (961, 1217)
    assert closer_canvas((700, 850), (641, 801)) == (641, 801)
    assert closer_canvas((225, 225), (225, 225)) == (225, 225)


def test_points_keep_their_place_in_the_picture_from_one_canvas_to_another(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((300, 240), np.uint8)).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    one, other = canvas_geometry(image, (193, 225)), canvas_geometry(image, (289, 353))
    picture_xy = np.array([[3.0, 290.0], [200.5, 17.25], [math.nan, math.nan]])
    moved = _on_canvas(torch.from_numpy(one.canvas_from_picture(picture_xy)).float(), one, other)
    assert np.allclose(moved.numpy(), other.canvas_from_picture(picture_xy), atol=1e-3, equal_nan=True)
    ends = np.array([[10.0, 10.0], [200.0, 200.0]])
    lengths = [np.linalg.norm(np.diff(geometry.canvas_from_picture(ends), axis=0)) for geometry in (one, other)]
    assert _px_ratio(one, other) == pytest.approx(lengths[1] / lengths[0], rel=0.02)


def test_a_model_taught_from_large_pictures_looks_at_them_closely(tmp_path: Path) -> None:
    paths, truths = [], []
    for number in range(2):
        picture, points = enlarged(*posed_picture(number))
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(picture).save(paths[-1])
        truths.append(points)
    _, content = own_scheme(("one", "two", "three", "four"), "corners")
    scheme = write_scheme(content, tmp_path / "scheme.json")
    settings = TeachSettings(method="instant", canvas_wh=(SIDE, SIDE))
    request = TeachRequest(scheme, (Template(paths[0], truths[0]),), tuple(paths), "close", settings)
    result = teach(request, tmp_path / "run", device="cpu")
    card = json.loads((result.model / "card.json").read_text(encoding="utf-8"))
    assert card["input"]["size_wh"] == [LARGE, LARGE] and card["architecture"]["overview_wh"] == [SIDE, SIDE]
    found = detect(paths[1], "corners", str(result.model)).frames[0].landmarks
    away = [np.linalg.norm(np.array(item.ijk[:2]) - point) for item, point in zip(found, truths[1], strict=True)]
    assert max(away) < 6.0
