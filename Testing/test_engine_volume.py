"""Volumes through the engine's jobs, with the embedded model: swept whole, projected, refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_plane_projection import a_head
from volumes import an_image

from MedLandmarkLib.engine.detect_request import DetectRequest
from MedLandmarkLib.engine.detector_shelf import DetectorShelf
from MedLandmarkLib.engine.image_exchange import image_fields
from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.standard_jobs import standard_jobs
from MedLandmarkLib.engine.volume_jobs import detect_projection_job, detect_volume_job
from MedLandmarkLib.errors import DetectionCancelled, EngineError, ImageError
from MedLandmarkLib.image import Image
from MedLandmarkLib.plane import plane_about
from MedLandmarkLib.scheme import load_scheme


def a_request(image: Image, folder: Path, scheme: str = "fetal-head-4", **choices: object) -> dict[str, Any]:
    """Of a scheme with few landmarks and a small canvas, unless another is given: the time goes with them."""
    np.save(folder / "pixels.npy", image.pixels)
    fields = image_fields(image, folder / "pixels.npy")
    return DetectRequest(fields, scheme, device="cpu", **choices).to_fields()


def a_context(told: list[tuple[float, str]] | None = None, stop_after: int | None = None) -> JobContext:
    told = [] if told is None else told
    return JobContext(
        lambda fraction, text: told.append((fraction, text)), lambda: stop_after is not None and len(told) > stop_after
    )


def sagittal_plane(side_px: int = 40):
    return plane_about((0, 0, 0), (0, 1, 0), (0, 0, -1), 2.0, (side_px, side_px))


def test_a_whole_volume_is_swept_in_the_directions_asked_for(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    fields = a_request(a_head(), tmp_path, directions=("axial",))
    document = detect_volume_job(DetectorShelf(), fields, a_context(told))
    settings = document["settings"]["volume"]
    assert settings["directions"] == ["axial"]
    for covariance in settings["covariance_ras_mm2"].values():
        assert np.linalg.eigvalsh(np.array(covariance)).min() > 0
    assert {landmark["status"] for landmark in document["frames"][0]["landmarks"]} <= {"doubtful", "missing"}
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any(text.startswith("plane ") for _, text in told)


@pytest.mark.parametrize("kind", ["maximum", "mean", "radiograph"])
def test_points_of_a_projection_come_back_into_the_volume(kind: str, tmp_path: Path) -> None:
    asked = {"kind": kind, "plane": sagittal_plane().to_fields(), "depth_mm": None}
    document = detect_projection_job(DetectorShelf(), a_request(a_head(), tmp_path, projection=asked), a_context())
    settings = document["settings"]["projection"]
    assert settings["kind"] == kind
    assert settings["depth_mm"] == pytest.approx(104.0)  # all of 52 voxels of 2 mm
    for ray in settings["rays"].values():
        np.testing.assert_allclose(np.abs(ray["direction_ras"]), (1, 0, 0), atol=1e-9)
        assert ray["depth_sd_mm"] > 0


def test_a_cephalogram_finds_its_own_plane(tmp_path: Path) -> None:
    fields = a_request(a_head(yaw=0.1), tmp_path, "head-19", projection={"kind": "cephalogram"})
    document = detect_projection_job(DetectorShelf(), fields, a_context())
    hows = {ray["how"] for ray in document["settings"]["projection"]["rays"].values()}
    assert "on the mid-sagittal plane" in hows
    assert {landmark["status"] for landmark in document["frames"][0]["landmarks"]} <= {"doubtful", "missing"}


def test_a_volume_search_is_stopped_between_its_planes(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    with pytest.raises(DetectionCancelled):
        detect_volume_job(
            DetectorShelf(), a_request(a_head(), tmp_path, directions=("axial",)), a_context(told, stop_after=5)
        )
    assert len(told) <= 7
    assert told[-1][1].startswith("plane ")


def refused(fields: Mapping[str, Any]) -> str:
    job = detect_projection_job if fields["projection"] else detect_volume_job
    with pytest.raises(ImageError) as caught:
        job(DetectorShelf(), fields, a_context())
    return str(caught.value)


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    head, plane = a_head(), sagittal_plane()
    labels = an_image((np.arange(24 * 26 * 28) % 4).reshape(24, 26, 28).astype(np.uint8), np.eye(4))
    assert "label map" in refused(a_request(labels, tmp_path, directions=("axial",)))
    flat = an_image(head.pixels[0, :1, ..., 0], head.ijk_to_ras)
    assert "too few slices" in refused(a_request(flat, tmp_path, projection={"kind": "cephalogram"}))
    values = np.random.default_rng(0).integers(0, 2000, head.pixels.shape[1:4]).astype(np.int16)
    not_hounsfield = an_image(values, head.ijk_to_ras)
    asked = {"kind": "radiograph", "plane": plane.to_fields(), "depth_mm": None}
    assert "Hounsfield" in refused(a_request(not_hounsfield, tmp_path, projection=asked))
    away = plane_about((900, 0, 0), (0, 1, 0), (0, 0, -1), 1.0, (50, 50))
    asked = {"kind": "mean", "plane": away.to_fields(), "depth_mm": 20.0}
    assert "outside the volume" in refused(a_request(head, tmp_path, projection=asked))
    bent = plane.to_fields() | {"plane_to_ras": [*np.eye(4)[:3].tolist(), [0.0, 0.001, 0.0, 1.0]]}  # a perspective
    asked = {"kind": "mean", "plane": bent, "depth_mm": None}
    assert "affine" in refused(a_request(head, tmp_path, projection=asked))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"directions": ()}, "directions"),
        ({"directions": "axial"}, "directions"),
        ({"projection": {"kind": "mean"}}, "projection"),
        ({"projection": "cephalogram"}, "projection"),
        ({"directions": ("axial",), "slice_index": 3}, "one of"),
    ],
)
def test_a_request_that_makes_no_sense_is_named(choices: Mapping[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        DetectRequest("volume.nrrd", "head-19", **choices)


def test_the_kind_of_a_request_is_a_job_that_the_worker_knows() -> None:
    kinds = {
        DetectRequest("a.nrrd", "head-19", **choices).kind
        for choices in ({}, {"directions": ["axial"]}, {"projection": {"kind": "cephalogram"}})
    }
    assert kinds == {"detect", "detect_volume", "detect_projection"}
    assert kinds <= set(standard_jobs().kinds)
    again = DetectRequest.from_fields(DetectRequest("a.nrrd", "head-19", directions=["axial"]).to_fields())
    assert again.directions == ("axial",)
    assert load_scheme(again.scheme).id == "head-19"
