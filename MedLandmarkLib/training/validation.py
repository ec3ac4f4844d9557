"""What a network under training achieves on images: normalisation statistics taken anew, radial errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from ..detection.heatmap import decode_heatmaps
from .batches import Batches, Portion, loaded
from .canvases import Canvases
from .ends import ordered_ends


class Normaliser:
    """Pictures 0..1 as the network wants them: three channels, minus mean, over std (both 0..255, RGB)."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self.mean = torch.tensor(mean, device=device).view(3, 1, 1) / 255.0
        self.std = torch.tensor(std, device=device).view(3, 1, 1) / 255.0

    def __call__(self, pictures: torch.Tensor) -> torch.Tensor:
        """(B, 1 or 3, H, W) → (B, 3, H, W), channels last, which convolutions prefer on the CPU as on CUDA."""
        normalised = (pictures.expand(-1, 3, -1, -1) - self.mean) / self.std
        return normalised.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def refresh_norms(network: nn.Module, batches: Batches, normalise: Normaliser, device: torch.device) -> None:
    """Take the statistics of those normalisations that learn anew from one pass over each dataset, augmented.

    The running ones belong to weights of the past, not to their average ("precise" batch normalisation: Wu and
    Johnson, Rethinking "Batch" in BatchNorm, 2021, section 3).
    """
    norms = [norm for norm in network.norms if norm.weight.requires_grad]
    if not norms:
        return
    network.eval()
    usual_momentum = [norm.momentum for norm in norms]
    pass_of_scheme: dict[int, int] = {}  # portions seen of each range of channels, which datasets may share
    for norm in norms:
        norm.train()
    for index, canvas in enumerate(batches.canvases):
        for cases in torch.arange(len(canvas)).split(batches.recipe.batch_size):
            first = canvas.task.channels.start
            seen = pass_of_scheme[first] = pass_of_scheme.get(first, 0) + 1
            for norm in norms:
                norm.momentum = 1.0 / seen  # the mean over all so far
            pictures, _ = batches.augmented(Portion(index, cases, 0, 1.0), seen, device)
            network.logits(normalise(pictures), canvas.task.channels)
    for norm, momentum in zip(norms, usual_momentum, strict=True):
        norm.momentum = momentum
    network.eval()


@torch.no_grad()
def take_norms_from(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Take those statistics as the mean over normalised batches (B, 3, H, W); leaves the network in eval mode."""
    norms = [norm for norm in network.norms if norm.weight.requires_grad]
    usual_momentum = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
    for number, pictures in enumerate(batches):
        for norm in norms:
            norm.momentum = 1.0 / (number + 1)  # the mean over all so far
        network.logits(pictures)
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
        heatmaps = network(normalise(pictures), canvas.task.channels)
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
