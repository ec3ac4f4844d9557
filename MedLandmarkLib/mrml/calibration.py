"""What a pixel of a volume node measures, and who says so.

The spacing of a volume node is no answer: Slicer gives 1 mm to a picture that states none, and the detector's pixel
size to a radiograph even where a calibrated one stands in its header. So a calibration is looked for, in this order:
what the module itself has kept with the node (a ruler, the user, a header read earlier), the DICOM header, the format
of the file. It holds only as long as the node is shown with the spacing that it states.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import vtk
from pydicom.dataset import Dataset

from ..errors import ImageError
from ..image import Calibration
from ..image.calibration import dicom_calibration
from .nodes import array_from_matrix, load_json, one_modification, store_json, to_parent_matrix

CALIBRATION_KEY = "MedLandmark.Calibration"
INSTANCES_KEY = "DICOM.instanceUIDs"  # set by Slicer's DICOM module, separated by blanks

# Gives the header of a DICOM instance by its SOP instance UID, or None where it is not at hand.
HeaderLookup = Callable[[str], Dataset | None]

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif")
_HEADER_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd", ".hdr", ".img", ".mgz", ".mgh")
_SAME_SPACING = 1e-4  # relative: DICOM states spacings with as few as five digits


def volume_calibration(volume: Any, header_of: HeaderLookup | None = None) -> Calibration:
    """The calibration that holds for the volume as it is shown now; kind "none" with the reason where none does.

    Raises ImageError for a volume without geometry (see `ijk_to_ras`) or a header with an impossible spacing.
    """
    stated = stated_calibration(volume, header_of)
    if stated.spacing_mm is None:
        return stated
    shown = shown_spacing(volume)
    if all(math.isclose(a, b, rel_tol=_SAME_SPACING) for a, b in zip(stated.spacing_mm, shown, strict=True)):
        return stated
    return Calibration(
        "none",
        f"{stated.source}: {_mm(stated.spacing_mm)} per pixel, but the scene shows the volume with {_mm(shown)}; "
        "apply the calibration, or calibrate by ruler",
    )


def stated_calibration(volume: Any, header_of: HeaderLookup | None = None) -> Calibration:
    """What the node, its DICOM header or its file states, whatever spacing the volume is shown with."""
    return stored_calibration(volume) or _header_calibration(volume, header_of) or _file_calibration(volume)


def stored_calibration(volume: Any) -> Calibration | None:
    """The calibration that the module has kept with the node. Raises MedLandmarkError where it cannot be read."""
    data = load_json(volume, CALIBRATION_KEY)
    if data is None:
        return None
    try:
        spacing = data["spacing_mm"]
        return Calibration(str(data["kind"]), str(data["source"]), None if spacing is None else tuple(spacing))
    except (KeyError, TypeError, ValueError, ImageError) as error:
        raise ImageError(
            f"The calibration kept with volume '{volume.GetName()}' makes no sense ({error}); remove its attribute "
            f"{CALIBRATION_KEY} and calibrate again."
        ) from error


def keep_calibration(volume: Any, calibration: Calibration) -> None:
    """Write a calibration to the node, where it is saved with the scene, and show the volume with its spacing.

    The centre of the first pixel stays where it is, and so do the directions and the distance between slices. Points
    that lie on the image do not move by themselves: `recalibrate.calibrate` moves them too.
    Raises ImageError where a parent transform would make the spacing untrue.
    """
    if calibration.spacing_mm is not None:
        x, y = calibration.spacing_mm
        try:
            to_world = to_parent_matrix(volume)[:3, :3]
        except ValueError as error:
            raise ImageError(f"Volume '{volume.GetName()}' cannot be calibrated: {error}. Remove it first.") from error
        if not np.allclose(to_world.T @ to_world, np.eye(3), atol=1e-4):
            raise ImageError(
                f"Volume '{volume.GetName()}' cannot be calibrated: a transform above it stretches space. Remove the "
                "transform, or harden it, first."
            )
    data = {"kind": calibration.kind, "source": calibration.source, "spacing_mm": calibration.spacing_mm}
    with one_modification(volume):  # nobody shall see the spacing without its source
        store_json(volume, CALIBRATION_KEY, data)
        if calibration.spacing_mm is not None:
            volume.SetSpacing(x, y, volume.GetSpacing()[2])


def ijk_to_local(volume: Any) -> np.ndarray:
    """(4, 4): from continuous (column, row, slice) to the volume's own coordinates, without its parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return array_from_matrix(matrix)


def ijk_to_ras(volume: Any) -> np.ndarray:
    """(4, 4): from continuous (column, row, slice) to the world, RAS mm, through the volume's parent transforms.

    Raises ImageError where one of them is not linear: a bent image has no matrix.
    """
    try:
        return to_parent_matrix(volume) @ ijk_to_local(volume)
    except ValueError as error:
        raise ImageError(
            f"Volume '{volume.GetName()}' cannot be used as it is: {error}. Harden the transform (Transforms "
            "module) or remove it."
        ) from error


def shown_spacing(volume: Any) -> tuple[float, float]:
    """(x, y): the distance between columns and between rows in the world, mm."""
    x, y, _ = np.linalg.norm(ijk_to_ras(volume)[:3, :3], axis=0)
    return float(x), float(y)


def first_header(volume: Any, header_of: HeaderLookup | None) -> Dataset | None:
    """The DICOM header of the volume's first instance; None where it is no DICOM volume or nobody can look it up."""
    uids = (volume.GetAttribute(INSTANCES_KEY) or "").split()
    return header_of(uids[0]) if uids and header_of is not None else None


def _header_calibration(volume: Any, header_of: HeaderLookup | None) -> Calibration | None:
    if not (volume.GetAttribute(INSTANCES_KEY) or "").split():
        return None
    header = first_header(volume, header_of)
    if header is None:
        return Calibration("none", "the DICOM header of this volume is not at hand, so its spacing cannot be judged")
    columns, rows, _ = volume.GetImageData().GetDimensions()
    return dicom_calibration(header, columns, rows)


def _file_calibration(volume: Any) -> Calibration:
    """What can be said without a DICOM header: the formats of volumes state a spacing, those of pictures do not."""
    storage = volume.GetStorageNode()
    name = Path((storage.GetFileName() if storage else "") or "").name.lower()
    spacing = shown_spacing(volume)
    is_volume = volume.GetImageData().GetDimensions()[2] > 1
    if name.endswith(_PICTURE_SUFFIXES):
        return Calibration("none", f"a picture file ({Path(name).suffix[1:].upper()}) states no size in the patient")
    if not is_volume and spacing == (1.0, 1.0):
        # Also what a picture without any size becomes when Slicer saves it as a volume.
        return Calibration("none", "1 mm per pixel is what Slicer assumes where a file states no spacing")
    if name.endswith(_HEADER_SUFFIXES):
        return Calibration("calibrated", f"spacing in the header of {name}", spacing)
    if is_volume:
        return Calibration("calibrated", "spacing of the volume in the scene", spacing)
    return Calibration("none", f"nothing says how the spacing of {_mm(spacing)} per pixel was found")


def _mm(spacing: tuple[float, float]) -> str:
    return f"{spacing[0]:.4g} x {spacing[1]:.4g} mm"
