"""Training images, laid on the network's canvas once and kept in memory as 8-bit pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..dataset import Case
from ..detection.canvas import CanvasGeometry, warp_smoothed
from ..errors import DatasetError, ImageError
from ..image import read_image


@dataclass(frozen=True)
class Task:
    """What a network learns from one dataset: which cases, whose readings, on which channels and canvas.

    landmark_names are the scheme's, in its order; they fill `channels` of the network one by one. mirrored_order
    tells which channel a landmark belongs to once the picture is mirrored (left and right change places); None where a
    mirrored picture must not be learned from. ends: pairs of landmark numbers that only their place tells apart.
    """

    scheme_id: str
    landmark_names: tuple[str, ...]
    cases: tuple[Case, ...]
    rater: str
    channels: slice
    canvas_wh: tuple[int, int]
    padding: float
    mirrored_order: tuple[int, ...] | None = None
    ends: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Canvases:
    """The images of a task: pictures uint8 (N, 1 or 3, H, W), landmarks canvas_xy float32 (N, K, 2), NaN where absent.

    mm_per_px (N,) float32 converts canvas px to mm (NaN where the image has no spacing).
    """

    task: Task
    pictures: torch.Tensor
    canvas_xy: torch.Tensor
    mm_per_px: torch.Tensor

    def __len__(self) -> int:
        return len(self.pictures)


def read_picture(path: Path) -> np.ndarray:
    """The 8-bit RGB picture (rows, columns, 3) of an image file, just as detection sees it."""
    return read_image(path).display_rgb()


def lay_canvases(
    task: Task,
    heatmap_wh: tuple[int, int],
    *,
    read: Callable[[Path], np.ndarray] = read_picture,
    progress: Callable[[float, str], None] | None = None,
) -> Canvases:
    """Read every case of a task and lay it on its canvas.

    Raises DatasetError that lists every case which cannot be read, has another size than the dataset says, or has no
    landmark of the task, before any training starts.
    """
    pictures, points, scales, faults = [], [], [], []
    for number, case in enumerate(task.cases):
        if progress:
            progress(number / len(task.cases), f"Reading {case.id} of {task.scheme_id}")
        try:
            picture = read(case.image_path)
        except ImageError as error:
            faults.append(f"{case.id}: {error}")
            continue
        canvas_xy = _canvas_points(case, task, heatmap_wh)
        if picture.shape[1::-1] != case.size[:2]:
            faults.append(f"{case.id}: the image is {picture.shape[1::-1]} px, the dataset says {case.size[:2]}")
        elif np.isnan(canvas_xy).all():
            faults.append(f"{case.id}: rater '{task.rater}' read none of the landmarks of {task.scheme_id}")
        else:
            geometry = _geometry(case, task, heatmap_wh)
            pictures.append(_as_bytes(warp_smoothed(picture, geometry)))
            points.append(canvas_xy)
            scales.append(_mm_per_canvas_px(case, geometry))
    if faults or not pictures:
        listed = "\n  ".join(faults) or "there is no case at all"
        raise DatasetError(f"{len(faults)} of {len(task.cases)} cases cannot be used for {task.scheme_id}:\n  {listed}")
    return Canvases(task, _stacked(pictures), torch.from_numpy(np.stack(points)), torch.tensor(scales))


def _geometry(case: Case, task: Task, heatmap_wh: tuple[int, int]) -> CanvasGeometry:
    return CanvasGeometry(case.size[:2], task.canvas_wh, heatmap_wh, task.padding)


def _canvas_points(case: Case, task: Task, heatmap_wh: tuple[int, int]) -> np.ndarray:
    reference = case.reference(task.rater)
    picture_xy = np.array([reference.get(name, (np.nan, np.nan)) for name in task.landmark_names], float)
    return _geometry(case, task, heatmap_wh).canvas_from_picture(picture_xy).astype(np.float32)


def _mm_per_canvas_px(case: Case, geometry: CanvasGeometry) -> float:
    if case.spacing_mm is None:
        return float("nan")
    picture_px_per_canvas_px = geometry.scale_wh / (np.array(geometry.canvas_wh) - 1.0)
    return float(np.mean(picture_px_per_canvas_px * case.spacing_mm[:2]))


def _as_bytes(canvas: np.ndarray) -> torch.Tensor:
    """float (H, W, 3) → uint8 (1 or 3, H, W): one channel where the picture is grey."""
    rounded = torch.from_numpy(np.rint(canvas).clip(0, 255).astype(np.uint8)).permute(2, 0, 1)
    is_grey = bool((rounded == rounded[:1]).all())
    return rounded[:1].clone() if is_grey else rounded.contiguous()


def _stacked(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    channels = max(len(picture) for picture in pictures)
    return torch.stack([picture.expand(channels, -1, -1) for picture in pictures])
