"""CAMUS with further landmarks along the outlines of cavity, muscle and atrium, for a training with "auxiliary".

python Testing/Benchmarks/camus_outline.py DATA/camus OUTPUT

OUTPUT becomes a dataset folder whose images are links to those of DATA/camus; its first landmarks are those of CAMUS.
Between a hinge and a far end (apex, atrial roof) the points divide the outline of the mask evenly.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import typer
from cine import NAMES, SPACING_MM, camus
from scipy.ndimage import binary_fill_holes, label
from truth_clips import halves, outline, read_mask

# name, labels of the mask, number of points between a hinge and the far end
OUTLINES = (("endocardium", (1,), 7), ("epicardium", (1, 2), 7), ("atrium", (3,), 4))
SIDES = ("septal", "lateral")
EPICARDIAL_APEX = "epicardial_apex"


def further_names() -> list[str]:
    points = [f"{name}_{side}_{n + 1}" for name, _, count in OUTLINES for side in SIDES for n in range(count)]
    return [*points, EPICARDIAL_APEX]


def further_points(mask: np.ndarray, xy: np.ndarray) -> dict[str, np.ndarray]:
    """By name, (2,) px each. xy: (4, 2) hinges, apex, roof; NaN where the atrium is cut, which then has no points."""
    found: dict[str, np.ndarray] = {}
    for name, labels, count in OUTLINES:
        far = xy[3] if name == "atrium" else xy[2]
        if np.isnan(far).any():
            continue
        contour = outline(binary_fill_holes(_largest(np.isin(mask, labels))))
        if name == "epicardium":
            far = contour[np.linalg.norm(contour - xy[:2].mean(axis=0), axis=1).argmax()]
            found[EPICARDIAL_APEX] = far
        for side, points in zip(SIDES, halves(contour, xy[0], far, xy[1], count + 2), strict=True):
            found |= {f"{name}_{side}_{n + 1}": point for n, point in enumerate(points[1:-1])}
    return found


def _largest(mask: np.ndarray) -> np.ndarray:
    parts, count = label(mask)
    return mask if count < 2 else parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def main(source: Path, output: Path) -> None:
    """Write the dataset."""
    points, cases = camus(source.parent)
    output.mkdir(parents=True)
    (output / "images").symlink_to((source / "images").resolve())
    shutil.copyfile(source / "cases.csv", output / "cases.csv")
    description = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
    entries = [{"name": name, "definition": "Divides an outline of the mask evenly."} for name in further_names()]
    description = {**description, "name": output.name, "landmarks": [*description["landmarks"], *entries]}
    (output / "dataset.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    with open(output / "landmarks.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "rater", "landmark", "x", "y", "x_mm", "y_mm"])
        for case, xy in points.items():
            further = further_points(read_mask(source / cases[case]["mask"]), xy)
            for name, (x, y) in {**dict(zip(NAMES, xy, strict=True)), **further}.items():
                if np.isfinite((x, y)).all():
                    place = (round(float(x), 2), round(float(y), 2))
                    writer.writerow([case, "derived", name, *place, *(round(side * SPACING_MM, 4) for side in place)])


if __name__ == "__main__":
    typer.run(main)
