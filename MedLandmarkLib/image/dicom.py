"""One DICOM file as an image."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ..errors import ImageError
from .calibration import dicom_calibration
from .dicom_geometry import frame_layout, frame_times_s
from .dicom_pixels import decoded_pixels, pixel_layout
from .dicom_values import grey_display, modality_values
from .display import Display, HighByte
from .image import Image
from .limits import BOMB_BYTES, BOMB_RATIO, MAX_DECODED_BYTES

# What a damaged header makes pydicom raise, besides its own errors.
DAMAGE = (
    InvalidDicomError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
)


def read_dicom(path: Path) -> Image:
    """A picture, cine or multi-frame volume with its geometry, calibration, grey transformation and frame times.

    Overlays and presentation states are not applied. Raises ImageError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on values that do not follow the standard
        try:
            return _image(_dataset(path), path)
        except (*DAMAGE, OSError) as error:
            if getattr(error, "errno", None) is not None:  # the disk's fault, not the file's
                raise
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ImageError(f"its DICOM data is damaged or cut ({reason}). Export it again.") from error


def _image(dataset: Dataset, path: Path) -> Image:
    if "PixelData" not in dataset:
        kind = getattr(dataset.get("SOPClassUID"), "name", "") or dataset.get("Modality") or "unknown content"
        raise ImageError(f"it is a DICOM file that holds no picture, or was cut ({kind}).")
    layout = pixel_layout(dataset, path.stat().st_size)
    # Calibration and geometry come first: they are cheap, and a wrong header is not worth decoding.
    calibration = dicom_calibration(dataset, layout.columns, layout.rows)
    frames = frame_layout(dataset, layout.frames, calibration.spacing_mm or (1.0, 1.0))
    pixels = decoded_pixels(dataset, layout)  # (stored frames, rows, columns, channels)
    notes = frames.warnings
    if layout.is_grey:
        stored, pixels = pixels, modality_values(dataset, pixels)
        inverted = layout.photometric == "MONOCHROME1"
        display, more = grey_display(dataset, pixels, stored, inverted=inverted)
        notes += more
    else:
        bits = layout.bits_stored if layout.samples == 3 else pixels.dtype.itemsize * 8
        display = Display(HighByte(max(bits - 8, 0)))
    # (frames, slices, rows, columns, channels); a cine is in stored order and needs no copy
    pixels = pixels[:, np.newaxis] if frames.is_cine else pixels[frames.order]
    return Image(
        pixels,
        frames.ijk_to_ras,
        calibration,
        path=path,
        modality=str(dataset.get("Modality") or ""),
        frame_times_s=frame_times_s(dataset, layout.frames) if frames.is_cine else None,
        warnings=notes,
        display=display,
    )


def _dataset(path: Path) -> Dataset:
    """The whole file, with a transfer syntax even where an old file does not state one."""
    with open(path, "rb") as file:
        has_prefix = file.read(132)[128:] == b"DICM"
    if has_prefix:
        _check_deflated(path)
    dataset = pydicom.dcmread(path, force=not has_prefix)
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    if meta.get("MediaStorageSOPClassUID") == "1.2.840.10008.1.3.10":
        raise ImageError("it is a DICOMDIR, which lists images. Give one of the images.")
    if not meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        )
    dataset.file_meta = meta
    return dataset


def _check_deflated(path: Path) -> None:
    """Inflate a deflated file piece by piece before it is held whole, so that a bomb is refused and not opened."""
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    with open(path, "rb") as file:
        # file meta information: preamble, prefix, then the group length element and what it counts
        file.seek(132 + 12 + int(meta.FileMetaInformationGroupLength))
        inflater, found = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while piece := inflater.unconsumed_tail or file.read(1 << 16):
            found += len(inflater.decompress(piece, 1 << 20))
            if found > MAX_DECODED_BYTES or (found > BOMB_BYTES and found > BOMB_RATIO * path.stat().st_size):
                raise ImageError("it unfolds to far more data than a picture has: it looks like a decompression bomb.")
