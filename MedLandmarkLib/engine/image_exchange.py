"""An image on its way from the client to the worker: its pixels in a .npy file, the rest in the request.

The client writes the file from a thread; numpy is there already where there is an Image to send.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import EngineError, ImageError

if TYPE_CHECKING:
    import numpy as np

    from ..image import Calibration, Image
    from ..image.display import Display

# Large blocks: where the GUI thread holds Python's lock between its slots, each one costs a turn of its timer.
_BLOCK_BYTES = 32 << 20


def require_sendable(image: Any) -> None:
    """Raises EngineError where this is no Image of the library with pixels that are numbers."""
    pixels = getattr(image, "pixels", None)
    if pixels is None or not hasattr(image, "ijk_to_ras"):
        raise EngineError(f"The engine detects in a file or in an Image, not in {type(image).__name__}.")
    if pixels.dtype.kind not in "biuf":
        raise EngineError(f"The image's pixels are of type {pixels.dtype}; the engine takes numbers.")


def image_fields(image: Image, pixel_file: Path) -> dict[str, Any]:
    """All of an image but its pixels, as plain data; they are to be written to `pixel_file`."""
    return {
        "pixels": str(pixel_file),
        "ijk_to_ras": [[float(value) for value in row] for row in image.ijk_to_ras],
        "calibration": calibration_fields(image.calibration),
        "path": None if image.path is None else str(image.path),
        "modality": image.modality,
        "frame_times_s": None if image.frame_times_s is None else [float(time) for time in image.frame_times_s],
        "warnings": list(image.warnings),
        "display": _display_fields(image.display),
    }


def calibration_fields(calibration: Calibration) -> dict[str, Any]:
    """A calibration as plain data."""
    return {
        "kind": calibration.kind,
        "source": calibration.source,
        "spacing_mm": None if calibration.spacing_mm is None else [float(mm) for mm in calibration.spacing_mm],
    }


def calibration_from_fields(fields: Mapping[str, Any]) -> Calibration:
    """The calibration of `calibration_fields`. Raises KeyError, TypeError or ValueError for malformed fields."""
    from ..image import Calibration

    values = dict(fields)
    if values["spacing_mm"] is not None:
        values["spacing_mm"] = tuple(values["spacing_mm"])
    return Calibration(**values)


def write_pixels(pixels: np.ndarray, path: Path, is_dropped: Callable[[], bool]) -> None:
    """Write an array of any layout as .npy, in blocks; give up when `is_dropped`. Raises OSError."""
    with path.open("wb") as file:
        append_pixels(pixels, file, is_dropped)


def append_pixels(pixels: np.ndarray, file: BinaryIO, is_dropped: Callable[[], bool]) -> None:
    """Write an array as .npy at the end of a file; several in a row are read in the same order."""
    import numpy as np
    from numpy.lib import format as npy

    header = {"descr": npy.dtype_to_descr(pixels.dtype), "fortran_order": False, "shape": pixels.shape}
    npy.write_array_header_1_0(file, header)
    if pixels.flags.c_contiguous:
        pixels = pixels.reshape(1, -1)
    for frame in pixels:
        rows_per_block = max(1, _BLOCK_BYTES * len(frame) // max(frame.nbytes, 1))
        for start in range(0, len(frame), rows_per_block):
            if is_dropped():
                return
            file.write(np.ascontiguousarray(frame[start : start + rows_per_block]))


def image_from_fields(fields: Mapping[str, Any], pixels: np.ndarray | None = None) -> Image:
    """The image as it was before its journey; `pixels` where they were read already.

    Raises EngineError for malformed fields, ImageError for a bad file.
    """
    import numpy as np

    from ..image import Image

    try:
        calibration = calibration_from_fields(fields["calibration"])  # before the pixels are read
        times = fields.get("frame_times_s")
        return Image(
            pixels=_read_pixels(Path(fields["pixels"])) if pixels is None else pixels,
            ijk_to_ras=np.array(fields["ijk_to_ras"], np.float64),
            calibration=calibration,
            path=Path(fields["path"]) if fields.get("path") else None,
            modality=str(fields.get("modality", "")),
            frame_times_s=None if times is None else tuple(times),
            warnings=tuple(fields.get("warnings", ())),
            display=_display_from_fields(fields.get("display")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"The image of the request is incomplete or has a wrong field: {error!r}.") from error


def _read_pixels(path: Path) -> np.ndarray:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ImageError(f"The pixels that were handed over in {path} cannot be read: {error}.") from error


def _display_fields(display: Display) -> dict[str, Any]:
    from ..image.display import HighByte, LookupTable

    rule, inverted = display.rule, bool(display.inverted)
    if isinstance(rule, HighByte):
        return {"rule": "high-byte", "shift": int(rule.shift), "inverted": inverted}
    if isinstance(rule, LookupTable):
        entries = rule.entries
        return {
            "rule": "lookup-table",
            "first": int(rule.first),
            "entries": entries.tolist(),
            "dtype": entries.dtype.str,
            "inverted": inverted,
        }
    return {
        "rule": "window",
        "center": float(rule.center),
        "width": float(rule.width),
        "function": rule.function,
        "inverted": inverted,
    }


def _display_from_fields(fields: Mapping[str, Any] | None) -> Display | None:
    """None, the display chosen from the pixels, where the request names none."""
    import numpy as np

    from ..image.display import Display, HighByte, LookupTable, Window

    if fields is None:
        return None
    inverted = bool(fields.get("inverted", False))
    if fields["rule"] == "high-byte":
        return Display(HighByte(int(fields["shift"])), inverted)
    if fields["rule"] == "lookup-table":
        entries = np.array(fields["entries"], np.dtype(str(fields["dtype"])))
        return Display(LookupTable(int(fields["first"]), entries), inverted)
    if fields["rule"] == "window":
        window = Window(float(fields["center"]), float(fields["width"]), fields.get("function", "LINEAR_EXACT"))
        return Display(window, inverted)
    raise ValueError(f"display rule {fields['rule']!r} is not high-byte, lookup-table or window")
