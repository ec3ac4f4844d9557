"""The pictures that a teaching learns from: the annotated ones first, then the unannotated ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..detection.canvas import CanvasGeometry, warp_smoothed
from ..errors import DatasetError, DetectionCancelled, ImageError
from ..image import Image, read_image
from ..models.lite import canvas_side, heatmap_side
from ..training.canvases import as_bytes, stacked
from .request import SetAside, Template

PADDING = 1.0  # of the canvas over the picture
_CANVAS_AREA = 641 * 801  # px at most, where the canvas is not given: 0.3 mm on a lateral cephalogram
_CLOSER, _LEAST_CLOSER = 1.5, 1.2  # sides of the canvas that is looked at closely, over those of the usual one
_FEWEST_PX = 32

Reporting = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Gallery:
    """pictures: uint8 (N, 1 or 3, H, W), the annotated first. paths: of all N.

    template_xy: (T, K, 2) float32 canvas px, NaN where not annotated. mm_per_px: (N,), NaN where the picture's spacing
    is not known. set_aside: files that are not among the pictures.
    """

    pictures: torch.Tensor
    template_xy: torch.Tensor
    mm_per_px: torch.Tensor
    paths: tuple[Path, ...]
    set_aside: tuple[SetAside, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def template_count(self) -> int:
        return len(self.template_xy)

    @property
    def landmark_count(self) -> int:
        return self.template_xy.shape[1]

    @property
    def canvas_wh(self) -> tuple[int, int]:
        return self.pictures.shape[-1], self.pictures.shape[-2]

    @property
    def heatmap_wh(self) -> tuple[int, int]:
        return heatmap_side(self.canvas_wh[0]), heatmap_side(self.canvas_wh[1])

    @property
    def unit(self) -> str:
        return "mm" if bool(self.mm_per_px.isfinite().all()) else "px"

    @property
    def unit_per_px(self) -> torch.Tensor:
        """(N,) mm for each canvas px where all spacings are known, else 1."""
        return self.mm_per_px if self.unit == "mm" else torch.ones_like(self.mm_per_px)

    def without(self, dropped: Sequence[SetAside]) -> Gallery:
        """The gallery without these files, which join those set aside."""
        paths = {one.path for one in dropped}
        kept = [number for number, path in enumerate(self.paths) if path not in paths]
        return replace(
            self, pictures=self.pictures[kept], mm_per_px=self.mm_per_px[kept],
            paths=tuple(self.paths[number] for number in kept), set_aside=(*self.set_aside, *dropped),
        )  # fmt: skip


def read_gallery(
    templates: Sequence[Template],
    image_paths: Sequence[Path],
    canvas_wh: tuple[int, int] | None = None,
    *,
    read: Callable[[Path], Image] = read_image,
    progress: Reporting | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Gallery:
    """Read all pictures and lay them on one canvas. Broken files among the unannotated are set aside with the reason.

    Raises DatasetError where a template cannot be read or a landmark of it lies outside it, and DetectionCancelled.
    """
    known = {template.image_path.resolve() for template in templates}
    others = [path for path in dict.fromkeys(image_paths) if path.resolve() not in known]
    laid, points, scales, kept, aside = [], [], [], [], []
    for number, path in enumerate([*(template.image_path for template in templates), *others]):
        if should_stop and should_stop():
            raise DetectionCancelled("Stopped while the pictures were read.")
        if progress:
            progress(number / (len(templates) + len(others)), f"Reading {path.name}")
        template = templates[number] if number < len(templates) else None
        try:
            image = _single_picture(read(path))
        except ImageError as error:
            if template is not None:
                raise DatasetError(f"The annotated image cannot be read: {error}") from error
            aside.append(SetAside(path, str(error)))
            continue
        canvas_wh = canvas_wh or usual_canvas(image.size[:2])
        geometry = canvas_geometry(image, canvas_wh)
        if template is not None:
            points.append(_canvas_points(template, image, geometry))
        laid.append(laid_picture(image, geometry))
        scales.append(_mm_per_px(image, geometry))
        kept.append(path)
    return Gallery(stacked(laid), torch.stack(points), torch.tensor(scales), tuple(kept), tuple(aside))


def usual_canvas(picture_wh: tuple[int, int]) -> tuple[int, int]:
    """The canvas (W, H) of a picture's proportions: its own size, or the usual area where it is larger."""
    factor = min(1.0, math.sqrt(_CANVAS_AREA / (picture_wh[0] * picture_wh[1])))
    return canvas_side(round(picture_wh[0] * factor)), canvas_side(round(picture_wh[1] * factor))


def closer_canvas(picture_wh: tuple[int, int], canvas_wh: tuple[int, int]) -> tuple[int, int]:
    """The canvas (W, H) that matching looks at closely: half as large again, unless the picture has no more to show."""
    factor = min(_CLOSER, max(own / side for own, side in zip(picture_wh, canvas_wh, strict=True)))
    if factor < _LEAST_CLOSER:
        return canvas_wh
    return tuple(canvas_side(round(factor * side)) for side in canvas_wh)


def _single_picture(image: Image) -> Image:
    columns, rows, slices = image.size
    if slices > 1 or image.frame_count > 1:
        raise ImageError(f"it holds {max(slices, image.frame_count)} slices or frames; single pictures are wanted here")
    if min(columns, rows) < _FEWEST_PX:
        raise ImageError(f"it is {columns} × {rows} px; at least {_FEWEST_PX} px each way are needed")
    return image


def laid_picture(image: Image, geometry: CanvasGeometry) -> torch.Tensor:
    """uint8 (1 or 3, H, W)."""
    return as_bytes(warp_smoothed(image.display_rgb(), geometry))


def canvas_geometry(image: Image, canvas_wh: tuple[int, int]) -> CanvasGeometry:
    return CanvasGeometry(image.size[:2], canvas_wh, tuple(heatmap_side(side) for side in canvas_wh), PADDING)


def _canvas_points(template: Template, image: Image, geometry: CanvasGeometry) -> torch.Tensor:
    picture_xy = np.asarray(template.picture_xy, float)
    limit = np.array(image.size[:2]) - 0.5
    outside = np.isfinite(picture_xy).all(axis=1) & ((picture_xy < -0.5) | (picture_xy > limit)).any(axis=1)
    if outside.any():
        number = int(outside.argmax())
        raise DatasetError(
            f"{template.image_path}: landmark {number + 1} lies at {tuple(picture_xy[number].round(1).tolist())} px, "
            f"outside the picture of {image.size[0]} × {image.size[1]} px."
        )
    return torch.from_numpy(geometry.canvas_from_picture(picture_xy)).float()


def _mm_per_px(image: Image, geometry: CanvasGeometry) -> float:
    if image.calibration.spacing_mm is None:
        return math.nan
    px = geometry.scale_wh / (np.array(geometry.canvas_wh) - 1.0)
    return float(np.mean(px * np.asarray(image.calibration.spacing_mm)))
