"""Sapiens, a vision transformer with a heatmap head, in plain torch.

Architecture: Dosovitskiy et al. (ViT, ICLR 2021) as configured by Khirodkar et al. (Sapiens, ECCV 2024): pre-norm
blocks, exact GELU, no class token, fixed positions, a patch convolution with padding. Names of tensors are those of
the published weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..errors import ModelError
from .frugal import Scratch, frugal_block
from .heatmap_head import HeatmapHead
from .sapiens_architecture import (
    SAPIENS_SIZES,
    SapiensArchitecture,
    infer_architecture,
    sapiens_architecture,
)

__all__ = [
    "SAPIENS_SIZES",
    "SapiensArchitecture",
    "SapiensNetwork",
    "fitted_positions",
    "infer_architecture",
    "network_state",
    "sapiens_architecture",
]

_EPSILON = 1e-6  # of every LayerNorm in Sapiens


class SapiensNetwork(nn.Module):
    """Canvases to heatmaps at a quarter of their resolution."""

    def __init__(self, architecture: SapiensArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.backbone = SapiensBackbone(architecture)
        self.head = HeatmapHead(architecture.embed, architecture.head_channels, architecture.keypoints)

    @classmethod
    def from_state_dict(cls, architecture: SapiensArchitecture, state: Mapping[str, torch.Tensor]) -> SapiensNetwork:
        """The network around the given tensors themselves, without copying them; for inference, in eval mode.

        state: exactly the tensors of `network_state`. Raises ModelError that names what is missing, left over, or of
        a wrong shape.
        """
        with torch.device("meta"):
            network = cls(architecture)
        _require_same_tensors(network.state_dict(), state)
        network.load_state_dict(dict(state), strict=True, assign=True)
        return network.requires_grad_(False).eval()

    @property
    def stages(self) -> list[nn.Module]:
        """Parts that run one after the other and take about equally long, for progress and for stopping."""
        return [*self.backbone.layers, self.head]

    @property
    def float32_modules(self) -> list[nn.Module]:
        """Parts that stay in float32 when the rest is converted to half precision: they cost little and decide much.

        So do the tokens between the blocks and their normalisation. With bfloat16 it makes points a fifth more exact.
        """
        return [self.backbone.patch_embed.projection, self.head.final_layer]

    def forward(self, canvas: torch.Tensor, channels: slice | None = None) -> torch.Tensor:
        """(B, 3, H, W) normalised canvas → (B, K, H/4, W/4) heatmaps of the asked channels (default: all), raw."""
        return self.head(self.backbone(canvas), channels)


class SapiensBackbone(nn.Module):
    """(B, 3, H, W) → (B, embed, h, w), one feature vector per patch."""

    def __init__(self, architecture: SapiensArchitecture) -> None:
        super().__init__()
        embed = architecture.embed
        self.grid_hw = architecture.grid_hw
        self.patch_embed = PatchEmbedding(embed, architecture.patch_size, architecture.patch_padding)
        self.pos_embed = nn.Parameter(torch.zeros(1, self.grid_hw[0] * self.grid_hw[1], embed))
        self.layers = nn.ModuleList(
            TransformerBlock(embed, architecture.heads, architecture.mlp) for _ in range(architecture.layers)
        )
        self.ln1 = nn.LayerNorm(embed, eps=_EPSILON)
        self.checkpoint_gradients = False  # in training: a layer's activations are computed again, not kept

    def forward(self, canvas: torch.Tensor) -> torch.Tensor:
        tokens = self.patch_embed(canvas) + self.pos_embed  # (B, N, embed)
        if tokens.device.type == "cpu" and not torch.is_grad_enabled():
            self._run_layers_frugally(tokens)
        else:
            for layer in self.layers:
                is_repeated = self.checkpoint_gradients and torch.is_grad_enabled()
                tokens = checkpoint(layer, tokens, use_reentrant=False) if is_repeated else layer(tokens)
        return self.ln1(tokens).transpose(1, 2).unflatten(2, self.grid_hw)

    def _run_layers_frugally(self, tokens: torch.Tensor) -> None:
        """All layers, written over `tokens`, one canvas after the other."""
        scratch = Scratch(self.layers[0], tokens[0])
        for canvas_tokens in tokens:
            for layer in self.layers:
                layer(canvas_tokens, scratch)


class PatchEmbedding(nn.Module):
    def __init__(self, embed: int, patch_size: int, padding: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, embed, patch_size, stride=patch_size, padding=padding)

    def forward(self, canvas: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) → (B, N, embed), token by token in memory: every later sum and norm runs along the tokens."""
        return self.projection(canvas.to(self.projection.weight.dtype)).flatten(2).transpose(1, 2).contiguous()


class TransformerBlock(nn.Module):
    """Attention, then a two-layer perceptron, each on normalised tokens and added to them."""

    def __init__(self, embed: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(embed, eps=_EPSILON)
        self.attn = SelfAttention(embed, heads)
        self.ln2 = nn.LayerNorm(embed, eps=_EPSILON)
        self.ffn = FeedForward(embed, mlp)

    def forward(self, tokens: torch.Tensor, scratch: Scratch | None = None) -> torch.Tensor:
        """(B, N, embed) → (B, N, embed); with a scratch, (N, embed) tokens are overwritten."""
        if scratch is not None:
            return frugal_block(self, tokens, scratch)
        tokens = tokens + self.attn(self.ln1(tokens))
        return tokens + self.ffn(self.ln2(tokens))


class SelfAttention(nn.Module):
    def __init__(self, embed: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(embed, 3 * embed)
        self.proj = nn.Linear(embed, embed)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, embed) → (B, N, embed)."""
        tokens = tokens.to(self.qkv.weight.dtype)
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value)  # (B, heads, N, embed / heads)
        return self.proj(attended.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, embed: int, mlp: int) -> None:
        super().__init__()
        # nested as in the published weights: layers.0.0, layers.1
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(embed, mlp), nn.GELU()), nn.Linear(mlp, embed)])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(B, N, embed) → (B, N, embed)."""
        widen, narrow = self.layers
        return narrow(widen(tokens.to(narrow.weight.dtype)))


def fitted_positions(pos_embed: torch.Tensor, grid_hw: tuple[int, int]) -> torch.Tensor:
    """Position embeddings of a square grid, fitted to another grid.

    pos_embed: (1, n, embed); when n is odd, the first row belonged to a class token and is dropped.
    Returns (1, h w, embed) in row-major order, resized bicubically (align_corners False) as Sapiens does.
    Raises ModelError where n is no square.
    """
    count = pos_embed.shape[1]
    first = count % 2
    side = round((count - first) ** 0.5)
    if side * side != count - first:
        raise ModelError(f"'pos_embed' has {count} positions, which fill no square grid: the weights are damaged.")
    if (side, side) == tuple(grid_hw):
        return pos_embed[:, first:]
    grid = pos_embed[:, first:].float().unflatten(1, (side, side)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=grid_hw, mode="bicubic", align_corners=False)
    return grid.flatten(2).transpose(1, 2).contiguous().to(pos_embed.dtype)


def network_state(architecture: SapiensArchitecture, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A merged checkpoint's tensors as SapiensNetwork has them.

    state: "backbone." (or bare) and "head." tensors, as `merge_lora` returns them. The unused class token is dropped,
    and the position embeddings are fitted to the patch grid; all other tensors are passed on as they are.
    """
    named = {
        name if name.startswith(("backbone.", "head.")) else f"backbone.{name}": tensor
        for name, tensor in state.items()
    }
    named.pop("backbone.cls_token", None)
    positions = named.get("backbone.pos_embed")
    rows, columns = architecture.grid_hw
    if positions is not None and positions.shape[1] != rows * columns:
        named["backbone.pos_embed"] = fitted_positions(positions, architecture.grid_hw)
    return named


def _require_same_tensors(expected: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> None:
    missing = [name for name in expected if name not in given]
    if missing:
        raise ModelError(f"{len(missing)} tensors are missing from the weights, such as '{missing[0]}'.")
    left_over = [name for name in given if name not in expected]
    if left_over:
        raise ModelError(f"{len(left_over)} tensors of the weights have no place in the network: '{left_over[0]}', ….")
    for name, tensor in given.items():
        if tensor.shape != expected[name].shape:
            raise ModelError(
                f"Tensor '{name}' has shape {tuple(tensor.shape)}, but the network needs {tuple(expected[name].shape)}."
            )
