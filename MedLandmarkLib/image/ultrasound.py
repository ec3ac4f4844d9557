"""The pixel size of an ultrasound picture, from its calibrated regions (DICOM PS3.3 C.8.5.5)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from .image import Calibration
from .limits import check_spacing

_TAG = "SequenceOfUltrasoundRegions (0018,6011)"
_SPATIAL_2D = 1  # RegionSpatialFormat
_TISSUE_OR_COLOUR = (1, 2)  # RegionDataType
_CENTIMETRE = 3  # PhysicalUnits
_TOLERANCE_PX = 1  # many scanners write the first pixel after the region as its last


def ultrasound_calibration(regions: list[Dataset], columns: int, rows: int) -> Calibration:
    """The spacing of the region that holds the sector: the largest 2D tissue or colour region in centimetres.

    Where that region reaches beyond the picture, the picture was cut or shrunk after the scan, and no region's pixel
    size can be believed, not even that of a smaller one which happens to fit: kind "none", with the reason.
    """
    spatial = []
    for number, region in enumerate(regions, start=1):
        corners = tuple(region.get(f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
        if None in corners or corners[2] <= corners[0] or corners[3] <= corners[1] or not _is_spatial(region):
            continue
        spatial.append(((corners[2] - corners[0]) * (corners[3] - corners[1]), -number, corners, region))
    if not spatial:
        return Calibration("none", f"none of the {len(regions)} region(s) in {_TAG} is a 2D picture measured in cm")
    _, negative_number, (x0, y0, x1, y1), region = max(spatial, key=lambda entry: entry[:2])
    number = -negative_number
    if x1 > columns - 1 + _TOLERANCE_PX or y1 > rows - 1 + _TOLERANCE_PX:
        return Calibration(
            "none",
            f"ultrasound region {number} spans {x0}-{x1} x {y0}-{y1} px but the picture has {columns} x {rows} px: "
            "it was cut or resized after the scan, so the stated pixel size does not hold",
        )
    spacing = tuple(
        check_spacing(10 * region.get(f"PhysicalDelta{axis}"), f"PhysicalDelta{axis} of ultrasound region {number}")
        for axis in "XY"
    )
    return Calibration("calibrated", f"{_TAG}, region {number} of {len(regions)}", spacing)


def _is_spatial(region: Dataset) -> bool:
    return (
        region.get("RegionSpatialFormat") == _SPATIAL_2D
        and region.get("RegionDataType") in _TISSUE_OR_COLOUR
        and region.get("PhysicalUnitsXDirection") == _CENTIMETRE
        and region.get("PhysicalUnitsYDirection") == _CENTIMETRE
        # a NaN passes here and is refused as a wrong header by check_spacing
        and not (region.get("PhysicalDeltaX") or 0) <= 0
        and not (region.get("PhysicalDeltaY") or 0) <= 0
    )
