"""One file in, one clip out, whatever its name says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import ImageError
from .clip import Clip, clip_from_image
from .dicom_clip import read_dicom_clip
from .nrrd_sequence import is_sequence, read_nrrd_sequence
from .reading import read_image
from .sniffing import sniff
from .video import read_video


def read_clip(
    path: str | os.PathLike[str],
    *,
    spacing_mm: float | Sequence[float] | None = None,
    ruler: Sequence[float] | None = None,
) -> Clip:
    """Read a clip: multi-frame DICOM, AVI, MP4, a NRRD sequence, or any image whose frames follow each other in time.

    `spacing_mm`, one number or (x, y), or `ruler`, (x1, y1, x2, y2, mm), calibrates by hand in place of the header.
    Raises ImageError, with the file named in one line, when the file is no such clip, has one frame, or is damaged.
    """
    path = Path(path)
    try:
        return _read(path).calibrated(spacing_mm, ruler)
    except ImageError as error:
        message = " ".join(str(error).split())
        raise type(error)(message if message.startswith(f"{path}: ") else f"{path}: {message}") from error.__cause__
    except OSError as error:
        raise ImageError(f"{path}: the file cannot be opened ({error.strerror or error}).") from error


def video_kind(path: Path) -> str | None:
    """ "AVI" or "MP4" for a video file, told from its content; None for any other file."""
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "AVI"
    return "MP4" if head[4:8] == b"ftyp" and head[8:11] not in (b"hei", b"avi", b"mif") else None


def _read(path: Path) -> Clip:
    if path.is_dir():
        raise ImageError("it is a folder; give one clip.")
    if not path.exists():
        raise ImageError("there is no such file.")
    kind = video_kind(path)
    if kind is not None:
        return read_video(path, kind)
    kind = sniff(path)
    if kind == "dicom":
        return read_dicom_clip(path)
    if kind == "nrrd" and is_sequence(path):
        return read_nrrd_sequence(path)
    return clip_from_image(read_image(path))
