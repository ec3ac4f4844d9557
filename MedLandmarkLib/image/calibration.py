"""How far the millimetres of a DICOM image can be trusted (PS3.3 section 10.7, C.8.5.5).

ITK's reader, and so Slicer, uses ImagerPixelSpacing of a radiograph even where a calibrated PixelSpacing stands beside
it, and 1 mm where it finds nothing. Here the header itself is read, and what it says is kept apart from what it means.
"""

from __future__ import annotations

import math

from pydicom.dataset import Dataset

from .dicom_fields import group_of_frame, items, number, numbers
from .image import Calibration
from .limits import check_spacing
from .ultrasound import ultrasound_calibration

# Shadows on a detector or film: magnified by the ratio of the distances source-detector and source-patient.
PROJECTION_MODALITIES = frozenset({"CR", "DX", "DR", "IO", "PX", "MG", "XA", "RF", "RG"})
# Sections: their pixel spacing is measured in the patient.
SECTION_MODALITIES = frozenset({"CT", "MR", "PT", "NM"})

_ON_FILM = "NominalScannedPixelSpacing (0018,2010): size on the scanned film"


def dicom_calibration(dataset: Dataset, columns: int, rows: int) -> Calibration:
    """The calibration of an image from its header. Raises ImageError for a spacing that is no length."""
    measures = group_of_frame(dataset, 0, "PixelMeasuresSequence")
    pixel_spacing = _spacing(measures, "PixelSpacing")
    modality = str(dataset.get("Modality") or "")
    regions = items(dataset, "SequenceOfUltrasoundRegions")
    if regions:
        return ultrasound_calibration(regions, columns, rows)
    if modality in PROJECTION_MODALITIES:
        return _projection_calibration(dataset, pixel_spacing)
    if pixel_spacing is not None:
        return _pixel_spacing_calibration(dataset, pixel_spacing, modality)
    imager = _spacing(dataset, "ImagerPixelSpacing")
    if imager is not None:
        return Calibration("detector-plane", "ImagerPixelSpacing (0018,1164)" + _magnification(dataset), imager)
    scanned = _spacing(dataset, "NominalScannedPixelSpacing")
    if scanned is not None and dataset.get("ConversionType") == "DF":
        return Calibration("detector-plane", _ON_FILM, scanned)
    if scanned is not None:
        return Calibration("none", "NominalScannedPixelSpacing (0018,2010) measures the scanned page, not the patient")
    return Calibration("none", "the DICOM header states no pixel spacing")


def _projection_calibration(dataset: Dataset, pixel_spacing: tuple[float, float] | None) -> Calibration:
    """PS3.3 10.7.1.2: PixelSpacing that differs from ImagerPixelSpacing was calibrated; equal to it, it was not."""
    imager = _spacing(dataset, "ImagerPixelSpacing")
    calibration_type = str(dataset.get("PixelSpacingCalibrationType") or "")
    if pixel_spacing is not None and calibration_type:
        source = f"PixelSpacing (0028,0030), calibrated by {calibration_type.lower()}"
        return Calibration("calibrated", source, pixel_spacing)
    if pixel_spacing is not None and imager is not None:
        if not all(math.isclose(a, b, rel_tol=1e-4) for a, b in zip(pixel_spacing, imager, strict=True)):
            source = "PixelSpacing (0028,0030), which differs from ImagerPixelSpacing"
            return Calibration("calibrated", source, pixel_spacing)
        source = "PixelSpacing (0028,0030), equal to ImagerPixelSpacing: not corrected for magnification"
        return Calibration("detector-plane", source + _magnification(dataset), pixel_spacing)
    if imager is not None:
        return Calibration("detector-plane", "ImagerPixelSpacing (0018,1164)" + _magnification(dataset), imager)
    if pixel_spacing is not None:
        source = "PixelSpacing (0028,0030) alone: whether it was corrected for magnification is not stated"
        return Calibration("detector-plane", source + _magnification(dataset), pixel_spacing)
    scanned = _spacing(dataset, "NominalScannedPixelSpacing")
    if scanned is not None:
        return Calibration("detector-plane", _ON_FILM, scanned)
    return Calibration("none", "the DICOM header states no pixel spacing")


def _pixel_spacing_calibration(dataset: Dataset, spacing: tuple[float, float], modality: str) -> Calibration:
    """PixelSpacing outside projection radiography: a length in the patient where the image has a place there."""
    has_place = "ImageOrientationPatient" in group_of_frame(dataset, 0, "PlaneOrientationSequence")
    calibration_type = str(dataset.get("PixelSpacingCalibrationType") or "")
    if calibration_type:
        source = f"PixelSpacing (0028,0030), calibrated by {calibration_type.lower()}"
        return Calibration("calibrated", source, spacing)
    if has_place or modality in SECTION_MODALITIES or modality == "US":
        return Calibration("calibrated", "PixelSpacing (0028,0030)", spacing)
    source = "PixelSpacing (0028,0030) of an image without a place in the patient: how it was measured is not stated"
    return Calibration("detector-plane", source, spacing)


def _spacing(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    """(x, y) in mm. DICOM's order is row spacing, then column spacing, which is (y, x): PS3.3 10.7.1.3."""
    values = numbers(dataset, keyword, 2)
    if values is None:
        return None
    y, x = (check_spacing(value, f"its DICOM attribute {keyword}") for value in values)
    return x, y


def _magnification(dataset: Dataset) -> str:
    factor = number(dataset, "EstimatedRadiographicMagnificationFactor")
    if factor is None:
        return ""
    return f"; the stated magnification of about {factor:g} (EstimatedRadiographicMagnificationFactor) is not applied"
