"""A volume node of the scene as an Image of the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from vtk.util.numpy_support import vtk_to_numpy

from ..errors import ImageError
from ..image import Image
from ..image.display import Display, HighByte, Window, robust_window
from ..image.limits import check_size
from .calibration import HeaderLookup, first_header, ijk_to_ras, volume_calibration

GREY_RULES = ("automatic", "displayed")
_NOT_PICTURES = {
    "vtkMRMLLabelMapVolumeNode": "is a label map, not a picture; choose the image that it was drawn on",
    "vtkMRMLDiffusionWeightedVolumeNode": "holds diffusion-weighted signals; extract one of its images first",
    "vtkMRMLDiffusionImageVolumeNode": "holds diffusion tensors, not a picture",
}


def image_from_volume(volume: Any, *, header_of: HeaderLookup | None = None, grey: str = "automatic") -> Image:
    """The image that a scalar or vector volume node holds, with its place in the world and its calibration.

    pixels (1, slices, rows, columns, channels) are the node's own memory, read-only, not a copy. ijk_to_ras includes
    the parent transforms, which must be linear. header_of looks up a DICOM header by SOP instance UID, for instance
    in slicer.dicomDatabase; without it a DICOM volume has the calibration that was kept with the node, or none.
    grey: "automatic" takes 8-bit values as they are and anything else by a window over its own range; "displayed" takes
    the window and level that the volume is shown with. An inverted grey colour table counts in both, and neither
    applies to colour.
    Raises ImageError for a node that holds no picture: empty, a label map, a series over time, an impossible size,
    spacing or transform.
    """
    if grey not in GREY_RULES:
        raise ValueError(f"grey is {grey!r}; known are {', '.join(GREY_RULES)}.")
    pixels, warnings = volume_pixels(volume)
    header = first_header(volume, header_of)
    storage = volume.GetStorageNode()
    file_name = (storage.GetFileName() if storage else None) or ""
    return Image(
        pixels,
        ijk_to_ras(volume),
        volume_calibration(volume, header_of),
        path=Path(file_name) if file_name else None,
        modality=str(header.get("Modality") or "") if header is not None else "",
        warnings=warnings,
        display=display_of(volume, pixels, grey),
    )


def check_volume(volume: Any) -> None:
    """Raise ImageError unless the node holds a picture, as far as can be told without touching its pixels."""
    if volume is None:
        raise ImageError("No image is chosen. Load one and choose it as the input.")
    name = volume.GetName()
    for class_name, reason in _NOT_PICTURES.items():
        if volume.IsA(class_name):
            raise ImageError(f"Volume '{name}' {reason}.")
    if not volume.IsA("vtkMRMLScalarVolumeNode"):
        raise ImageError(f"Node '{name}' is a {volume.GetNodeTagName()}, not a scalar or vector volume.")
    data = volume.GetImageData()
    if data is None or data.GetPointData().GetScalars() is None or 0 in data.GetDimensions():
        raise ImageError(f"Volume '{name}' holds no image data; load its file again.")
    channels = data.GetNumberOfScalarComponents()
    if channels not in (1, 3, 4):
        raise ImageError(
            f"Volume '{name}' has {channels} values per pixel; grey and colour images are used. A series over time "
            "is loaded as a sequence (Sequences module), whose current frame can be used."
        )
    try:
        check_size(data.GetDimensions(), bytes_per_pixel=channels * data.GetScalarSize())
    except ImageError as error:
        raise ImageError(f"Volume '{name}': {error}") from error


def volume_pixels(volume: Any) -> tuple[np.ndarray, tuple[str, ...]]:
    """(1, slices, rows, columns, channels) of the node's own memory, read-only, and warnings. Raises ImageError."""
    check_volume(volume)
    data = volume.GetImageData()
    columns, rows, slices = data.GetDimensions()
    values = vtk_to_numpy(data.GetPointData().GetScalars())
    values = values.reshape(1, slices, rows, columns, -1)[..., :3]  # alpha is dropped, not blended
    if values.shape[-1] == 3 and values.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"Volume '{volume.GetName()}' holds vectors of {values.dtype}, which are no colours (uint8 or uint16 are)."
        )
    warnings: tuple[str, ...] = ()
    if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
        if not finite.any():
            raise ImageError(f"Volume '{volume.GetName()}' holds no finite number (all NaN or infinite).")
        lowest = values[finite].min()
        warnings = (f"{np.count_nonzero(~finite)} pixels are not finite numbers; they are read as {lowest:g}.",)
        values = np.where(finite, values, lowest)
    values.flags.writeable = False
    return values, warnings


def display_of(volume: Any, pixels: np.ndarray, grey: str) -> Display:
    """How values (..., channels) of a volume become a picture, by one of GREY_RULES."""
    if pixels.shape[-1] == 3:
        return Display(HighByte(0 if pixels.dtype == np.uint8 else 8))
    node = volume.GetDisplayNode()
    inverted = node is not None and _is_inverted(node.GetColorNode())
    if grey == "displayed" and node is not None and node.GetWindow() > 0:
        # vtkImageMapToWindowLevelColors: linear from level - window / 2 to level + window / 2.
        return Display(Window(node.GetLevel(), node.GetWindow(), "LINEAR_EXACT"), inverted)
    return Display(HighByte() if pixels.dtype == np.uint8 else robust_window(pixels), inverted)


def _is_inverted(colours: Any) -> bool:
    """Whether a colour table shows low values brighter than high ones, as Slicer's InvertedGrey for MONOCHROME1."""
    if colours is None or colours.GetNumberOfColors() < 2:
        return False
    ends = []
    for number in (0, colours.GetNumberOfColors() - 1):
        rgba = [0.0, 0.0, 0.0, 1.0]
        colours.GetColor(number, rgba)
        ends.append(sum(rgba[:3]))
    return ends[0] > ends[1]
