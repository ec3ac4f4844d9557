"""Training on volumes: what is drawn, what is learned from it, and the folder that comes out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from volumes import BALL_CENTRES, a_body, rotation

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.detection.volume import VolumeDetector
from MedLandmarkLib.detection.volume.knowledge import PlaneGeometry, VolumeKnowledge
from MedLandmarkLib.detection.volume.pose import find_pose
from MedLandmarkLib.detection.volume.shape import transformed
from MedLandmarkLib.errors import DatasetError, DetectionCancelled
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest
from MedLandmarkLib.training.volume.fitting import fading_cross_entropy
from MedLandmarkLib.training.volume.planes import PlaneSource
from MedLandmarkLib.training.volume.run import train_volumes
from MedLandmarkLib.training.volume.template import aligned, mean_anatomy, read_volumes

NAMES = [str(number) for number in range(1, len(BALL_CENTRES) + 1)]


@pytest.fixture(scope="module")
def a_dataset(tmp_path_factory) -> Path:
    """Four bodies in different poses, sizes and noise; the balls' centres are the landmarks, one was not read."""
    folder = tmp_path_factory.mktemp("bodies")
    (folder / "images").mkdir()
    rng = np.random.default_rng(5)
    cases, points = [], []
    for number in range(4):
        pose = np.eye(4)
        pose[:3, :3] = rotation(*rng.uniform(-3, 3, 3)) * rng.uniform(0.9, 1.1)
        pose[:3, 3] = rng.uniform(-2, 2, 3)
        image = a_body(pose, seed=number)
        volume = sitk.GetImageFromArray(image.pixels[0, ..., 0])
        volume.SetOrigin((image.ijk_to_ras[:3, 3] * (-1, -1, 1)).tolist())
        volume.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
        sitk.WriteImage(volume, str(folder / f"images/{number}.nrrd"))
        cases.append((number, f"images/{number}.nrrd", 48, 48, 48, 1, 1, 1, f"s{number}", "train"))
        offsets = transformed(pose, BALL_CENTRES) - image.ijk_to_ras[:3, 3]
        ijk = np.linalg.solve(image.ijk_to_ras[:3, :3], offsets.T).T
        read = [(name, row) for name, row in zip(NAMES, ijk, strict=True) if (number, name) != (2, "5")]
        points += [(number, "a reader", name, *row) for name, row in read]
    columns = "case,file,size_i,size_j,size_k,spacing_i_mm,spacing_j_mm,spacing_k_mm,subject,split"
    for name, header, rows in (("cases", columns, cases), ("landmarks", "case,rater,landmark,i,j,k", points)):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header.split(","), *rows])
    names = [{"name": name} for name in NAMES]
    (folder / "dataset.json").write_text(json.dumps({"name": "bodies", "dimension": 3, "landmarks": names}))
    return folder


@pytest.fixture(scope="module")
def a_scheme_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("scheme") / "balls-8.json"
    fields = json.loads(load_scheme("mouse-skull-45").path.read_text())
    fields |= {"id": "balls-8", "landmarks": [{"name": name, "definition": "A ball."} for name in NAMES]}
    fields["evaluation"] |= {"radii": [1], "tolerance": 1}
    fields.pop("$schema")
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture(scope="module")
def some_volumes(a_dataset: Path):
    return aligned(read_volumes(read_dataset(a_dataset).split("train"), "a reader", NAMES))


def a_recipe(**changes: object) -> Recipe:
    return Recipe(**{"epochs": 2, "batch_size": 2, "cases_per_epoch": 4, "sigma": 1.5, "holdout": 0.25, **changes})


def test_volumes_are_aligned_by_their_landmarks(some_volumes) -> None:
    volumes, shape = some_volumes
    for volume in volumes:
        known = np.isfinite(volume.points_ras).all(axis=1)
        errors = np.linalg.norm(transformed(volume.canonical_to_ras, shape.mean) - volume.points_ras, axis=1)
        assert errors[known].max() < 0.05
    assert known.all() and not np.isfinite(volumes[2].points_ras[4]).any()


def test_the_mean_anatomy_is_found_again_in_each_volume(some_volumes) -> None:
    volumes, shape = some_volumes
    template = mean_anatomy(volumes, shape)
    assert 0.3 < template.values.max() <= 1.0
    pose = find_pose(volumes[1].image, template)
    moved = transformed(pose.canonical_to_ras, shape.mean) - transformed(volumes[1].canonical_to_ras, shape.mean)
    assert np.linalg.norm(moved, axis=1).max() < 0.7


def test_drawn_planes_show_the_landmarks_where_they_say(some_volumes) -> None:
    volumes, _ = some_volumes
    geometry = PlaneGeometry(0.35, 0.2)
    batch = PlaneSource(volumes, geometry).draw(np.random.default_rng(0), 24)
    assert batch.pictures.shape == (24, 3, 129, 129)
    amplitude = batch.amplitudes(geometry.fade_px)
    assert np.nanmin(amplitude) >= 0.0 and np.nanmax(amplitude) <= 1.0
    greys = np.array([60, 110, 180, 230, 210, 150, 250, 90])
    shown = 0
    for plane, landmark in zip(*np.nonzero(np.nan_to_num(amplitude.numpy()) > 0.95), strict=True):
        x, y = batch.canvas_xy[plane, landmark].round().long().tolist()
        # the first ball lies within the others' greys nowhere else
        assert abs(int(batch.pictures[plane, 1, y, x]) - greys[landmark]) < 25
        shown += 1
    assert shown > 7
    far = batch.offset_px.abs() > 4 * geometry.fade_px
    assert np.nanmax(amplitude[far]) < 0.001


def test_the_same_seed_draws_the_same_planes(some_volumes) -> None:
    source = PlaneSource(some_volumes[0], PlaneGeometry(0.35, 0.2))
    one, other = (source.draw(np.random.default_rng(7), 2) for _ in range(2))
    assert torch.equal(one.pictures, other.pictures) and torch.equal(one.offset_px, other.offset_px)


def test_the_loss_is_least_for_the_share_that_the_distance_gives() -> None:
    heatmap_xy = torch.tensor([[[7.3, 9.6]]])
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(16.0), indexing="ij")
    gaussian = torch.exp(-((x - 7.3) ** 2 + (y - 9.6) ** 2) / (2 * 1.5**2))
    amplitude = torch.tensor([[0.6]])

    def loss(share: float) -> float:
        shares = share * gaussian / gaussian.sum()
        logits = (shares.clamp_min(1e-9).log() - np.log(1 - share)).view(1, 1, 20, 16)  # the extra logit is 0
        return fading_cross_entropy(logits, heatmap_xy, amplitude, 1.5).item()

    assert loss(0.6) < min(loss(0.5), loss(0.7))
    assert loss(0.6) < 0.02


def test_the_loss_is_silent_where_nothing_was_read() -> None:
    logits = torch.rand(1, 2, 20, 16, requires_grad=True)
    heatmap_xy = torch.tensor([[[5.0, 6.0], [float("nan")] * 2]])
    loss = fading_cross_entropy(logits, heatmap_xy, torch.tensor([[1.0, float("nan")]]), 1.5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[:, 1].abs().max() == 0.0 < gradient[:, 0].abs().max()


def test_training_on_volumes_resumes_and_leaves_a_model_that_detects_in_them(
    a_dataset: Path, a_scheme_file: Path, tmp_path: Path
) -> None:
    request = TaskRequest(a_dataset, str(a_scheme_file))
    straight = train([request], tmp_path / "straight", a_recipe(), model_id="balls")
    asked = []
    with pytest.raises(DetectionCancelled, match="resumed"):
        train([request], tmp_path / "stopped", a_recipe(), model_id="balls",
              should_stop=lambda: asked.append(None) or len(asked) > 2)  # fmt: skip
    resumed = train([request], tmp_path / "stopped", a_recipe(), model_id="balls")
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    known = VolumeKnowledge.load(straight)
    assert known.shape is not None and known.template is not None
    detector = VolumeDetector(str(a_scheme_file), load_model(f"{straight}/"), device="cpu")
    detection = detector.detect(read_image(a_dataset / "images/0.nrrd"), directions=("axial",))
    assert detection.frames[0].landmarks.names == tuple(NAMES)


def test_what_does_not_fit_is_named_before_the_first_step(a_dataset: Path, a_scheme_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no landmark 'Sella'"):
        train_volumes(TaskRequest(a_dataset, "head-19"), tmp_path, a_recipe(), model_id="x")
    with pytest.raises(DatasetError, match="one dataset alone"):
        train([TaskRequest(a_dataset, str(a_scheme_file))] * 2, tmp_path, a_recipe(), model_id="x")
