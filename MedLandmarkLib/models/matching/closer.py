"""A closer look: each landmark's surroundings compared at a finer resolution than whole pictures are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ..lite import LiteTrunk, canvas_side
from .alignment import Similarity
from .correlation import correlate_each, top_of
from .deformation import Smoothness, smoothly_placed
from .features import compared_windows, window_features

_STAGES = (2, 3, 4)
_STRIDE = 4  # px of a window for each place of its maps
# As shares of the overview's diagonal; chosen on ISBI training images: windows of 39 mm, places within 6 mm.
_WINDOW, _REACH = 0.125, 0.0194
_SMOOTH = Smoothness(size=0.0081, length=0.065, own=0.0039, softness=0.04)


@dataclass(frozen=True, eq=False)
class CloseTemplate:
    """The surroundings of a template's landmarks.

    points_xy: (K, 2) overview px. features: by stage, (K, C, h, w). factor_xy: (2,) canvas px for each overview px.
    diagonal: of the overview, px.
    """

    points_xy: torch.Tensor
    features: dict[int, torch.Tensor]
    factor_xy: torch.Tensor
    diagonal: float

    @classmethod
    def of(
        cls, trunk: LiteTrunk, template: torch.Tensor, points_xy: torch.Tensor, factor_xy: torch.Tensor, diagonal: float
    ) -> CloseTemplate:
        """template: (3, H, W), normalised, at full resolution."""
        px = float(factor_xy.mean())
        offset = _grid(_side(diagonal, px), 1.0, template.device) / px
        windows = sampled(template, (points_xy[:, None, None] + offset) * factor_xy)
        return cls(points_xy, window_features(trunk, windows, _STAGES), factor_xy, diagonal)


def looked_closer(
    trunk: LiteTrunk, template: CloseTemplate, canvas: torch.Tensor, found_xy: torch.Tensor, similarity: Similarity
) -> tuple[torch.Tensor, torch.Tensor]:
    """(K, 2) overview px of the template's pose, where its points were found now, and (K,) px how far each comes back.

    canvas: (3, H, W), a normalised picture at full resolution. found_xy: (K, 2), where the points were found before, in
    overview px of the template's pose; similarity: from there to the picture.
    """
    points_xy, factor_xy, diagonal = template.points_xy, template.factor_xy, template.diagonal
    px = float(factor_xy.mean())
    side = _side(diagonal, px)
    offset = _grid(side, 1.0, canvas.device) / px  # (side, side, 2) overview px
    windows = sampled(canvas, similarity.of(found_xy[:, None, None] + offset) * factor_xy)
    side = (side - 1) // _STRIDE + 1
    own, other = compared_windows(template.features, window_features(trunk, windows, _STAGES), _STAGES, side)
    far = _grid(side, _STRIDE, canvas.device).norm(dim=-1) > _REACH * diagonal * px
    middle = torch.full_like(found_xy, _STRIDE * (side - 1) / 2.0)
    maps = correlate_each(own, middle, other, _STRIDE).masked_fill(far, -1.0)
    # the maps lie about each landmark: moved there, they are parts of one picture that is bent smoothly
    places, _ = smoothly_placed(maps, _STRIDE, middle, _SMOOTH.times(diagonal * px), apart_xy=points_xy * px)
    back = top_of(correlate_each(other, places, own, _STRIDE).masked_fill(far, -1.0), _STRIDE)
    return found_xy + (places - middle) / px, (back - middle).norm(dim=1) / px


def _side(diagonal: float, px: float) -> int:
    """Of a window, canvas px."""
    return canvas_side(round(_WINDOW * diagonal * px))


def _grid(side: int, step: float, device: torch.device) -> torch.Tensor:
    """(side, side, 2): offsets xy from the middle, `step` apart."""
    along = (torch.arange(side, device=device) - (side - 1) / 2.0) * step
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack((x, y), dim=-1)


def sampled(picture: torch.Tensor, places_xy: torch.Tensor) -> torch.Tensor:
    """(K, 3, h, w) of a picture (3, H, W) at places (K, h, w, 2), px; beyond its border the border goes on."""
    limit = torch.tensor([picture.shape[2] - 1.0, picture.shape[1] - 1.0], device=picture.device)
    grid = places_xy / limit * 2.0 - 1.0
    many = picture[None].expand(len(places_xy), -1, -1, -1)
    return F.grid_sample(many, grid, align_corners=True, padding_mode="border")
