"""Training images, laid on the network's canvas once and kept in memory as 8-bit pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..dataset import Case
from ..dataset.image_checks import size_fault, spacing_fault
from ..detection.canvas import CanvasGeometry, warp_smoothed
from ..errors import DatasetError, ImageError
from ..image import Image, read_image


@dataclass(frozen=True)
class Task:
    """What a network learns from one dataset: which cases, whose readings, on which channels and canvas.

    landmark_names are the scheme's, in its order; they fill `channels` of the network one by one, and behind them
    auxiliary_names, of further landmarks that help to learn and that the model does not offer. mirrored_order tells
    which channel a landmark belongs to once the picture is mirrored (left and right change places); None where a
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
    auxiliary_names: tuple[str, ...] = ()

    @property
    def all_names(self) -> tuple[str, ...]:
        return self.landmark_names + self.auxiliary_names

    @property
    def scheme_channels(self) -> slice:
        """Those that the model offers."""
        return slice(self.channels.start, self.channels.start + len(self.landmark_names))

    def without_auxiliary(self) -> Task:
        """The scheme's landmarks alone, on their channels."""
        order = self.mirrored_order and self.mirrored_order[: len(self.landmark_names)]
        return replace(self, channels=self.scheme_channels, auxiliary_names=(), mirrored_order=order)


@dataclass(frozen=True)
class Canvases:
    """The images of a task: pictures uint8 (N, 1 or 3, H, W), landmarks canvas_xy float32 (N, K, 2), NaN where absent.

    mm_per_px (N,) float32 converts canvas px to mm; NaN for all where one of the images has no spacing.
    """

    task: Task
    pictures: torch.Tensor
    canvas_xy: torch.Tensor
    mm_per_px: torch.Tensor

    def __len__(self) -> int:
        return len(self.pictures)


def lay_canvases(
    task: Task,
    heatmap_wh: tuple[int, int],
    *,
    read: Callable[[Path], Image] = read_image,
    progress: Callable[[float, str], None] | None = None,
) -> Canvases:
    """Read every case of a task and lay it on its canvas.

    Raises DatasetError that lists every case which cannot be read, has another size or spacing than the dataset says,
    or has no landmark of the task or one that is no number, before any training starts.
    """
    return lay_all([(task, heatmap_wh)], read=read, progress=progress)[0]


def lay_all(
    tasks: Sequence[tuple[Task, tuple[int, int]]],
    *,
    read: Callable[[Path], Image] = read_image,
    progress: Callable[[float, str], None] | None = None,
) -> list[Canvases]:
    """Lay every task, given with its heatmap's (W, H), as `lay_canvases` does.

    Raises one DatasetError that lists the faults of all tasks.
    """
    laid, reports = [], []
    for task, heatmap_wh in tasks:
        faults: list[str] = []
        laid.append(_lay(task, heatmap_wh, read, progress, faults))
        if laid[-1] is None and not task.cases:
            reports.append(f"There is no case at all for {task.scheme_id}; give its split some.")
        elif laid[-1] is None:
            count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
            first = f"{count} in the {len(task.cases)} cases for {task.scheme_id}, which cannot be used:"
            reports.append("\n  ".join([first, *faults]))
    if reports:
        raise DatasetError("\n  ".join(reports))
    return laid


def _lay(
    task: Task,
    heatmap_wh: tuple[int, int],
    read: Callable[[Path], Image],
    progress: Callable[[float, str], None] | None,
    faults: list[str],
) -> Canvases | None:
    """The canvases of a task; None, and its `faults`, where there are any or there is no case."""
    pictures, points, scales = [], [], []
    for number, case in enumerate(task.cases):
        if progress:
            progress(number / len(task.cases), f"Reading {case.id} of {task.scheme_id}")
        try:
            image = read(case.image_path)
        except ImageError as error:
            faults.append(f"{case.id}: {error}")
            continue
        faults += [*_contradictions(case, image), *_unusable_points(case, task)]
        if faults:
            continue  # nothing will be trained: only the faults of the rest are wanted
        geometry = _geometry(case, task, heatmap_wh)
        pictures.append(as_bytes(warp_smoothed(image.display_rgb(), geometry)))
        points.append(_canvas_points(case, task, heatmap_wh))
        scales.append(_mm_per_canvas_px(case, geometry))
    if faults or not pictures:
        return None
    mm_per_px = torch.tensor(scales)
    if mm_per_px.isnan().any():
        mm_per_px = torch.full_like(mm_per_px, float("nan"))  # a mean over mm and px together would mean nothing
    return Canvases(task, stacked(pictures), torch.from_numpy(np.stack(points)), mm_per_px)


def _contradictions(case: Case, image: Image) -> list[str]:
    """What the file says otherwise than the dataset."""
    found = (size_fault(case, image.size[: len(case.size)]), spacing_fault(case, image))
    return [str(fault) for fault in found if fault is not None]


def _unusable_points(case: Case, task: Task) -> list[str]:
    reference = case.reference(task.rater)
    points = {name: reference[name] for name in task.all_names if name in reference}
    wrong = [name for name, point in points.items() if not np.isfinite(point).all()]
    if wrong:
        return [f"case '{case.id}': '{name}' lies at {points[name]}; it must be numbers" for name in wrong]
    return [] if points else [f"case '{case.id}': rater '{task.rater}' read none of the landmarks of {task.scheme_id}"]


def _geometry(case: Case, task: Task, heatmap_wh: tuple[int, int]) -> CanvasGeometry:
    return CanvasGeometry(case.size[:2], task.canvas_wh, heatmap_wh, task.padding)


def _canvas_points(case: Case, task: Task, heatmap_wh: tuple[int, int]) -> np.ndarray:
    reference = case.reference(task.rater)
    picture_xy = np.array([reference.get(name, (np.nan, np.nan)) for name in task.all_names], float)
    return _geometry(case, task, heatmap_wh).canvas_from_picture(picture_xy).astype(np.float32)


def _mm_per_canvas_px(case: Case, geometry: CanvasGeometry) -> float:
    if case.spacing_mm is None:
        return float("nan")
    picture_px_per_canvas_px = geometry.scale_wh / (np.array(geometry.canvas_wh) - 1.0)
    return float(np.mean(picture_px_per_canvas_px * case.spacing_mm[:2]))


def as_bytes(canvas: np.ndarray) -> torch.Tensor:
    """float (H, W, 3) → uint8 (1 or 3, H, W): one channel where the picture is grey."""
    rounded = torch.from_numpy(np.rint(canvas).clip(0, 255).astype(np.uint8)).permute(2, 0, 1)
    is_grey = bool((rounded == rounded[:1]).all())
    return rounded[:1].clone() if is_grey else rounded.contiguous()


def stacked(pictures: Sequence[torch.Tensor]) -> torch.Tensor:
    """(N, 1 or 3, H, W): three channels for all where one picture has colour."""
    channels = max(len(picture) for picture in pictures)
    return torch.stack([picture.expand(channels, -1, -1) for picture in pictures])
