"""NRRD, NIfTI and MetaImage: volumes whose headers give, or do not give, millimetres.

SimpleITK invents a spacing of 1 mm where a header states none, so the header's own text is asked first.
"""

from __future__ import annotations

import math
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..errors import ImageError
from .display import Display, HighByte, robust_window
from .image import Calibration, Image
from .itk import Volume, read_volume
from .limits import check_size, check_spacing
from .sniffing import check_gzip, inflated_head

_MAX_HEADER_BYTES = 1 << 20
_NIFTI_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # xyzt_units: unknown (mm assumed), m, mm, um
_NIFTI_S_PER_UNIT = {0: 1.0, 8: 1.0, 16: 1e-3, 24: 1e-6}  # unknown (s assumed), s, ms, us
_NOT_SPATIAL = ("list", "vector", "point", "normal", "color", "complex", "quaternion", "matrix", "stub", "none", "time")


def read_nrrd(path: Path) -> Image:
    """NRRD, attached or with one data file beside its header. Raises ImageError."""
    fields = header_lines(path, r"^([^:#=]+):\s(.*)$", end=b"\n\n")
    if data_file := fields.get("data file", fields.get("datafile")):
        check_data_file(path, data_file)
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()]
    spacings = fields.get("spacings", "").split()
    for axis, text in enumerate(spacings):
        spatial = axis >= len(kinds) or not any(word in kinds[axis] for word in _NOT_SPATIAL)
        if spatial:
            check_spacing(text, f"the NRRD field 'spacings' (axis {axis})")
    directions = re.findall(r"none|\([^)]*\)", fields.get("space directions", ""))
    for vector in directions:
        if vector != "none" and not np.all(np.isfinite(_numbers(vector.strip("()").replace(",", " ")))):
            raise ImageError(f"the NRRD field 'space directions' holds {vector}: the header is wrong.")
    units = set(re.findall(r'"([^"]*)"', fields.get("space units", ""))) - {"", "mm", "millimeter", "millimeters"}
    volume = read_volume(path, "NrrdImageIO")
    if units:
        return _image(path, volume, f"the NRRD header states lengths in {', '.join(sorted(units))}, not in mm")
    field = "space directions" if directions else "spacings" if spacings else None
    if field is None:
        return _image(path, volume, "the NRRD header states no spacing")
    return _image(path, volume, f"NRRD header field '{field}'", calibrated=True)


def read_metaimage(path: Path) -> Image:
    """MetaImage: .mha, or .mhd with one data file beside it. Raises ImageError."""
    fields = header_lines(path, r"^\s*(\w+)\s*=\s*(.*)$", end=b"ElementDataFile")
    data_file = fields.get("elementdatafile", "")
    if data_file.strip().upper() != "LOCAL":
        check_data_file(path, data_file)
    field = next((name for name in ("ElementSpacing", "ElementSize") if name.lower() in fields), None)
    for name in ("ElementSpacing", "ElementSize"):
        for text in fields.get(name.lower(), "").split():
            check_spacing(text, f"the MetaImage field '{name}'")
    for name in ("TransformMatrix", "Offset", "Position", "Orientation"):
        if not np.all(np.isfinite(_numbers(fields.get(name.lower(), "")))):
            raise ImageError(f"the MetaImage field '{name}' is {fields[name.lower()]}: the header is wrong.")
    volume = read_volume(path, "MetaImageIO")
    if field is None:
        return _image(path, volume, "the MetaImage header states no ElementSpacing")
    return _image(path, volume, f"MetaImage header field '{field}'", calibrated=True)


def read_nifti(path: Path, *, compressed: bool) -> Image:
    """NIfTI-1 or -2 in one file, plain or gzipped; the fourth dimension is time. Raises ImageError."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    header = _nifti_header(inflated_head(head) if compressed else head)
    sides = header["dim"][1:]
    check_size(
        (*sides[:3], 1)[: max(len(sides[:3]), 2)],
        count=math.prod(sides[3:]),
        bytes_per_pixel=max(header["bitpix"] // 8, 1),
        stored_bytes=path.stat().st_size,
    )
    needed = header["offset"] + math.prod(sides) * header["bitpix"] // 8
    if compressed:
        check_gzip(path, needed)
    elif path.stat().st_size < needed:
        raise ImageError(f"it has {path.stat().st_size} bytes of the {needed} its NIfTI header announces: it was cut.")
    for axis, value in enumerate(header["pixdim"][1 : 1 + min(len(sides), 3)], start=1):
        check_spacing(value, f"the NIfTI field pixdim[{axis}]")
    with _named(path, ".nii.gz" if compressed else ".nii") as named:
        volume = read_volume(named, "NiftiImageIO")
    unit = header["units"] & 0x07
    if unit not in _NIFTI_MM_PER_UNIT:
        return _image(path, volume, f"the NIfTI header states lengths in an unknown unit (xyzt_units {unit})")
    source = "NIfTI header field 'pixdim'" + (" (no unit stated; mm assumed)" if unit == 0 else "")
    times = None
    if volume.pixels.shape[0] > 1:
        step = header["pixdim"][4] * _NIFTI_S_PER_UNIT.get(header["units"] & 0x38, math.nan)
        if math.isfinite(step) and step > 0:
            times = tuple(frame * step for frame in range(volume.pixels.shape[0]))
    return _image(path, volume, source, calibrated=True, frame_times_s=times)


def _image(
    path: Path,
    volume: Volume,
    source: str,
    *,
    calibrated: bool = False,
    frame_times_s: tuple[float, ...] | None = None,
) -> Image:
    pixels, warnings = volume.pixels, []
    channels = pixels.shape[-1]
    if channels not in (1, 3) or (channels == 3 and pixels.dtype.kind == "f"):
        raise ImageError(
            f"it has {channels} components of type {pixels.dtype} per pixel; grey and RGB pictures are read."
        )
    if pixels.dtype.kind == "f" and not (finite := np.isfinite(pixels)).all():
        if not finite.any():
            raise ImageError("none of its pixels is a finite number (all NaN or infinite).")
        lowest = pixels[finite].min()
        warnings.append(f"{np.count_nonzero(~finite)} pixels are not finite numbers; they are read as {lowest:g}.")
        pixels = np.where(finite, pixels, lowest)
    if pixels.dtype == np.uint8:
        display = Display(HighByte())
    elif channels == 3 and pixels.dtype == np.uint16:
        display = Display(HighByte(8))
    else:
        display = Display(robust_window(pixels))
    spacing = volume.spacing[:2]
    calibration = Calibration("calibrated", source, spacing) if calibrated else Calibration("none", source)
    return Image(
        pixels,
        volume.ijk_to_ras,
        calibration,
        path=path,
        frame_times_s=frame_times_s,
        warnings=tuple(warnings),
        display=display,
    )


def header_lines(path: Path, pattern: str, *, end: bytes) -> dict[str, str]:
    """The `name: value` lines of a text header by lower-case name; the header ends where `end` does."""
    with open(path, "rb") as file:
        head = file.read(_MAX_HEADER_BYTES).replace(b"\r\n", b"\n")
    cut = head.find(end)
    if cut >= 0:
        line_end = head.find(b"\n", cut + (0 if end == b"\n\n" else 1))
        head = head[: line_end if line_end >= 0 else len(head)]
    text = head.decode("latin-1")
    return {name.strip().lower(): value.strip() for name, value in re.findall(pattern, text, re.MULTILINE)}


def check_data_file(path: Path, name: str) -> None:
    """A header may name one data file in its own folder or below: never any file of the machine it is opened on."""
    words = name.split()
    if not words or words[0].upper() == "LIST" or "%" in name or "\0" in name:
        raise ImageError(f"its pixels lie in a series of files ({name or 'unnamed'}); give one file with all of them.")
    folder = path.resolve().parent
    data = (folder / name).resolve()
    if not data.is_relative_to(folder):
        raise ImageError(f"its header names the data file '{name}' outside its own folder, which is not opened.")
    if not data.is_file():
        raise ImageError(f"its data file '{name}' is not there. Copy both files into one folder.")


def _numbers(text: str) -> np.ndarray:
    try:
        return np.array([float(word) for word in text.split()])
    except ValueError:
        raise ImageError(f"its header holds '{text[:80]}' where numbers are expected.") from None


def _nifti_header(head: bytes) -> dict:
    """The fields of a NIfTI-1 or -2 header that decide size, spacing and units (nifti1.h, nifti2.h)."""
    order = "<" if head[:4] in (struct.pack("<i", 348), struct.pack("<i", 540)) else ">"
    second = struct.unpack(order + "i", head[:4])[0] == 540
    if len(head) < (540 if second else 348):
        raise ImageError("its NIfTI header is cut. Copy or export it again.")
    if (head[4:7] if second else head[344:347]) not in (b"n+1", b"n+2"):
        raise ImageError("its NIfTI header is kept apart from its pixels (.hdr and .img). Save it as one .nii file.")
    if second:
        bitpix, dim = struct.unpack(order + "h", head[14:16])[0], struct.unpack(order + "8q", head[16:80])
        pixdim, offset = struct.unpack(order + "8d", head[104:168]), struct.unpack(order + "q", head[168:176])[0]
        units = struct.unpack(order + "i", head[500:504])[0]
    else:
        dim, bitpix = struct.unpack(order + "8h", head[40:56]), struct.unpack(order + "h", head[72:74])[0]
        pixdim, offset = struct.unpack(order + "8f", head[76:108]), struct.unpack(order + "f", head[108:112])[0]
        units = head[123]
    if not 2 <= dim[0] <= 7 or bitpix <= 0 or not math.isfinite(offset) or offset < 0:
        raise ImageError(f"its NIfTI header is damaged (dim {dim}, bitpix {bitpix}, vox_offset {offset:g}).")
    used = dim[: dim[0] + 1]
    while len(used) > 3 and used[-1] == 1:  # trailing dimensions of one are no dimensions
        used = used[:-1]
    return {"dim": used, "bitpix": bitpix, "pixdim": pixdim, "offset": int(offset), "units": units}


@contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """The file under a name with the suffix that the NIfTI library insists on."""
    if path.name.lower().endswith(suffix):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="medlandmark-") as folder:
        named = Path(folder) / f"volume{suffix}"
        try:
            named.symlink_to(path.resolve())
        except OSError:  # no links on this file system
            named.write_bytes(path.read_bytes())
        yield named
