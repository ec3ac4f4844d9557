"""Which of many unannotated pictures to annotate: the one that is most like all others.

A picture at the edge of the variety is a bad template (UOD, MICCAI 2023, and CC2D's sample choosing report so).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from ..detection.canvas import CanvasGeometry, warp_smoothed
from ..errors import DatasetError, DetectionCancelled, ImageError
from ..image import read_image
from ..models.lite import LiteNetwork, canvas_side, heatmap_side
from ..models.matching.features import stage_features
from ..training.backbones import MEAN, STD
from ..training.initial_weights import load_imagenet_trunk
from .request import SetAside

_CANVAS_AREA = 289 * 353  # px: the whole picture at a glance
_STAGES = (4, 6)
_REACH = 1  # grid points by which a picture may lie beside another

Reporting = Callable[[float, str], None]


@dataclass(frozen=True)
class Proposal:
    """A picture worth annotating. typicality: the mean cosine with all other pictures; the higher, the more central."""

    path: Path
    typicality: float
    reason: str


class Proposals(list[Proposal]):
    """The most central picture first. set_aside: files that could not be read."""

    def __init__(self, best: Sequence[Proposal], set_aside: Sequence[SetAside]) -> None:
        super().__init__(best)
        self.set_aside = tuple(set_aside)


def propose_template(
    image_paths: Sequence[Path],
    *,
    count: int = 1,
    progress: Reporting | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Proposals:
    """The `count` pictures to annotate first; the second is the most central among those unlike the first, and so on.

    Raises DatasetError where no file can be read, DetectionCancelled, and ModelError without the frozen trunk.
    """
    network = LiteNetwork(1)
    load_imagenet_trunk(network)
    trunk = network.trunk.eval()
    glances, paths, aside, canvas_wh = [], [], [], None
    for number, path in enumerate(dict.fromkeys(image_paths)):
        if should_stop and should_stop():
            raise DetectionCancelled("Stopped while the pictures were compared.")
        if progress:
            progress(number / len(image_paths), f"Looking at {path.name}")
        try:
            picture = read_image(path).display_rgb()
        except ImageError as error:
            aside.append(SetAside(path, str(error)))
            continue
        canvas_wh = canvas_wh or _canvas(picture.shape[1], picture.shape[0])
        glances.append(_glance(trunk, picture, canvas_wh))
        paths.append(path)
    if not paths:
        raise DatasetError(f"None of the {len(image_paths)} files can be read as a picture.")
    likeness = _likeness(glances)
    return Proposals(_chosen(likeness, paths, count), aside)


def _canvas(width: int, height: int) -> tuple[int, int]:
    factor = (_CANVAS_AREA / (width * height)) ** 0.5
    return canvas_side(round(width * factor)), canvas_side(round(height * factor))


def _glance(trunk: torch.nn.Module, picture, canvas_wh: tuple[int, int]) -> dict[int, torch.Tensor]:
    rows, columns = picture.shape[:2]
    geometry = CanvasGeometry((columns, rows), canvas_wh, tuple(heatmap_side(side) for side in canvas_wh), 1.0)
    canvas = torch.from_numpy(warp_smoothed(picture, geometry)).permute(2, 0, 1).float()
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return stage_features(trunk, (canvas - mean) / std, _STAGES)


def _likeness(glances: Sequence[dict[int, torch.Tensor]]) -> torch.Tensor:
    """(N, N) mean cosine of the features at each place, at the best of all small shifts; 0 with itself."""
    total = torch.zeros(len(glances), len(glances))
    for stage in _STAGES:
        stacked = torch.stack([glance[stage] for glance in glances])  # (N, C, h, w)
        stacked = stacked - stacked.mean(dim=(0, 2, 3), keepdim=True)
        stacked = F.normalize(stacked / (stacked.std(dim=(0, 2, 3), keepdim=True) + 1e-6), dim=1)
        height, width = stacked.shape[2:]
        inner = stacked[..., _REACH : height - _REACH, _REACH : width - _REACH].flatten(1)
        shifted = [
            inner @ stacked[..., y : y + height - 2 * _REACH, x : x + width - 2 * _REACH].flatten(1).T
            for y in range(2 * _REACH + 1)
            for x in range(2 * _REACH + 1)
        ]
        places = (height - 2 * _REACH) * (width - 2 * _REACH)
        best = torch.stack(shifted).amax(dim=0) / places
        total += torch.maximum(best, best.T) / len(_STAGES)
    return total.fill_diagonal_(0.0)


def _chosen(likeness: torch.Tensor, paths: Sequence[Path], count: int) -> list[Proposal]:
    """Greedy: each next picture is the one that most raises how well every picture is represented."""
    others = max(1, len(paths) - 1)
    mean = likeness.sum(dim=1) / others
    represented = torch.full((len(paths),), -1.0)
    chosen: list[Proposal] = []
    full = likeness + torch.eye(len(paths))
    for _ in range(min(count, len(paths))):
        gain = torch.maximum(full, represented[None]).sum(dim=1)
        number = int(gain.argmax())
        represented = torch.maximum(represented, full[number])
        rank = int((mean > mean[number]).sum()) + 1
        reason = (
            f"the most typical of {len(paths)} pictures" if rank == 1 and not chosen
            else f"represents best those that the ones before do not (rank {rank} of {len(paths)} in typicality)"
            if chosen else f"represents the {len(paths)} pictures best"
        )  # fmt: skip
        chosen.append(Proposal(paths[number], float(mean[number]), reason))
    return chosen
