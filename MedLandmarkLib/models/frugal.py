"""Sapiens' blocks and head on a CPU, for inference: the same arithmetic with as little memory traffic as possible.

On a CPU a pass is some 24 layers of matrix products that run at the machine's full rate, and what is lost is lost
between them: memory that is asked for and given back must be mapped and cleared by the system again and again (a tenth
of the time). Here buffers are made once for a pass, and results are written over what is no longer needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from .heatmap_head import HeatmapHead
    from .sapiens import FeedForward, SelfAttention, TransformerBlock

EPSILON_INSTANCE_NORM = 1e-5
# Pixels worked on together: 6 MB at 768 channels in float32, which stay in the cache from one step to the next.
_PIXELS_PER_CHUNK = 2048


class Scratch:
    """The buffers of one pass over one canvas: N tokens of C features, H heads, M features within a block."""

    def __init__(self, block: TransformerBlock, tokens: torch.Tensor) -> None:
        count, embed = tokens.shape
        heads, dtype = block.attn.heads, block.attn.qkv.weight.dtype
        widen, _ = block.ffn.layers
        self.query_key_value = torch.empty(count, 3 * embed, dtype=dtype)
        self.by_head = torch.empty(3, 1, heads, count, embed // heads, dtype=dtype)
        self.update = torch.empty(count, embed, dtype=dtype)
        self.wide = torch.empty(count, widen[0].out_features, dtype=dtype)


def frugal_block(block: TransformerBlock, tokens: torch.Tensor, scratch: Scratch) -> torch.Tensor:
    """One transformer block, written over `tokens` (N, C)."""
    tokens.add_(_attended(block.attn, block.ln1(tokens), scratch))
    return tokens.add_(_fed_forward(block.ffn, block.ln2(tokens), scratch))


def _attended(attention: SelfAttention, tokens: torch.Tensor, scratch: Scratch) -> torch.Tensor:
    """(N, C) → (N, C), in the scratch's `update`.

    Queries, keys and values are laid out head by head first: keys and values are read once for every few queries.
    """
    tokens = tokens.to(attention.qkv.weight.dtype)
    torch.addmm(attention.qkv.bias, tokens, attention.qkv.weight.t(), out=scratch.query_key_value)
    scratch.by_head.copy_(scratch.query_key_value.unflatten(1, (3, 1, attention.heads, -1)).permute(1, 2, 3, 0, 4))
    attended = F.scaled_dot_product_attention(*scratch.by_head)  # (1, H, N, C / H)
    rows = attended[0].transpose(0, 1).flatten(1)
    return torch.addmm(attention.proj.bias, rows, attention.proj.weight.t(), out=scratch.update)


def _fed_forward(feed_forward: FeedForward, tokens: torch.Tensor, scratch: Scratch) -> torch.Tensor:
    """(N, C) → (N, C), in the scratch's `update`."""
    (widen, _), narrow = feed_forward.layers
    tokens = tokens.to(narrow.weight.dtype)
    torch.addmm(widen.bias, tokens, widen.weight.t(), out=scratch.wide)
    torch.ops.aten.gelu_(scratch.wide)
    return torch.addmm(narrow.bias, scratch.wide, narrow.weight.t(), out=scratch.update)


def frugal_heatmaps(
    head: HeatmapHead, features: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """(C, h, w) → (K, 4 h, 4 w) by the head and the last layer's `weight` (K, …) and `bias`.

    One full-size feature map is in memory and rewritten in place. Channels come last, so that a pixel is a row:
    deconvolutions are fastest so, 1 × 1 convolutions are plain matrix products, and normalisation and SiLU are done on
    rows that are in the cache anyway.
    """
    first, second = head.deconv_layers.values()
    height, width = features.shape[1:]
    rows = _pixel_rows(first(features[None].contiguous(memory_format=torch.channels_last)))
    for chunk, active in _active_chunks(rows):
        chunk.copy_(active)
    rows = _pixel_rows(second(rows.view(1, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)))
    for layer in head.conv_layers.values():
        mixing = layer.weight.flatten(1).t()
        for chunk, active in _active_chunks(rows):
            torch.addmm(layer.bias, active.to(rows.dtype), mixing, out=chunk)
    heatmaps = weight.new_empty(weight.shape[0], rows.shape[0])
    at = 0
    for chunk, active in _active_chunks(rows):
        map_piece = heatmaps[:, at : at + len(chunk)]
        torch.addmm(bias[:, None], weight.flatten(1), active.to(weight.dtype).t(), out=map_piece)
        at += len(chunk)
    return heatmaps.view(-1, 4 * height, 4 * width)


def _pixel_rows(maps: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w) → (h w, C), a view where the channels come last in memory already."""
    return maps.permute(0, 2, 3, 1).contiguous().flatten(0, 2)


def _active_chunks(rows: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """For pieces of `rows` (pixels, channels) in turn: the piece, and SiLU of its normalised values, float32."""
    mean, spread_inverse = _mean_and_inverse_spread(rows)
    shift = -mean * spread_inverse
    for chunk in rows.split(_PIXELS_PER_CHUNK):
        active = torch.addcmul(shift, chunk.float(), spread_inverse)
        yield chunk, F.silu(active, inplace=True)


def _mean_and_inverse_spread(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Per channel over all pixels: the mean and 1 / sqrt(variance + epsilon), both (channels,) float32.

    Sums are matrix products with ones, many times faster than reductions along the strided axis; a channel's level
    near its mean is taken off first, so that the difference of squares loses nothing.
    """
    level = rows[:_PIXELS_PER_CHUNK].float().mean(dim=0)
    total = torch.zeros(rows.shape[1], dtype=torch.float64)
    total_of_squares = torch.zeros_like(total)
    for chunk in rows.split(_PIXELS_PER_CHUNK):
        offset = chunk.float() - level
        ones = offset.new_ones(1, len(offset))
        total += (ones @ offset)[0]
        total_of_squares += (ones @ offset.square_())[0]
    mean = total / len(rows)
    variance = (total_of_squares / len(rows) - mean.square()).clamp_min(0.0)
    return (level + mean).float(), (variance + EPSILON_INSTANCE_NORM).rsqrt().float()
