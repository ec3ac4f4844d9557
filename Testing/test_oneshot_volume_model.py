"""Models taught from one annotated volume: what can be a template, what the folder holds, and who can use it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from soft_bodies import NAMES, POINTS, a_model, a_move, a_scheme, a_soft_body, placed
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.detection.atlas import AtlasDetector
from MedLandmarkLib.detection.opening import is_for_volumes
from MedLandmarkLib.errors import DatasetError, ImageError, ModelError
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.catalogue import read_card
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.oneshot.volume import most_central, teach_from_volume, teach_volume
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import Scheme

__all__ = ["a_model", "a_scheme"]


def test_a_landmark_that_the_template_lacks_is_missing_and_the_others_are_found(a_scheme, tmp_path: Path) -> None:
    points = POINTS.copy()
    points[2] = np.nan
    model = teach_volume(a_soft_body(np.eye(4)), points, a_scheme, tmp_path / "few", "few")
    detection = AtlasDetector(a_scheme, f"{model}/").detect(a_soft_body(a_move(shift=(2, 1, 0)), seed=4))
    lacking = detection.frames[0].landmarks[NAMES[2]]
    assert lacking.status is Status.MISSING and "not annotated" in lacking.reason and lacking.ras is None
    error = np.linalg.norm(np.delete(placed(detection) - (POINTS + (2, 1, 0)), 2, axis=0), axis=1)
    assert error.max() < 1.0


def test_a_volume_that_cannot_be_a_template_is_refused(a_scheme: Scheme, tmp_path: Path) -> None:
    image = a_soft_body(np.eye(4))
    with pytest.raises(ModelError, match="None of the landmarks"):
        teach_volume(image, np.full_like(POINTS, np.nan), a_scheme, tmp_path / "a", "a")
    with pytest.raises(ModelError, match="outside the template"):
        teach_volume(image, POINTS + 100.0, a_scheme, tmp_path / "b", "b")
    with pytest.raises(DatasetError, match="shape"):
        teach_volume(image, POINTS[:3], a_scheme, tmp_path / "c", "c")
    with pytest.raises(ImageError, match="too few slices"):
        teach_volume(replace(image, pixels=image.pixels[:, :1].copy()), POINTS, a_scheme, tmp_path / "d", "d")
    sheared = image.ijk_to_ras.copy()
    sheared[1, 2] += 0.2
    with pytest.raises(DatasetError, match="sheared"):
        teach_volume(replace(image, ijk_to_ras=sheared), POINTS, a_scheme, tmp_path / "e", "e")
    assert not any(tmp_path.iterdir())


def test_a_model_folder_describes_itself(a_model: Path, a_scheme: Scheme) -> None:
    schema = json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))
    card = json.loads((a_model / "card.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]}).validate(card)
    assert {path.name for path in a_model.iterdir()} == {
        "card.json", "points.mrk.json", "template.nii.gz", "scheme.json",
    }  # fmt: skip
    loaded = load_model(f"{a_model}/")
    np.testing.assert_allclose(loaded.atlas.points(a_scheme.names), POINTS, atol=1e-5)
    np.testing.assert_allclose(loaded.atlas.image.ijk_to_ras, a_soft_body(np.eye(4)).ijk_to_ras, atol=1e-5)
    assert read_card(a_model / "card.json").family == "atlas" and is_for_volumes(f"{a_model}/")


def test_a_template_that_was_exchanged_is_noticed(a_model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in a_model.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "template.nii.gz").write_bytes((a_model / "template.nii.gz").read_bytes() + b"\0")
    with pytest.raises(ModelError, match="not the volume that the points"):
        load_model(f"{other}/")
    (other / "points.mrk.json").write_text("{}")
    with pytest.raises(ModelError, match="does not hold the points"):
        load_model(f"{other}/")


def test_a_model_is_taught_from_files_and_used_from_the_command_line(a_scheme, a_model: Path, tmp_path: Path) -> None:
    taught = teach_from_volume(
        a_model / "template.nii.gz", a_model / "points.mrk.json", a_scheme, tmp_path / "m", "mine"
    )
    again = load_model(f"{taught}/").atlas.points(a_scheme.names)
    np.testing.assert_allclose(again, POINTS, atol=1e-5)
    volume = str(a_model / "template.nii.gz")
    for command, folder in (("detect", "one"), ("volume", "two")):
        arguments = [command, volume, "--scheme", "balls", "--model", f"{taught}/", "--output", str(tmp_path / folder)]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        document = json.loads((tmp_path / folder / "template.landmarks.json").read_text())
        found = np.array([landmark["ras"] for landmark in document["frames"][0]["landmarks"]], float)
        assert np.linalg.norm(found - POINTS, axis=1).max() < 0.5


def test_the_most_central_volume_is_the_undeformed_one() -> None:
    images = [a_soft_body(np.eye(4), 2.5, seed=1), a_soft_body(np.eye(4), 0.0, seed=2), a_soft_body(np.eye(4), -2.5)]
    number, means = most_central(images)
    assert number == 1 and means.shape == (3,)
