"""Random changes to whole batches, with the landmarks following exactly (kornia)."""

from __future__ import annotations

from dataclasses import dataclass

import kornia.augmentation as K
import torch
from torch import nn

from .bending import bent


@dataclass(frozen=True)
class AugmentationRecipe:
    """Strengths of the random changes; `name` is what the command line and the model card call them.

    rotation in degrees either way; shift as a share of the canvas; scale as (lowest, highest) factor; bend: as a share
    of the canvas' diagonal (`bending.bent`).
    """

    name: str
    rotation: float
    shift: float
    scale: tuple[float, float]
    geometric_probability: float
    mirror_probability: float
    brightness: float
    contrast: float
    gamma: tuple[float, float]
    noise: float
    blur_probability: float
    dropout_probability: float
    dropout_area: tuple[float, float]
    bend: float = 0.0


AUGMENTATIONS = {
    recipe.name: recipe
    for recipe in (
        AugmentationRecipe(
            name="none", rotation=0.0, shift=0.0, scale=(1.0, 1.0), geometric_probability=0.0, mirror_probability=0.0,
            brightness=0.0, contrast=0.0, gamma=(1.0, 1.0), noise=0.0, blur_probability=0.0, dropout_probability=0.0,
            dropout_area=(0.02, 0.04),
        ),
        # Radiographs and echo views are taken in a standard position: small changes of pose, large ones of grey level.
        AugmentationRecipe(
            name="mild", rotation=12.0, shift=0.06, scale=(0.82, 1.18), geometric_probability=0.9,
            mirror_probability=0.0, brightness=0.15, contrast=0.35, gamma=(0.6, 1.6), noise=0.03, blur_probability=0.1,
            dropout_probability=0.3, dropout_area=(0.01, 0.06),
        ),
        # For several hospitals: tilted heads, other fields of view and other windows as well.
        AugmentationRecipe(
            name="varied", rotation=16.0, shift=0.08, scale=(0.75, 1.28), geometric_probability=0.95,
            mirror_probability=0.0, brightness=0.15, contrast=0.4, gamma=(0.55, 1.8), noise=0.03, blur_probability=0.1,
            dropout_probability=0.25, dropout_area=(0.01, 0.05),
        ),
        # As varied and bent; for few images of a view whose sides are told by where they lie, as in echocardiography.
        AugmentationRecipe(
            name="strong", rotation=20.0, shift=0.08, scale=(0.72, 1.32), geometric_probability=0.95,
            mirror_probability=0.0, brightness=0.15, contrast=0.4, gamma=(0.55, 1.8), noise=0.04, blur_probability=0.15,
            dropout_probability=0.4, dropout_area=(0.01, 0.05), bend=0.009,
        ),
        # As varied; for few images of what differs in shape from one to the next, and may face either way.
        AugmentationRecipe(
            name="bent", rotation=18.0, shift=0.08, scale=(0.72, 1.32), geometric_probability=0.95,
            mirror_probability=0.3, brightness=0.15, contrast=0.4, gamma=(0.55, 1.8), noise=0.03, blur_probability=0.15,
            dropout_probability=0.4, dropout_area=(0.01, 0.05), bend=0.007,
        ),
        # For what lies in the picture in any pose, as a fetus does, and looks the same in a mirror.
        AugmentationRecipe(
            name="any-pose", rotation=40.0, shift=0.1, scale=(0.7, 1.35), geometric_probability=0.95,
            mirror_probability=0.5, brightness=0.15, contrast=0.4, gamma=(0.55, 1.8), noise=0.04, blur_probability=0.15,
            dropout_probability=0.4, dropout_area=(0.01, 0.06),
        ),
        # The MedSapiens recipe: shift 0.16, scale 0.5 to 1.5, rotation 80 degrees, mirroring, one large hole.
        AugmentationRecipe(
            name="reference", rotation=80.0, shift=0.16, scale=(0.5, 1.5), geometric_probability=0.6,
            mirror_probability=0.5, brightness=0.13, contrast=0.5, gamma=(1.0, 1.0), noise=0.0, blur_probability=0.1,
            dropout_probability=1.0, dropout_area=(0.04, 0.16),
        ),
    )
}  # fmt: skip


class Augmentation(nn.Module):
    """Changes pictures and landmarks together.

    forward: pictures (B, C, H, W) 0..1 and canvas_xy (B, K, 2), NaN where a landmark is absent → the same, changed.
    A landmark that leaves the canvas becomes NaN: it is not in the picture any more.
    """

    def __init__(self, recipe: AugmentationRecipe, mirrored_order: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.recipe = recipe
        self.mirrored_order = mirrored_order
        degrees, shift = recipe.rotation, (recipe.shift, recipe.shift)
        # align_corners: pixel centres at integers, the convention of canvas_xy
        self.geometric = K.AugmentationSequential(
            K.RandomAffine(degrees, shift, recipe.scale, p=recipe.geometric_probability, align_corners=True),
            data_keys=["input", "keypoints"],
        )
        self.photometric = nn.Sequential(
            K.RandomBrightness((1.0 - recipe.brightness, 1.0 + recipe.brightness), p=0.5),
            K.RandomContrast((1.0 - recipe.contrast, 1.0 + recipe.contrast), p=0.5),
            K.RandomGamma(recipe.gamma, p=0.5),
            K.RandomGaussianBlur((5, 5), (0.5, 1.5), p=recipe.blur_probability),
            K.RandomGaussianNoise(std=recipe.noise, p=0.5 if recipe.noise else 0.0),
            K.RandomErasing(recipe.dropout_area, (0.5, 2.0), p=recipe.dropout_probability),
        )

    @torch.no_grad()
    def forward(self, pictures: torch.Tensor, canvas_xy: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.recipe.name == "none":
            return pictures, canvas_xy
        if self.mirrored_order is not None and torch.rand(()) < self.recipe.mirror_probability:
            pictures, canvas_xy = mirrored(pictures, canvas_xy, self.mirrored_order)
        absent = canvas_xy.isnan().any(dim=-1)
        pictures, canvas_xy = self.geometric(pictures, canvas_xy.nan_to_num(0.0))
        canvas_xy = canvas_xy.clone()
        if self.recipe.bend:
            pictures, canvas_xy = bent(pictures, canvas_xy, self.recipe.bend)
        canvas_xy[absent | is_outside(canvas_xy, pictures)] = float("nan")
        return self.photometric(pictures).clamp(0.0, 1.0), canvas_xy


def mirrored(
    pictures: torch.Tensor, canvas_xy: torch.Tensor, mirrored_order: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures and landmarks left to right; landmark k of the result is landmark mirrored_order[k] of the original."""
    width = pictures.shape[-1]
    canvas_xy = canvas_xy[:, list(mirrored_order)].clone()
    canvas_xy[..., 0] = (width - 1) - canvas_xy[..., 0]
    return pictures.flip(-1), canvas_xy


def is_outside(canvas_xy: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """(B, K) bool: which points (B, K, 2) lie outside their pictures (B, C, H, W)."""
    height, width = pictures.shape[-2:]
    x, y = canvas_xy.unbind(dim=-1)
    return (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
