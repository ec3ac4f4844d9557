"""JPEG, JPEG-LS and JPEG 2000 code streams decoded by GDCM (inside SimpleITK), and nothing but decoded.

A DICOM reader that is handed a whole file also converts colours and rescales, by rules that differ with SOP class and
version. So the streams are put into a bare file that says nothing of colour or units; what the numbers mean is decided
by the caller. The same door serves JPEG files: ITK's own JPEG reader interpolates colour more coarsely than OpenCV's,
which the reference pipeline uses, prints damage on stdout and carries on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from ..errors import ImageError
from .itk import execute


def decode_streams(
    streams: Sequence[bytes],
    transfer_syntax: str,
    *,
    rows: int,
    columns: int,
    samples: int,
    bits_allocated: int = 8,
    bits_stored: int = 8,
    signed: bool = False,
) -> np.ndarray:
    """One code stream per frame, decoded: (frames, rows, columns, samples), components as they were encoded.

    JPEG components are not converted to RGB; JPEG 2000's own component transform is undone, as its standard demands.
    Raises ImageError when a stream is damaged or is not of the stated size.
    """
    bare = Dataset()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = transfer_syntax
    bare.SOPClassUID = SecondaryCaptureImageStorage
    bare.SOPInstanceUID = generate_uid()
    bare.file_meta.MediaStorageSOPClassUID = bare.SOPClassUID
    bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPInstanceUID
    bare.Rows, bare.Columns, bare.SamplesPerPixel = rows, columns, samples
    bare.NumberOfFrames = len(streams)
    bare.BitsAllocated, bare.BitsStored, bare.HighBit = bits_allocated, bits_stored, bits_stored - 1
    bare.PixelRepresentation = int(signed)
    bare.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
    if samples > 1:
        bare.PlanarConfiguration = 0
    bare.PixelData = encapsulate(list(streams), has_bot=False)
    bare["PixelData"].is_undefined_length = True
    with tempfile.TemporaryDirectory(prefix="medlandmark-") as folder:
        path = Path(folder) / "streams.dcm"
        bare.save_as(path, enforce_file_format=True)
        pixels = SimpleITK.GetArrayFromImage(execute(path, "GDCMImageIO"))
    expected = (len(streams), rows, columns, samples)
    if pixels.size != np.prod(expected):
        raise ImageError(f"its pixel data decodes to {pixels.shape}, not to the {expected} its header states.")
    return pixels.reshape(expected)
