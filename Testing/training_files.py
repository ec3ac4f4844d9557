"""Small datasets and recipes to train on, in tests."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

LANDMARKS = ("BPD_1", "BPD_2", "OFD_1", "OFD_2")


def write_bars(folder: Path, count: int = 12, seed: int = 0) -> Path:
    """Pictures of four squares of different grey, whose centres stand for the four landmarks of fetal-head-4."""
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(seed)
    cases, landmarks = [], []
    for number in range(count):
        points = generator.uniform(20, 76, size=(4, 2))
        picture = np.zeros((96, 96), np.uint8)
        for shade, (x, y) in zip((90, 140, 200, 255), points, strict=True):
            picture[int(y) - 3 : int(y) + 4, int(x) - 3 : int(x) + 4] = shade
        sitk.WriteImage(sitk.GetImageFromArray(picture), str(folder / f"images/{number}.png"))
        cases.append((number, f"images/{number}.png", 96, 96, 0.5, 0.5, f"s{number // 2}", "train"))
        landmarks += [(number, "a reader", name, *point) for name, point in zip(LANDMARKS, points, strict=True)]
    _write_csv(folder / "cases.csv", "case,file,width,height,spacing_x_mm,spacing_y_mm,subject,split", cases)
    _write_csv(folder / "landmarks.csv", "case,rater,landmark,x,y", landmarks)
    names = [{"name": name} for name in LANDMARKS]
    (folder / "dataset.json").write_text(json.dumps({"name": folder.name, "dimension": 2, "landmarks": names}))
    return folder


def write_excerpt(source: Path, folder: Path, count: int) -> Path:
    """The first `count` training cases of a dataset, as a dataset of their own."""
    (folder / "images").mkdir(parents=True)
    shutil.copyfile(source / "dataset.json", folder / "dataset.json")
    rows = {name: list(csv.DictReader((source / name).open(encoding="utf-8"))) for name in _TABLES}
    kept = [row for row in rows["cases.csv"] if row["split"] == "train"][:count]
    for row in kept:
        shutil.copyfile(source / row["file"], folder / row["file"])
    ids = {row["case"] for row in kept}
    for name in _TABLES:
        chosen = [row for row in rows[name] if row["case"] in ids]
        _write_csv(folder / name, ",".join(chosen[0]), [tuple(row.values()) for row in chosen])
    return folder


_TABLES = ("cases.csv", "landmarks.csv")


def _write_csv(path: Path, header: str, rows: list[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def log_rows(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log."""
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
