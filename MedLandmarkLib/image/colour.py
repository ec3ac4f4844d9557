"""From luminance and chrominance to RGB, to the last bit as libjpeg does it."""

from __future__ import annotations

import numpy as np


def rgb_from_ybr_full(ybr: np.ndarray) -> np.ndarray:
    """RGB of YCbCr in full range, (..., 3) uint8: JFIF 1.02 section 7, which is DICOM's YBR_FULL (PS3.3 C.7.6.3.1.2).

    Constants and rounding are those of libjpeg's integer tables (16 fractional bits), so that a colour JPEG gives the
    values that OpenCV, and with it the reference pipeline, sees.
    """
    luma = ybr[..., 0].astype(np.int32)
    offset = np.arange(256, dtype=np.int32) - 128
    half = 1 << 15
    red_of_cr = (_fixed(1.402) * offset + half) >> 16
    blue_of_cb = (_fixed(1.772) * offset + half) >> 16
    green_of_cb = -_fixed(0.34414) * offset + half
    green_of_cr = -_fixed(0.71414) * offset
    cb, cr = ybr[..., 1], ybr[..., 2]
    rgb = np.empty(ybr.shape, np.uint8)
    rgb[..., 0] = np.clip(luma + red_of_cr[cr], 0, 255)
    rgb[..., 1] = np.clip(luma + ((green_of_cb[cb] + green_of_cr[cr]) >> 16), 0, 255)
    rgb[..., 2] = np.clip(luma + blue_of_cb[cb], 0, 255)
    return rgb


def rgb_from_ybr_partial(ybr: np.ndarray) -> np.ndarray:
    """RGB of YCbCr in studio range (luma 16 to 235, chroma 16 to 240), (..., 3) uint8: YBR_PARTIAL_422 and _420."""
    luma = (ybr[..., 0].astype(np.float32) - 16) * (255 / 219)
    cb = (ybr[..., 1].astype(np.float32) - 128) * (255 / 224)
    cr = (ybr[..., 2].astype(np.float32) - 128) * (255 / 224)
    rgb = np.stack((luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb), axis=-1)
    return np.floor(np.clip(rgb, 0, 255) + 0.5).astype(np.uint8)


def _fixed(value: float) -> int:
    return int(value * 65536 + 0.5)
