"""Small datasets written to disk, with the mistakes that a test asks for."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

SIZE_WH = (96, 80)
SPACING_MM = 0.25
# An unsymmetrical constellation in the unit square: no turn, size or reflection lays it on itself.
SHAPE = {
    "nose": (0.85, 0.45), "brow": (0.70, 0.15), "ear": (0.20, 0.40), "chin": (0.75, 0.90), "jaw": (0.35, 0.80),
    "crown": (0.45, 0.05),
}  # fmt: skip

Rows = list[dict[str, Any]]


def write_pixels(path: Path, seed: int, size_wh: tuple[int, int] = SIZE_WH) -> Path:
    """A grey picture that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, size_wh[::-1], dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    return path


def shape_points(seed: int) -> dict[str, tuple[float, float]]:
    """The constellation somewhere in the picture, a little turned, scaled and shaken."""
    generator = np.random.default_rng(seed)
    turn, scale = generator.normal(0, 0.08), 50 * np.exp(generator.normal(0, 0.05))
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centred = np.array(list(SHAPE.values())) - 0.5
    points = centred @ matrix.T + (48, 40) + generator.normal(0, 2, 2) + generator.normal(0, 0.8, centred.shape)
    return {name: (float(x), float(y)) for name, (x, y) in zip(SHAPE, points, strict=True)}


def write_folder(
    folder: Path, count: int = 24, change: Callable[[Rows, Rows, dict[str, Any]], None] | None = None
) -> Path:
    """A dataset folder of `count` cases, each of a subject of its own; `change` may spoil its rows and description."""
    cases: Rows = []
    landmarks: Rows = []
    for number in range(count):
        name = f"c{number:02}"
        write_pixels(folder / "images" / f"{name}.png", number)
        cases.append(
            {
                "case": name, "file": f"images/{name}.png", "width": SIZE_WH[0], "height": SIZE_WH[1],
                "spacing_x_mm": SPACING_MM, "spacing_y_mm": SPACING_MM, "subject": f"s{number}",
                "split": "train" if number % 3 else "val",
            }
        )  # fmt: skip
        for landmark, (x, y) in shape_points(number).items():
            row = {"case": name, "rater": "reader", "landmark": landmark, "x": round(x, 3), "y": round(y, 3)}
            landmarks.append({**row, "x_mm": round(x * SPACING_MM, 4), "y_mm": round(y * SPACING_MM, 4)})
    description: dict[str, Any] = {"name": "faces", "landmarks": [{"name": name} for name in SHAPE]}
    if change is not None:
        change(cases, landmarks, description)
    (folder / "dataset.json").write_text(json.dumps(description))
    write_rows(folder / "cases.csv", cases)
    write_rows(folder / "landmarks.csv", landmarks)
    return folder


def write_rows(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_coco(
    path: Path, points: Mapping[str, Mapping[str, tuple[float, float]]], names: list[str], **of_images: Any
) -> Path:
    """A COCO keypoint file in MedSapiens' manner, with its images; a name that a case lacks is not annotated."""
    images, annotations = [], []
    for number, (case, own) in enumerate(points.items(), start=1):
        write_pixels(path.parent / "images" / f"{case}.png", number)
        size = {"width": SIZE_WH[0], "height": SIZE_WH[1]}
        images.append({"id": 1000 + number, "file_name": f"{case}.png", **size, **of_images})
        keypoints = [value for name in names for value in ((*own[name], 2) if name in own else (0, 0, 0))]
        annotations.append(
            {
                "id": number, "image_id": 1000 + number, "category_id": 1, "keypoints": keypoints,
                "num_keypoints": len(own), "bbox": [0, 0, *SIZE_WH], "area": SIZE_WH[0] * SIZE_WH[1], "iscrowd": 0,
            }
        )  # fmt: skip
    category = {"id": 1, "name": "Face", "supercategory": "X-ray", "keypoints": names, "skeleton": []}
    document = {"images": images, "annotations": annotations, "categories": [category]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def spoil(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Read a JSON file, change it and write it back."""
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")
