"""Landmarks in volumes: errors beside two baselines, what moving a volume changes, seconds and memory.

python Testing/Benchmarks/volumes.py accuracy DATASET --scheme mouse-skull-45 --model runs/mouse/model [--atlases 2]
python Testing/Benchmarks/volumes.py invariance VOLUME --scheme mouse-skull-45 --model runs/mouse/model
python Testing/Benchmarks/volumes.py cost [--threads 2]

The model: medlandmark train DATASET=mouse-skull-45 --recipe Testing/Benchmarks/volumes.json --output runs/mouse
"""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import typer
from machine import machine_name, print_table, software, threads
from volume_baselines import atlas_errors, mean_shape_errors

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.detection.detector import Detector
from MedLandmarkLib.detection.volume import VolumeDetector
from MedLandmarkLib.detection.volume.knowledge import PlaneGeometry
from MedLandmarkLib.detection.volume.reader import NetworkReader
from MedLandmarkLib.detection.volume.search import SearchArea, search
from MedLandmarkLib.detection.volume.shape import ShapePrior
from MedLandmarkLib.image import Calibration, Image, read_image
from MedLandmarkLib.landmark import Status
from MedLandmarkLib.models.catalogue import InputGeometry
from MedLandmarkLib.models.lite import LiteNetwork, heatmap_side
from MedLandmarkLib.plane import DIRECTIONS, Plane, oblique_plane
from MedLandmarkLib.plane.placing import box_ras
from MedLandmarkLib.scheme import load_scheme
from MedLandmarkLib.training.volume.template import AnnotatedVolume, aligned, mean_anatomy, read_volumes

app = typer.Typer(add_completion=False)


@app.command()
def accuracy(
    folder: Path,
    scheme: str = "mouse-skull-45",
    model: str = typer.Option(..., help="A model trained on split 'train' of the same folder."),
    split: str = typer.Option("val", help="Split to detect in."),
    atlases: int = typer.Option(2, help="Training volumes to transfer from: those nearest to the mean shape."),
    directions: str = ",".join(DIRECTIONS),
) -> None:
    """Mean radial error of the model and of the baselines, mm."""
    dataset, definition = read_dataset(folder), load_scheme(scheme)
    rater = dataset.reference_rater()
    train, shape = aligned(read_volumes(dataset.split("train"), rater, definition.names))
    tested = read_volumes(dataset.split(split), rater, definition.names)
    template = mean_anatomy(train, shape)
    detector = VolumeDetector(scheme, model, device="cpu")
    errors: dict[str, list[np.ndarray]] = {"model": [], "its planes alone": [], "mean shape": []}
    seconds, counts = [], []
    for volume in tested:
        start = time.process_time()
        detection = detector.detect(volume.image, directions=directions.split(","))
        seconds.append(time.process_time() - start)
        landmarks = detection.frames[0].landmarks
        counts.append([landmark.status.value for landmark in landmarks])
        errors["model"].append(_errors([landmark.ras for landmark in landmarks], volume))
        found, _ = detector.found_points(detector.reader(volume.image), volume.image)
        peaks = [None if point is None or point.peak is None else point.peak.point_ras for point in found]
        errors["its planes alone"].append(_errors(peaks, volume))
        errors["mean shape"].append(mean_shape_errors(volume, template, shape))
    for atlas in _central(train, shape)[:atlases]:
        for volume in tested:
            for kind, values in atlas_errors(volume, atlas, template, shape).items():
                errors.setdefault(f"{kind} from {atlas.case.id}", []).append(values)
    rows = [
        [
            name,
            *(f"{np.nanmean(one):.3f}" for one in values),
            f"{np.nanmean(values):.3f}",
            f"{_share(values, definition.tolerance):.0f} %",
        ]
        for name, values in errors.items()
    ]
    columns = ["mm", *(volume.case.id for volume in tested), "mean", f"within {definition.tolerance:g} mm"]
    print_table(f"{scheme}, split {split} of {dataset.name}. {software()}.", columns, rows)
    stated = ", ".join(f"{np.mean(np.array(counts) == kind):.0%} {kind}" for kind in np.unique(counts))
    print(f"\nProcess time a volume: {np.mean(seconds):.1f} s. {stated}.")


@app.command()
def invariance(path: Path, scheme: str = "mouse-skull-45", model: str = typer.Option(...)) -> None:
    """How far points move when the same volume is stored, cut, turned or sampled otherwise, in voxels."""
    image, detector = read_image(path), VolumeDetector(scheme, model, device="cpu")
    voxel = float(np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0).mean())
    plain, was_sure = _points(detector, image)
    rows = []
    for name, changed, move in _changes(image):
        points, is_sure = _points(detector, changed)
        offset = np.linalg.norm(points - (plain @ move[:3, :3].T + move[:3, 3]), axis=1) / voxel
        both = offset[was_sure & is_sure]
        rows.append([name, f"{both.mean():.2f}", f"{both.max():.2f}", str(int((was_sure & ~is_sure).sum()))])
    title = f"{path.name}: points moved, in voxels of {voxel:.3f} mm"
    print_table(title, ["", "mean", "most", "now doubtful or missing"], rows)


@app.command()
def cost(
    thread_count: int = typer.Option(2, "--threads"), device: str = typer.Option("cpu", help="cpu or cuda.")
) -> None:
    """Seconds of a search with an untrained lite network, by the number of voxels, landmarks and directions."""
    rows = []
    with threads(thread_count):
        for side, landmarks, directions in (
            (150, 45, 3), (150, 45, 1), (150, 15, 3), (300, 45, 3), (150, 90, 3),
        ):  # fmt: skip
            start, wall = time.process_time(), time.perf_counter()
            planes = _search(side, landmarks, DIRECTIONS[:directions], device)
            took = time.perf_counter() - wall
            row = [f"{side}³, {landmarks} landmarks, {directions} directions", str(planes), f"{took:.1f}"]
            rows.append([*row, f"{time.process_time() - start:.1f}", f"{planes / took:.1f}"])
    title = f"Search with the lite network. {machine_name(torch.device(device))}. {software()}."
    print_table(title, ["", "planes", "s", "process s", "planes per s"], rows)
    print(f"\nPeak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


@app.command()
def memory(side: int = 512, slices: int = 600) -> None:
    """Peak memory of a coarse and fine search of a large CT with an untrained lite network of 45 landmarks."""
    rng = np.random.default_rng(0)
    pixels = np.empty((1, slices, side, side, 1), np.int16)
    for k in range(slices):
        pixels[0, k, ..., 0] = rng.integers(-1000, 1500, (side, side), dtype=np.int16)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    matrix = np.diag([0.5, 0.5, 0.5, 1.0])
    image = Image(pixels, matrix, Calibration("calibrated", "made", (0.5, 0.5)))
    planes = _run(image, 45, DIRECTIONS, "cpu")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{side} x {side} x {slices}, int16: {planes} planes, peak memory {peak:.2f} GB ({before:.2f} before)")


def _search(side: int, landmarks: int, directions: tuple[str, ...], device: str) -> int:
    values = np.random.default_rng(0).integers(0, 255, (1, side, side, side, 1)).astype(np.uint8)
    image = Image(values, np.diag([0.14, 0.14, 0.14, 1.0]), Calibration("calibrated", "made", (0.14, 0.14)))
    return _run(image, landmarks, directions, device)


def _run(image: Image, landmarks: int, directions: tuple[str, ...], device: str) -> int:
    """Planes shown to a network that knows nothing; a shape makes it look for every landmark."""
    low, high = box_ras(image)
    extent = float((high - low).max())
    geometry = PlaneGeometry(extent / 128, extent / 256)
    network = LiteNetwork(landmarks, sigma=1.5, activation="softmax-or-absent")
    card_input = InputGeometry(
        (129, 129), 1.0, (124, 116, 104), (58, 57, 57), "area", (heatmap_side(129),) * 2, 1.5, 11
    )  # fmt: skip
    detector = Detector(network, card_input, device=device, flip=False)
    reader = NetworkReader(image, detector, landmarks, neighbour_px=geometry.neighbour_px)
    mean = np.random.default_rng(1).uniform(low + 0.1 * (high - low), high - 0.1 * (high - low), (landmarks, 3))
    shape = ShapePrior(mean, np.eye(3 * landmarks) * (0.02 * extent) ** 2)
    search(reader, SearchArea(np.eye(4), low, high), landmarks, geometry, shape=shape, directions=directions)
    return reader.planes_shown


def _errors(points: list, volume: AnnotatedVolume) -> np.ndarray:
    placed = np.array([(np.nan,) * 3 if point is None else point for point in points], float)
    return np.linalg.norm(placed - volume.points_ras, axis=1)


def _share(values: list[np.ndarray], tolerance: float) -> float:
    return float(100 * np.mean(np.concatenate(values) <= tolerance))


def _central(train: list[AnnotatedVolume], shape: ShapePrior) -> list[AnnotatedVolume]:
    def distance(volume: AnnotatedVolume) -> float:
        placed = (volume.points_ras - volume.canonical_to_ras[:3, 3]) @ np.linalg.inv(volume.canonical_to_ras[:3, :3]).T
        return float(np.nanmean(np.linalg.norm(placed - shape.mean, axis=1)))

    return sorted(train, key=distance)


def _points(detector: VolumeDetector, image: Image) -> tuple[np.ndarray, np.ndarray]:
    """(K, 3) RAS mm, NaN where there is none, and (K,) bool: neither doubtful nor missing."""
    landmarks = detector.detect(image).frames[0].landmarks
    points = np.array([(np.nan,) * 3 if landmark.ras is None else landmark.ras for landmark in landmarks], float)
    return points, np.array([landmark.status is Status.PREDICTED for landmark in landmarks])


def _changes(image: Image) -> list[tuple[str, Image, np.ndarray]]:
    """Names, changed volumes, and the (4, 4) by which the truth moves."""
    still, pixels = np.eye(4), image.pixels
    flipped = image.ijk_to_ras.copy()
    flipped[:3, 3] += (image.size[0] - 1) * flipped[:3, 0]
    flipped[:3, 0] *= -1
    # i of the new storage is the old k, j the old i, k the old j
    turned, exchanged = image.ijk_to_ras[:, [2, 0, 1, 3]], pixels.transpose(0, 2, 3, 1, 4).copy()
    cut = [int(0.05 * side) for side in image.size]
    cropped = image.ijk_to_ras.copy()
    cropped[:3, 3] += cropped[:3, :3] @ cut
    inner = pixels[:, cut[2] : -cut[2], cut[1] : -cut[1], cut[0] : -cut[0]]
    angle = np.radians(15.0)
    rotation = np.eye(4)
    rotation[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centre = image.ijk_to_ras @ [*((np.array(image.size) - 1) / 2), 1.0]
    rotation[:3, 3] = centre[:3] - rotation[:3, :3] @ centre[:3]
    return [
        ("flipped in storage", replace(image, pixels=pixels[:, :, :, ::-1].copy(), ijk_to_ras=flipped), still),
        ("axes exchanged in storage", replace(image, pixels=exchanged, ijk_to_ras=turned), still),
        ("cropped by 10 %", replace(image, pixels=inner.copy(), ijk_to_ras=cropped), still),
        ("resampled to 1.25 voxels", _resampled(image, 1.25, still), still),
        ("turned by 15 degrees", _resampled(image, 1.0, rotation), rotation),
    ]  # fmt: skip


def _resampled(image: Image, factor: float, move: np.ndarray) -> Image:
    """The volume on another grid, after a move in space."""
    step = np.diag([factor, factor, factor, 1.0])
    grid = image.ijk_to_ras @ step
    size = [int(side / factor) for side in image.size]
    source = np.linalg.inv(move) @ grid
    slices = []
    for k in range(size[2]):
        matrix = source.copy()
        matrix[:3, 3] += k * matrix[:3, 2]
        slices.append(oblique_plane(image, Plane(matrix, (size[0], size[1]))).picture[..., :1])
    return replace(image, pixels=np.stack(slices)[None], ijk_to_ras=grid, display=None)


if __name__ == "__main__":
    app()
