"""The pixels of a DICOM image as numbers: decoded, unused bits cleared, colour as RGB."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import apply_color_lut, pixel_array
from pydicom.uid import UID, RLELossless

from ..errors import ImageError
from .colour import rgb_from_ybr_full, rgb_from_ybr_partial
from .dicom_fields import whole_number
from .gdcm import decode_streams
from .jpeg import parse_jpeg
from .limits import check_size

_JPEG_DCT = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_STREAMS = (
    *_JPEG_DCT,
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.90",  # JPEG 2000
    "1.2.840.10008.1.2.4.91",
)
_JPEG2000 = _STREAMS[-2:]
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT")


@dataclass(frozen=True)
class PixelLayout:
    """What the Image Pixel module (PS3.3 C.7.6.3) says of the pixel data."""

    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    photometric: str
    transfer_syntax: UID

    @property
    def is_grey(self) -> bool:
        return self.photometric in _GREY


def pixel_layout(dataset: Dataset, stored_bytes: int) -> PixelLayout:
    """The layout, checked against the limits and against what can be read. Raises ImageError."""
    layout = PixelLayout(
        frames=max(whole_number(dataset, "NumberOfFrames", 1), 1),
        rows=whole_number(dataset, "Rows"),
        columns=whole_number(dataset, "Columns"),
        samples=whole_number(dataset, "SamplesPerPixel", 1),
        bits_allocated=whole_number(dataset, "BitsAllocated"),
        bits_stored=whole_number(dataset, "BitsStored", whole_number(dataset, "BitsAllocated")),
        high_bit=whole_number(dataset, "HighBit", whole_number(dataset, "BitsStored", 8) - 1),
        signed=whole_number(dataset, "PixelRepresentation", 0) == 1,
        photometric=str(dataset.get("PhotometricInterpretation") or "").strip(),
        transfer_syntax=UID(dataset.file_meta.TransferSyntaxUID),
    )
    samples = {**dict.fromkeys((*_GREY, "PALETTE COLOR"), 1), **dict.fromkeys(_COLOURS, 3)}.get(layout.photometric)
    if samples is None:
        raise ImageError(f"its colours are '{layout.photometric}' (PhotometricInterpretation); grey and RGB are read.")
    if samples != layout.samples:
        raise ImageError(f"it has {layout.samples} samples per pixel, but {layout.photometric} has {samples}.")
    if layout.bits_allocated not in (8, 16, 32):
        raise ImageError(f"its pixels have {layout.bits_allocated} bits; 8, 16 and 32 are read.")
    if not 0 < layout.bits_stored <= layout.bits_allocated or layout.high_bit < layout.bits_stored - 1:
        raise ImageError(
            f"its BitsStored {layout.bits_stored} and HighBit {layout.high_bit} do not fit BitsAllocated "
            f"{layout.bits_allocated}: the header is damaged."
        )
    check_size(
        (layout.columns, layout.rows),
        count=layout.frames,
        bytes_per_pixel=layout.samples * layout.bits_allocated // 8,
        stored_bytes=stored_bytes,
    )
    return layout


def decoded_pixels(dataset: Dataset, layout: PixelLayout) -> np.ndarray:
    """Stored values (frames, rows, columns, 1), or RGB (frames, rows, columns, 3). Raises ImageError."""
    if layout.transfer_syntax in _STREAMS:
        pixels, is_ybr = _decode_streams(dataset, layout)
    elif not layout.transfer_syntax.is_encapsulated or layout.transfer_syntax == RLELossless:
        plugin = "pydicom" if layout.transfer_syntax.is_encapsulated else ""  # the same result whatever is installed
        pixels = pixel_array(dataset, raw=True, decoding_plugin=plugin)
        is_ybr = layout.photometric.startswith("YBR")
    else:
        raise ImageError(
            f"its transfer syntax is {layout.transfer_syntax.name}, which cannot be decoded here. Export it "
            "uncompressed, or as JPEG, JPEG-LS, JPEG 2000 or RLE."
        )
    expected = (layout.frames, layout.rows, layout.columns, layout.samples)
    if pixels.size != np.prod(expected):
        raise ImageError(f"its pixel data decodes to {pixels.shape}, not to the {expected} its header states.")
    pixels = _used_bits(pixels.reshape(expected), layout)
    if layout.photometric == "PALETTE COLOR":
        return apply_color_lut(pixels[..., 0], dataset)[..., :3]
    if not is_ybr:
        return pixels
    if pixels.dtype != np.uint8:
        raise ImageError(f"its colour is {layout.photometric} with {layout.bits_allocated} bits; 8 bits are read.")
    return rgb_from_ybr_partial(pixels) if "PARTIAL" in layout.photometric else rgb_from_ybr_full(pixels)


def _decode_streams(dataset: Dataset, layout: PixelLayout) -> tuple[np.ndarray, bool]:
    """Pixels of a compressed image, and whether they are still luminance and chrominance."""
    streams = list(generate_frames(dataset.PixelData, number_of_frames=layout.frames))
    if len(streams) < layout.frames:
        raise ImageError(f"it has {len(streams)} of the {layout.frames} frames its header announces: it was cut.")
    streams = streams[: layout.frames]
    pixels = decode_streams(
        streams,
        layout.transfer_syntax,
        rows=layout.rows,
        columns=layout.columns,
        samples=layout.samples,
        bits_allocated=layout.bits_allocated,
        bits_stored=layout.bits_stored,
        signed=layout.signed,
    )
    return pixels, layout.samples == 3 and _stays_ybr(streams[0], layout)


def _stays_ybr(stream: bytes, layout: PixelLayout) -> bool:
    """Whether decoded components are YCbCr. The stream knows better than the header, which is often wrong.

    JPEG: the Adobe and JFIF markers, then the component names, then the header. JPEG 2000: its component transform,
    stated in the stream, is already undone; YBR_FULL without one is left as it is.
    """
    says_ybr = layout.photometric.startswith("YBR")
    if layout.transfer_syntax in _JPEG2000:
        return layout.photometric.startswith("YBR_FULL") and not _has_component_transform(stream)
    if layout.transfer_syntax not in _JPEG_DCT:
        return says_ybr
    header = parse_jpeg(stream)
    if header.adobe_transform is not None or header.has_jfif or header.components == tuple(b"RGB"):
        return header.is_ybr
    return says_ybr


def _has_component_transform(stream: bytes) -> bool:
    """The multiple component transformation byte of a JPEG 2000 COD segment (ISO/IEC 15444-1, A.6.1)."""
    position = stream.find(b"\xff\x52")
    return position >= 0 and stream[position + 8 : position + 9] == b"\1"


def _used_bits(pixels: np.ndarray, layout: PixelLayout) -> np.ndarray:
    """Values of the stored bits alone: old scanners keep overlays in the bits above (PS3.5 section 8.1.1)."""
    bits = pixels.dtype.itemsize * 8
    if layout.bits_stored >= bits or pixels.dtype.kind not in "iu" or layout.transfer_syntax in _STREAMS:
        return pixels
    left = np.array(max(bits - 1 - layout.high_bit, 0), pixels.dtype)
    return (pixels << left) >> np.array(bits - layout.bits_stored, pixels.dtype)
