"""Small DICOM files made on the fly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from MedLandmarkLib.image import read_image

RAMP = np.arange(40 * 50, dtype=np.int16).reshape(40, 50) - 1000
GREY8 = np.random.default_rng(3).integers(0, 256, (40, 50), np.uint8)
RGB8 = np.random.default_rng(4).integers(0, 256, (40, 50, 3), np.uint8)

SOP_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "IO": "1.2.840.10008.5.1.4.1.1.1.3",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "XA": "1.2.840.10008.5.1.4.1.1.12.1",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
}


def dicom_dataset(pixels: np.ndarray, modality: str = "OT", **attributes) -> Dataset:
    """A dataset of `pixels`: (rows, columns), (frames, rows, columns), or either with 3 colours as the last axis."""
    samples = 3 if pixels.shape[-1] == 3 else 1
    rows, columns = pixels.shape[-3:-1] if samples == 3 else pixels.shape[-2:]
    frames = pixels.size // (rows * columns * samples)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SOP_CLASSES[modality]
    dataset.SOPInstanceUID = generate_uid()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = modality
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, samples
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        dataset.PlanarConfiguration = 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def write_dicom(path: Path, pixels: np.ndarray, modality: str = "OT", **attributes) -> Path:
    dicom_dataset(pixels, modality, **attributes).save_as(path, enforce_file_format=True)
    return path


def item(**attributes) -> Dataset:
    """An item of a sequence."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def sequence(*items: Dataset) -> Sequence:
    return Sequence(items)


def ultrasound_region(x0: int, y0: int, x1: int, y1: int, delta_cm: float = 0.02, **attributes) -> Dataset:
    """A 2D tissue region measured in centimetres, unless `attributes` say otherwise."""
    return item(
        **{
            "RegionSpatialFormat": 1,
            "RegionDataType": 1,
            "RegionFlags": 0,
            "RegionLocationMinX0": x0,
            "RegionLocationMinY0": y0,
            "RegionLocationMaxX1": x1,
            "RegionLocationMaxY1": y1,
            "PhysicalUnitsXDirection": 3,
            "PhysicalUnitsYDirection": 3,
            "PhysicalDeltaX": delta_cm,
            "PhysicalDeltaY": delta_cm,
            **attributes,
        }
    )


def packaged(name: str) -> Path:
    """A file inside pydicom's wheel; never downloaded."""
    path = get_testdata_file(name, download=False)
    assert path is not None, f"pydicom {pydicom.__version__} does not ship {name}"
    return Path(path)


def grey(path: Path, frame: int = 0, slice_index: int = 0) -> np.ndarray:
    """The picture of a grey image: (rows, columns) uint8."""
    picture = read_image(path).display_rgb(frame, slice_index)
    assert (picture[..., 0] == picture[..., 1]).all() and (picture[..., 0] == picture[..., 2]).all()
    return picture[..., 0]
