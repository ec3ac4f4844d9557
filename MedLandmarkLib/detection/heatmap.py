"""Heatmaps: drawn around landmarks for training, read back to sub-pixel positions after inference.

Encoding and decoding follow the unbiased pair of UDP (Huang et al., CVPR 2020) and DARK (Zhang et al., CVPR 2020):
the logarithm of a Gaussian is a parabola, whose top is found by one Newton step from the highest pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

# The range to which the reference limits smoothed maps before the logarithm.
_LOWEST, _HIGHEST = 1e-3, 50.0


@dataclass(frozen=True)
class Peaks:
    """The highest point of each heatmap.

    heatmap_xy: (B, K, 2) float32, sub-pixel; argmax_xy: (B, K, 2), the pixel it was refined from;
    score: (B, K) float32, the raw maximum. Where score <= 0 there is no peak: both positions are (-1, -1).
    """

    heatmap_xy: torch.Tensor
    argmax_xy: torch.Tensor
    score: torch.Tensor


def encode_heatmaps(heatmap_xy: torch.Tensor, heatmap_wh: tuple[int, int], sigma: float) -> torch.Tensor:
    """Draw a Gaussian of height 1 around each point.

    heatmap_xy: (..., 2), continuous; NaN for a landmark that is not annotated gives an empty map.
    Returns (..., H, W) float32. Beyond 3 sigma the map is zero, as in the reference's encoder.
    """
    width, height = heatmap_wh
    x = torch.arange(width, dtype=torch.float32, device=heatmap_xy.device)
    y = torch.arange(height, dtype=torch.float32, device=heatmap_xy.device)
    dx2 = (x - heatmap_xy[..., 0:1].float()).square()  # (..., W)
    dy2 = (y - heatmap_xy[..., 1:2].float()).square()  # (..., H)
    reach2 = (3.0 * sigma) ** 2
    gaussian_x = torch.where(dx2 <= reach2, torch.exp(-dx2 / (2.0 * sigma**2)), 0.0)
    gaussian_y = torch.where(dy2 <= reach2, torch.exp(-dy2 / (2.0 * sigma**2)), 0.0)
    return gaussian_y[..., :, None] * gaussian_x[..., None, :]


def decode_heatmaps(heatmaps: torch.Tensor, blur_kernel: int = 11) -> Peaks:
    """Find each map's highest pixel and refine it by one Newton step on the logarithm of the smoothed map.

    heatmaps: (B, K, H, W). blur_kernel: odd width of the Gaussian in heatmap px (its sigma follows OpenCV's rule).
    The step is not limited, as in the reference; a long one is a sign of a map without a clear peak.
    """
    heatmaps = heatmaps.float()
    width = heatmaps.shape[-1]
    score, flat_index = heatmaps.flatten(2).max(dim=2)
    argmax_xy = torch.stack((flat_index % width, flat_index // width), dim=-1)
    log_maps = _smoothed_log(heatmaps, score, blur_kernel)
    heatmap_xy = argmax_xy.float() + _newton_step(log_maps, argmax_xy)
    alive = (score > 0)[..., None]
    return Peaks(
        heatmap_xy=torch.where(alive, heatmap_xy, -1.0),
        argmax_xy=torch.where(alive, argmax_xy, -1),
        score=score,
    )


def _smoothed_log(heatmaps: torch.Tensor, score: torch.Tensor, blur_kernel: int) -> torch.Tensor:
    """Logarithm of the maps after a Gaussian blur that keeps each map's maximum; (B, K, H + 2, W + 2), edge-padded."""
    batch, channels, height, width = heatmaps.shape
    kernel = gaussian_kernel(blur_kernel, heatmaps.device)
    half = blur_kernel // 2
    maps = heatmaps.reshape(batch * channels, 1, height, width)
    blurred = F.conv2d(maps, kernel[None, None, None, :], padding=(0, half))
    blurred = F.conv2d(blurred, kernel[None, None, :, None], padding=(half, 0)).view_as(heatmaps)
    highest = blurred.amax(dim=(2, 3)).clamp_min(torch.finfo(torch.float32).tiny)
    rescaled = blurred * (score / highest)[..., None, None]
    return F.pad(rescaled.clamp(_LOWEST, _HIGHEST).log(), (1, 1, 1, 1), mode="replicate")


def gaussian_kernel(size: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(size,) float32 Gaussian whose sigma follows from its size as in OpenCV: 0.3 ((size - 1) / 2 - 1) + 0.8."""
    sigma = 0.3 * ((size - 1) * 0.5 - 1.0) + 0.8
    offset = torch.arange(size, dtype=torch.float64, device=device if str(device) != "mps" else "cpu") - size // 2
    kernel = torch.exp(-offset.square() / (2.0 * sigma**2))
    return (kernel / kernel.sum()).float().to(device)


def _newton_step(log_maps: torch.Tensor, argmax_xy: torch.Tensor) -> torch.Tensor:
    """-H⁻¹ g at each highest pixel, (B, K, 2) float32, from differences on its 3 × 3 neighbourhood."""
    batch, channels, height, width = log_maps.shape
    flat = log_maps.reshape(batch, channels, height * width)
    centre = (argmax_xy[..., 1] + 1) * width + argmax_xy[..., 0] + 1  # + 1: the padded edge

    def at(dx: int, dy: int) -> torch.Tensor:
        return flat.gather(2, (centre + dy * width + dx)[..., None])[..., 0]

    here, right, left, below, above = at(0, 0), at(1, 0), at(-1, 0), at(0, 1), at(0, -1)
    gradient = torch.stack((0.5 * (right - left), 0.5 * (below - above)), dim=-1)
    dxx = right - 2.0 * here + left
    dyy = below - 2.0 * here + above
    dxy = 0.5 * (at(1, 1) - right - below + 2.0 * here - left - above + at(-1, -1))
    epsilon = torch.finfo(torch.float32).eps
    # Two by two, solved in closed form in float64 (on the CPU: some accelerators have no float64).
    dxx, dyy, dxy, gradient = (value.detach().cpu() for value in (dxx + epsilon, dyy + epsilon, dxy, gradient))
    dxx, dyy, dxy, gradient = dxx.double(), dyy.double(), dxy.double(), gradient.double()
    determinant = dxx * dyy - dxy * dxy
    step_x = -(dyy * gradient[..., 0] - dxy * gradient[..., 1]) / determinant
    step_y = -(dxx * gradient[..., 1] - dxy * gradient[..., 0]) / determinant
    step = torch.stack((step_x, step_y), dim=-1)
    return torch.where(torch.isfinite(step), step, 0.0).float().to(log_maps.device)
