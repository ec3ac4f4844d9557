"""A whole teaching on small pictures: what it leaves, what it never reads, and how it is stopped and goes on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Picture
from teaching_pictures import CORNERS, SIDE, drawn_picture, other_picture, posed_picture, write_pictures

from MedLandmarkLib.detection.pipeline import LandmarkDetector
from MedLandmarkLib.errors import DatasetError, DetectionCancelled
from MedLandmarkLib.image import read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.oneshot import joint
from MedLandmarkLib.oneshot.choice import propose_template
from MedLandmarkLib.oneshot.request import METHODS, TeachRequest, TeachSettings, Template
from MedLandmarkLib.oneshot.teaching import teach
from MedLandmarkLib.scheme import load_scheme

SMALLEST = TeachSettings(effort=0.01, canvas_wh=(161, 161))


@pytest.fixture(scope="module")
def a_folder_of_pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, 4)
    return folder


@pytest.fixture(scope="module")
def a_request(a_folder_of_pictures):
    """Two of the scheme's four landmarks are annotated."""
    points = posed_picture(0)[1]
    points[2:] = np.nan
    return request_for(a_folder_of_pictures, points=points)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """A run's folder that several tests go on with, each a method further."""
    return tmp_path_factory.mktemp("run")


def request_for(folder: Path, settings: TeachSettings = SMALLEST, points: np.ndarray | None = None) -> TeachRequest:
    paths = sorted(folder.glob("*.png"))
    template = Template(paths[0], posed_picture(0)[1] if points is None else points)
    return TeachRequest(load_scheme("a4c-4"), (template,), tuple(paths), "corners", settings)


def landmarks_found(result, request: TeachRequest, number: int) -> list:
    detector = LandmarkDetector(request.scheme, load_model(f"{result.model}/"), device="cpu")
    return list(detector.detect(read_image(request.image_paths[number])).frames[0].landmarks)


def weights_of(result) -> dict[str, torch.Tensor]:
    return load_model(f"{result.model}/").network.state_dict()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_leaves_a_model_that_detects_and_tells_what_it_does(a_request, a_run, method):
    request = replace(a_request, settings=replace(SMALLEST, method=method))
    told = []
    result = teach(request, a_run, device="cpu", progress=told.append)
    landmarks = landmarks_found(result, request, 2)
    assert [landmark.status is Status.MISSING for landmark in landmarks][2:] == [True, True]
    card = json.loads((result.model / "card.json").read_text(encoding="utf-8"))
    assert card["id"] == "corners"
    assert method in card["description"]
    assert result.is_complete
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    assert {one.phase for one in told} <= {"reading", *METHODS[: METHODS.index(method) + 1]}
    assert result.unit == "px"
    assert result.estimate > 0.0


def test_a_teaching_that_is_stopped_in_every_phase_keeps_its_best_model_and_goes_on(a_request, tmp_path):
    for phase, best in zip(METHODS, ("matching", "matching", "lite", "specialists"), strict=True):
        at = []
        result = teach(
            a_request, tmp_path, device="cpu", progress=lambda told: at.append(told.phase),  # noqa: B023
            should_stop=lambda: bool(at) and at[-1] == phase,  # noqa: B023
        )  # fmt: skip
        assert not result.is_complete
        assert load_model(f"{result.model}/").card.family == best
    whole = teach(a_request, tmp_path, device="cpu")
    assert whole.is_complete
    assert load_model(f"{whole.model}/").card.family == "fusion"


def test_a_finished_joint_network_is_taken_as_it_is(a_folder_of_pictures, tmp_path, monkeypatch):
    request = request_for(a_folder_of_pictures, replace(SMALLEST, method="joint"))
    first = teach(request, tmp_path, device="cpu")
    weights, labels = weights_of(first), (tmp_path / "labels-joint.safetensors").read_bytes()
    monkeypatch.setattr(joint, "taught_points", None)  # no labels are renewed
    again = teach(request, tmp_path, device="cpu")
    assert again.is_complete and again.estimate == first.estimate is not None
    assert (tmp_path / "labels-joint.safetensors").read_bytes() == labels
    for name, tensor in weights_of(again).items():
        assert torch.equal(tensor, weights[name])


def test_instant_matching_finds_the_corners_of_the_other_pictures(tmp_path, a_folder_of_pictures):
    request = request_for(a_folder_of_pictures, TeachSettings(method="instant"))
    result = teach(request, tmp_path, device="cpu")
    for number in (1, 2, 3):
        found = np.array([landmark.ijk[:2] for landmark in landmarks_found(result, request, number)])
        assert np.linalg.norm(found - posed_picture(number)[1], axis=1).max() < 6.0


def test_nothing_is_read_but_the_pictures_and_the_template(a_folder_of_pictures, tmp_path, monkeypatch):
    """The other pictures' labels lie beside them; every file that is opened while teaching is written down."""
    (a_folder_of_pictures / "landmarks.csv").write_text("case,landmark,x,y\n", encoding="utf-8")
    request = request_for(a_folder_of_pictures, replace(SMALLEST, method="joint"))
    import sys

    opened = []
    is_on = [True]
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if is_on[0] and event == "open" else None)
    teach(request, tmp_path, device="cpu")
    is_on[0] = False
    of_the_folder = {Path(name).name for name in opened if str(a_folder_of_pictures) in name}
    assert of_the_folder == {path.name for path in request.image_paths}
    assert "landmarks.csv" not in of_the_folder


def test_labels_of_other_cases_of_a_dataset_change_nothing(tmp_path, a_folder_of_pictures):
    from MedLandmarkLib.oneshot.examples import choose_cases, templates_from_dataset

    models = []
    for name, noise in (("true", 0.0), ("wrong", 70.0)):
        dataset = dataset_of(tmp_path / name, noise)
        scheme = load_scheme("a4c-4")
        templates = templates_from_dataset(dataset, choose_cases(dataset, ["picture-00"], None, 0), scheme)
        paths = tuple(sorted((dataset / "images").glob("*.png")))
        settings = replace(SMALLEST, method="joint")
        request = TeachRequest(scheme, tuple(templates), paths, "corners", settings)
        models.append(weights_of(teach(request, tmp_path / f"run-{name}", device="cpu")))
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def dataset_of(folder: Path, noise: float) -> Path:
    """A dataset of three pictures; all labels but those of the first are off by `noise` px."""
    paths = write_pictures(folder / "images", 3)
    names = load_scheme("a4c-4").names
    generator = np.random.default_rng(0)
    rows, cases = (
        ["case,rater,landmark,x,y,x_mm,y_mm"],
        ["case,file,width,height,spacing_x_mm,spacing_y_mm,subject,split"],
    )
    for number, path in enumerate(paths):
        cases.append(f"{path.stem},images/{path.name},{SIDE},{SIDE},,,{number},train")
        points = posed_picture(number)[1] + (generator.uniform(-noise, noise, CORNERS.shape) if number else 0.0)
        rows += [f"{path.stem},one,{name},{x:.3f},{y:.3f},," for name, (x, y) in zip(names, points, strict=True)]
    (folder / "landmarks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "cases.csv").write_text("\n".join(cases) + "\n", encoding="utf-8")
    description = {"name": "corners", "landmarks": [{"name": name} for name in names]}
    (folder / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


def test_broken_and_unlike_pictures_are_set_aside_by_name(tmp_path):
    folder = tmp_path / "pictures"
    write_pictures(folder, 6)
    (folder / "broken.png").write_bytes((folder / "picture-01.png").read_bytes()[:900])
    Picture.fromarray(other_picture(4)).save(folder / "stripes.png")
    request = request_for(folder, TeachSettings(method="instant", canvas_wh=(225, 225)))
    paths = tuple(sorted(folder.glob("*.png")))
    request = replace(request, image_paths=paths, templates=(Template(folder / "picture-00.png", posed_picture(0)[1]),))
    result = teach(request, tmp_path / "run", device="cpu")
    reasons = {one.path.name: one.reason for one in result.set_aside}
    assert set(reasons) == {"broken.png", "stripes.png"}
    assert "unlike" in reasons["stripes.png"]


def test_a_stop_while_reading_leaves_nothing_and_says_so(a_request, tmp_path):
    with pytest.raises(DetectionCancelled):
        teach(a_request, tmp_path, device="cpu", should_stop=lambda: True)
    assert not (tmp_path / "model").exists()


def test_a_landmark_outside_its_template_is_named(a_folder_of_pictures, tmp_path):
    points = posed_picture(0)[1]
    points[1] = (900.0, 20.0)
    with pytest.raises(DatasetError, match=r"landmark 2 .*900"):
        teach(request_for(a_folder_of_pictures, SMALLEST, points), tmp_path, device="cpu")


def test_a_broken_template_is_refused(tmp_path):
    folder = tmp_path / "pictures"
    paths = write_pictures(folder, 2)
    paths[0].write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match="annotated image"):
        teach(request_for(folder), tmp_path / "run", device="cpu")


def test_the_most_central_picture_is_proposed_and_the_stranger_last(tmp_path):
    folder = tmp_path / "pictures"
    write_pictures(folder, 5)
    Picture.fromarray(drawn_picture(0)[0]).save(folder / "middle.png")
    Picture.fromarray(other_picture(1)).save(folder / "stranger.png")
    (folder / "broken.png").write_bytes(b"nothing")
    paths = sorted(folder.glob("*.png"))
    proposals = propose_template(paths, count=6)
    assert len(proposals) == 6
    typicality = {one.path.name: one.typicality for one in proposals}
    assert proposals[0].path.name != "stranger.png"
    assert min(typicality, key=typicality.get) == "stranger.png" or "stranger.png" not in typicality
    assert [one.path.name for one in proposals.set_aside] == ["broken.png"]


def test_no_picture_at_all_is_refused(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="can be read"):
        propose_template([tmp_path / "broken.png"])
