"""What a Sapiens network looks like, as data, and how much of it the shapes of its weights tell.

Sizes: Khirodkar et al., "Sapiens: Foundation for Human Vision Models", ECCV 2024, table 1 (the Sapiens family).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..errors import ModelError

# embed, layers, heads, mlp
SAPIENS_SIZES: dict[str, tuple[int, int, int, int]] = {
    "0.3b": (1024, 24, 16, 4096),
    "0.6b": (1280, 32, 16, 5120),
    "1b": (1536, 40, 24, 6144),
    "2b": (1920, 48, 32, 7680),
}
_HEADS_OF_EMBED = {embed: heads for embed, _, heads, _ in SAPIENS_SIZES.values()}
_LAYER = re.compile(r"layers\.(\d+)\.ln1\.weight$")
_OVERRIDES = ("heads", "patch_padding", "input_size_wh")


@dataclass(frozen=True)
class SapiensArchitecture:
    """The numbers that fix a Sapiens network.

    embed, layers, heads, mlp: of the transformer. patch_size, patch_padding: of its first convolution, px.
    input_size_wh: canvas (W, H), px. head_channels: of the heatmap head; keypoints: its outputs (0: no head).
    """

    embed: int
    layers: int
    heads: int
    mlp: int
    patch_size: int = 16
    patch_padding: int = 2
    input_size_wh: tuple[int, int] = (768, 1024)
    head_channels: int = 768
    keypoints: int = 0

    def __post_init__(self) -> None:
        if self.heads < 1 or self.embed % self.heads:
            raise ModelError(f"{self.embed} features cannot be shared by {self.heads} attention heads.")
        if min(self.grid_hw) < 1:
            raise ModelError(f"A canvas of {self.input_size_wh} px is smaller than a patch of {self.patch_size} px.")

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Rows and columns of the patch grid; the patches begin `patch_padding` px before the canvas."""
        width, height = (
            (side + 2 * self.patch_padding - self.patch_size) // self.patch_size + 1 for side in self.input_size_wh
        )
        return height, width

    @property
    def heatmap_size_wh(self) -> tuple[int, int]:
        """Heatmap (W, H), px: the head doubles the patch grid twice."""
        height, width = self.grid_hw
        return 4 * width, 4 * height

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "input_size_wh": list(self.input_size_wh)}


def sapiens_architecture(
    size: str, keypoints: int, input_size_wh: tuple[int, int] = (768, 1024)
) -> SapiensArchitecture:
    """The architecture of a member of the family ("0.3b", "0.6b", "1b", "2b"). Raises ModelError for another name."""
    if size not in SAPIENS_SIZES:
        raise ModelError(f"There is no Sapiens of size '{size}'. Sizes: {', '.join(SAPIENS_SIZES)}.")
    embed, layers, heads, mlp = SAPIENS_SIZES[size]
    return SapiensArchitecture(embed, layers, heads, mlp, input_size_wh=input_size_wh, keypoints=keypoints)


def infer_architecture(
    state: Mapping[str, torch.Tensor], overrides: Mapping[str, Any] | None = None
) -> SapiensArchitecture:
    """The architecture that a state dict's shapes show.

    state: backbone tensors with or without the prefix "backbone.", and "head." tensors where there is a head; only
    shapes are read. overrides: what shapes cannot tell, any of "heads", "patch_padding", "input_size_wh" (W, H);
    without it the members of the Sapiens family are known by their width.
    Raises ModelError where tensors are missing or contradict each other, or the width is not of the family.
    """
    overrides = _checked_overrides(overrides or {})
    shapes = {name.removeprefix("backbone."): tuple(tensor.shape) for name, tensor in state.items()}
    embed, _, patch_size, _ = _shape(shapes, "patch_embed.projection.weight", 4)
    layers = {int(found[1]) for name in shapes if (found := _LAYER.match(name))}
    if not layers or layers != set(range(len(layers))):
        raise ModelError(f"The weights hold transformer layers {sorted(layers)}: some are missing. Get the file again.")
    mlp, _ = _shape(shapes, "layers.0.ffn.layers.0.0.weight", 2)
    heads = overrides.get("heads") or _HEADS_OF_EMBED.get(embed)
    if heads is None:
        raise ModelError(
            f"A backbone of width {embed} is none of Sapiens {', '.join(SAPIENS_SIZES)}, and its number of attention "
            'heads cannot be seen from its weights. State it with --architecture FILE.json, such as {"heads": 16}.'
        )
    head_channels, keypoints = _head_shape(shapes, embed)
    return SapiensArchitecture(
        embed=embed,
        layers=len(layers),
        heads=heads,
        mlp=mlp,
        patch_size=patch_size,
        patch_padding=overrides.get("patch_padding", 2),
        input_size_wh=overrides.get("input_size_wh", (768, 1024)),
        head_channels=head_channels,
        keypoints=keypoints,
    )


def _checked_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in overrides.items() if key in _OVERRIDES}
    for key, least in (("heads", 1), ("patch_padding", 0)):
        if key in known and not (isinstance(known[key], int) and known[key] >= least):
            raise ModelError(f"Architecture: '{key}' is {known[key]!r}; it must be a whole number of {least} or more.")
    if "input_size_wh" in known:
        size = known["input_size_wh"]
        if not (isinstance(size, (list, tuple)) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
            raise ModelError(f"Architecture: 'input_size_wh' is {size!r}; it must be [width, height] in pixels.")
        known["input_size_wh"] = (size[0], size[1])
    return known


def _head_shape(shapes: Mapping[str, tuple[int, ...]], embed: int) -> tuple[int, int]:
    """(channels, keypoints) of the heatmap head; (768, 0) where the state has none."""
    if not any(name.startswith("head.") for name in shapes):
        return 768, 0
    keypoints, channels, *_ = _shape(shapes, "head.final_layer.weight", 4)
    expected = {
        "head.deconv_layers.0.weight": (embed, channels, 4, 4),
        "head.deconv_layers.3.weight": (channels, channels, 4, 4),
        "head.conv_layers.0.weight": (channels, channels, 1, 1),
        "head.conv_layers.3.weight": (channels, channels, 1, 1),
    }
    for name, shape in expected.items():
        if _shape(shapes, name, 4) != shape:
            raise ModelError(
                f"Tensor '{name}' has shape {shapes[name]}, but {shape} is needed: the head does not fit the backbone. "
                "Was it trained on another size of Sapiens?"
            )
    return channels, keypoints


def _shape(shapes: Mapping[str, tuple[int, ...]], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in shapes:
        raise ModelError(f"Tensor '{name}' is missing: these are not the weights of a Sapiens network.")
    if len(shapes[name]) != dimensions:
        raise ModelError(f"Tensor '{name}' has shape {shapes[name]}; it should have {dimensions} dimensions.")
    return shapes[name]
