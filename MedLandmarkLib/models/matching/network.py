"""The landmarks of an annotated picture found again in others, as a network: canvas in, heatmaps out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import ModelError
from ..lite import LiteTrunk, heatmap_side
from .alignment import Similarity, fitted_similarity
from .closer import CloseTemplate, looked_closer, sampled
from .contrast import with_local_contrast
from .correlation import best_places, correlate, top_of
from .deformation import Smoothness, smoothly_placed
from .features import compared_features, stage_features

_COARSE, _FINE = (3, 4, 6), (2, 3, 4)  # stages of the trunk that are compared
_COARSE_STRIDE, _FINE_STRIDE = 8, 4
_CANDIDATES = 5
_SUPPORT = (7, 8)  # further points, columns × rows over the landmarks' extent, that follow the same deformation

# As shares of the canvas' diagonal: chosen on ISBI training images with three templates, 9, 80, 3 and 2, 30, 1.5 mm.
_TOLERANCE = 0.026
_WIDE = Smoothness(size=0.029, length=0.26, own=0.0097, softness=0.02)
_NARROW = Smoothness(size=0.0065, length=0.097, own=0.0049, softness=0.04)
_RETURN = 0.01  # a point that comes back so far from where it started is as good as not found


@dataclass(frozen=True)
class Match:
    """canvas_xy: (K, 2) in the new picture; return_px: (K,), how far from its landmark each comes back; cosine: (K,).

    similarity: template → picture; its agreement says how much of the picture is like the template.
    """

    canvas_xy: torch.Tensor
    return_px: torch.Tensor
    cosine: torch.Tensor
    similarity: Similarity


class MatchingNetwork(nn.Module):
    """Finds the landmarks of templates again.

    keypoints: K. canvas_wh: of all pictures, sides 32 n + 1. templates: how many annotated pictures it holds; the one
    most like a new picture is used. sigma: heatmap px of the Gaussians that stand for the answers. overview_wh: the
    size at which whole pictures are compared, sides 32 n + 1; where it is smaller than the canvas, the landmarks'
    surroundings are then compared on the canvas itself. local_contrast: whether pictures are compared with the same
    contrast everywhere.
    """

    def __init__(
        self,
        keypoints: int,
        canvas_wh: tuple[int, int],
        templates: int = 1,
        sigma: float = 2.0,
        overview_wh: tuple[int, int] | None = None,
        local_contrast: bool = False,
    ) -> None:
        super().__init__()
        width, height = canvas_wh
        self.canvas_wh, self.sigma, self.local_contrast = (width, height), sigma, local_contrast
        self.overview_wh = tuple(overview_wh or canvas_wh)
        self.trunk = LiteTrunk()
        self.register_buffer("pictures", torch.zeros(templates, 3, height, width, dtype=torch.uint8))
        self.register_buffer("points_xy", torch.full((templates, keypoints, 2), math.nan))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))
        self._kept: dict[tuple[int, str], dict[int, torch.Tensor]] = {}
        self._kept_close: dict[tuple[int, str], CloseTemplate] = {}

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4): a Gaussian at each landmark, as high as it is certain."""
        maps = torch.stack([self._heatmaps(self.match(picture)) for picture in canvas])
        return maps[:, channels or slice(None)]

    @torch.no_grad()
    def match(self, canvas: torch.Tensor) -> Match:
        """The landmarks in one normalised picture (3, H, W). Raises ModelError where its size is another."""
        if tuple(canvas.shape[1:]) != self.canvas_wh[::-1]:
            raise ModelError(f"The picture is {tuple(canvas.shape[1:])}, the template {self.canvas_wh[::-1]} (H, W).")
        canvas = self._rendered(canvas.float())
        overview = self._overview(canvas)
        features = stage_features(self.trunk, overview, _COARSE)
        number, similarity = max(
            ((number, self._aligned(number, features)) for number in range(len(self.pictures))),
            key=lambda found: found[1].agreement,
        )
        return self._refined(number, similarity, canvas, overview)

    def _aligned(self, number: int, features: dict[int, torch.Tensor]) -> Similarity:
        points_xy = self._all_points(number)
        own, theirs = compared_features(self._features(number), features, _COARSE, self._grid_hw(_COARSE_STRIDE))
        maps = correlate(own, points_xy, theirs, _COARSE_STRIDE)
        places, values = best_places(maps, _CANDIDATES, _COARSE_STRIDE)
        return fitted_similarity(points_xy.cpu(), places.cpu(), values.cpu(), _TOLERANCE * self._diagonal)

    def _refined(self, number: int, similarity: Similarity, canvas: torch.Tensor, overview: torch.Tensor) -> Match:
        """The picture brought into the template's pose, matched coarsely, finely, looked at closer, and back."""
        points_xy, known = self._all_points(number), self._known(number)
        features = stage_features(self.trunk, self._posed(overview, similarity), tuple({*_COARSE, *_FINE}))
        template = self._features(number)
        own, theirs = compared_features(template, features, _COARSE, self._grid_hw(_COARSE_STRIDE))
        wide = _WIDE.times(self._diagonal)
        placed, _ = smoothly_placed(correlate(own, points_xy, theirs, _COARSE_STRIDE), _COARSE_STRIDE, points_xy, wide)
        landmarks_xy, found_xy = points_xy[: known.sum()], placed[: known.sum()]
        own, theirs = compared_features(template, features, _FINE, self._grid_hw(_FINE_STRIDE))
        maps = correlate(own, landmarks_xy, theirs, _FINE_STRIDE)
        found_xy, _ = smoothly_placed(maps, _FINE_STRIDE, found_xy, _NARROW.times(self._diagonal))
        cosine = _at(maps, found_xy / _FINE_STRIDE)
        if self.overview_wh == self.canvas_wh:
            back_px = (self._back(theirs, found_xy, own, landmarks_xy) - landmarks_xy).norm(dim=1)
        else:
            found_xy, back_px = looked_closer(self.trunk, self._close(number), canvas, found_xy, similarity)
        return self._match(known, similarity, found_xy, back_px, cosine)

    def _back(
        self, theirs: torch.Tensor, found_xy: torch.Tensor, own: torch.Tensor, landmarks_xy: torch.Tensor
    ) -> torch.Tensor:
        """Where each found point's own patch is found in the template, near the landmark or not."""
        maps = correlate(theirs, found_xy, own, _FINE_STRIDE)
        height, width = maps.shape[1:]
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack((x, y), dim=-1).to(maps.device) * float(_FINE_STRIDE)
        far = (grid[None] - landmarks_xy[:, None, None]).norm(dim=-1) > 0.1 * self._diagonal
        return top_of(maps.masked_fill(far, -1.0), _FINE_STRIDE)

    def _match(
        self,
        known: torch.Tensor,
        similarity: Similarity,
        found_xy: torch.Tensor,
        back_px: torch.Tensor,
        cosine: torch.Tensor,
    ) -> Match:
        """Of all K landmarks: those that the template does not show are nowhere (NaN)."""
        canvas_xy = found_xy.new_full((len(known), 2), math.nan)
        return_px, cosines = found_xy.new_full((len(known),), math.inf), found_xy.new_zeros(len(known))
        canvas_xy[known] = similarity.of(found_xy.cpu()).to(found_xy.device) * self._factor_xy
        return_px[known] = back_px * similarity.scale * self._factor_xy.mean()
        cosines[known] = cosine
        return Match(canvas_xy, return_px, cosines, similarity)

    def _heatmaps(self, match: Match) -> torch.Tensor:
        """(K, h, w): as high as the return is near and the whole picture is like the template."""
        width, height = (heatmap_side(side) for side in self.canvas_wh)
        x = torch.arange(width, device=match.canvas_xy.device)
        y = torch.arange(height, device=match.canvas_xy.device)
        scale = (width - 1) / (self.canvas_wh[0] - 1)
        at = match.canvas_xy.nan_to_num(-1e4) * scale
        dx2, dy2 = (x - at[:, :1]).square(), (y - at[:, 1:]).square()
        returned = match.return_px / (_RETURN * math.hypot(*self.canvas_wh))
        certainty = torch.exp(-0.5 * returned.square()).clamp_min(0.02) * min(1.0, 2.0 * match.similarity.agreement)
        gaussian = torch.exp(-(dy2[:, :, None] + dx2[:, None, :]) / (2.0 * self.sigma**2))
        return certainty[:, None, None] * gaussian

    def _known(self, number: int) -> torch.Tensor:
        return self.points_xy[number].isfinite().all(dim=1)

    def _all_points(self, number: int) -> torch.Tensor:
        """The template's landmarks, then the points that support them: (n, 2) overview px."""
        landmarks = self.points_xy[number][self._known(number)] / self._factor_xy
        low, high = landmarks.min(dim=0).values, landmarks.max(dim=0).values
        room = (0.15 * self._diagonal - (high - low)).clamp_min(0.0) / 2.0  # landmarks that lie close together
        low, high = low - room, high + room
        limit = torch.tensor(self.overview_wh, device=low.device) - 1.0
        low, high = low.clamp_min(0.0), torch.minimum(high, limit)
        columns, rows = (torch.linspace(0.0, 1.0, count, device=low.device) for count in _SUPPORT)
        return torch.cat((landmarks, low + torch.cartesian_prod(columns, rows) * (high - low)))

    def _features(self, number: int) -> dict[int, torch.Tensor]:
        """A template's features, computed once on each device."""
        key = number, str(self.pictures.device)
        if key not in self._kept:
            overview = self._overview(self._normalised(number))
            self._kept[key] = stage_features(self.trunk, overview, tuple({*_COARSE, *_FINE}))
        return self._kept[key]

    def _close(self, number: int) -> CloseTemplate:
        """The surroundings of a template's landmarks, looked at once on each device."""
        key = number, str(self.pictures.device)
        if key not in self._kept_close:
            points_xy = self.points_xy[number][self._known(number)] / self._factor_xy
            self._kept_close[key] = CloseTemplate.of(
                self.trunk, self._normalised(number), points_xy, self._factor_xy, self._diagonal
            )
        return self._kept_close[key]

    def _normalised(self, number: int) -> torch.Tensor:
        return self._rendered((self.pictures[number].float() - self.mean[:, None, None]) / self.std[:, None, None])

    def _rendered(self, canvas: torch.Tensor) -> torch.Tensor:
        return with_local_contrast(canvas) if self.local_contrast else canvas

    def _overview(self, canvas: torch.Tensor) -> torch.Tensor:
        """A canvas (3, H, W) at the size at which whole pictures are compared, corners on corners."""
        if self.overview_wh == self.canvas_wh:
            return canvas
        size = self.overview_wh[::-1]
        return F.interpolate(canvas[None], size, mode="bilinear", align_corners=True, antialias=True)[0]

    def _posed(self, overview: torch.Tensor, similarity: Similarity) -> torch.Tensor:
        """The picture as the template shows it."""
        width, height = self.overview_wh
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = similarity.of(torch.stack((x, y), dim=-1).float())
        return sampled(overview, places.to(overview.device)[None])[0]

    def _grid_hw(self, stride: int) -> tuple[int, int]:
        return tuple((side - 1) // stride + 1 for side in self.overview_wh[::-1])

    @property
    def _diagonal(self) -> float:
        """Of the overview, px."""
        return math.hypot(*self.overview_wh)

    @property
    def _factor_xy(self) -> torch.Tensor:
        """(2,) canvas px for each overview px."""
        canvas, overview = (torch.tensor(wh, dtype=torch.float32) for wh in (self.canvas_wh, self.overview_wh))
        return ((canvas - 1.0) / (overview - 1.0)).to(self.points_xy.device)


def _at(maps: torch.Tensor, grid_xy: torch.Tensor) -> torch.Tensor:
    """(K,) what each map (K, h, w) holds at its place (K, 2)."""
    height, width = maps.shape[1:]
    x, y = grid_xy.round().long().unbind(dim=1)
    return maps[torch.arange(len(maps)), y.clamp(0, height - 1), x.clamp(0, width - 1)]
