"""What a network under training achieves on images: normalisation statistics taken anew, radial errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn

from ..detection.ends import ordered_ends, separated_ends
from ..detection.heatmap import decode_heatmaps
from .batches import Batches, Portion, loaded
from .canvases import Canvases


class Normaliser:
    """Pictures 0..1 as the network wants them: three channels, minus mean, over std (both 0..255, RGB)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self.mean = torch.tensor(mean, device=device).view(3, 1, 1) / 255.0
        self.std = torch.tensor(std, device=device).view(3, 1, 1) / 255.0

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, 1 or 3, H, W) → (B, 3, H, W), channels last, which convolutions prefer on the CPU as on CUDA."""
        normalised = (pictures.expand(-1, 3, -1, -1) - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)


def refresh_norms(network: nn.Module, batches: Batches, normalise: Normaliser, device: torch.device) -> None:
    """Take the normalisation statistics anew from one pass over each dataset, augmented."""

    def looks() -> Iterator[tuple[torch.Tensor, slice]]:
        seen: dict[int, int] = {}  # portions of each range of channels, which datasets may share
        for index, canvas in enumerate(batches.canvases):
            channels = canvas.task.channels
            for cases in torch.arange(len(canvas)).split(batches.recipe.batch_size):
                seen[channels.start] = seen.get(channels.start, 0) + 1
                pictures, _ = batches.augmented(Portion(index, cases, 0, 1.0), seen[channels.start], device)
                yield normalise(pictures), channels

    take_norms_from(network, looks())


@torch.no_grad()
def take_norms_from(network: nn.Module, looks: Iterable[tuple[torch.Tensor, slice | None]]) -> None:
    """Take the statistics of those normalisations that learn as means over normalised batches (B, 3, H, W).

    Each batch with the channels whose statistics it tells, None for all; leaves the network in eval mode. The running
    ones belong to weights of the past, not to their average ("precise" batch normalisation: Wu and Johnson, Rethinking
    "Batch" in BatchNorm, 2021, section 3).
    """
    norms = [norm for norm in network.norms if norm.weight.requires_grad]
    network.eval()
    if not norms:
        return
    usual_momentum = [norm.momentum for norm in norms]
    seen: dict[int, int] = {}
    for norm in norms:
        norm.train()
    for pictures, channels in looks:
        first = channels.start if channels else 0
        seen[first] = seen.get(first, 0) + 1
        for norm in norms:
            norm.momentum = 1.0 / seen[first]  # the mean over all so far
        network.logits(pictures, channels)
    for norm, momentum in zip(norms, usual_momentum, strict=True):
        norm.momentum = momentum
    network.eval()


@torch.inference_mode()
def radial_errors(
    network: nn.Module, canvas: Canvases, normalise: Normaliser, device: torch.device, batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, K) radial errors and (N, K) peak scores of a network in eval mode.

    Errors are in mm, or canvas px where no spacing is known; NaN where a landmark is absent.
    """
    errors, scores = [], []
    for cases in torch.arange(len(canvas)).split(batch_size):
        pictures, canvas_xy = loaded(canvas, cases, device)
        heatmaps = separated_ends(network(normalise(pictures), canvas.task.channels), canvas.task.ends)
        peaks = decode_heatmaps(heatmaps)
        found_xy = peaks.heatmap_xy / heatmap_over_canvas(heatmaps, pictures)
        distance = (found_xy - ordered_ends(canvas_xy, canvas.task.ends)).norm(dim=-1).cpu()
        errors.append(distance * canvas.mm_per_px[cases].nan_to_num(1.0)[:, None])
        scores.append(peaks.score.cpu())
    return torch.cat(errors), torch.cat(scores)


def heatmap_over_canvas(heatmaps: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """(2,) factor canvas_xy → heatmap_xy, corners on corners."""
    heatmap_wh = torch.tensor((heatmaps.shape[-1], heatmaps.shape[-2]), dtype=torch.float32)
    canvas_wh = torch.tensor((pictures.shape[-1], pictures.shape[-2]), dtype=torch.float32)
    return ((heatmap_wh - 1) / (canvas_wh - 1)).to(heatmaps.device)
