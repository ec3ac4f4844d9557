"""Hundreds of files that are no image, or no longer one."""

from __future__ import annotations

import io
import pickle
import random
import shutil
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_files import write_dicom
from pydicom.data import get_testdata_file

PIXELS = np.random.default_rng(5).integers(0, 256, (90, 70), np.uint8)
EXAMPLES = ("examples_ybr_color.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm", "examples_jpeg2k.dcm")


@dataclass(frozen=True)
class BrokenFile:
    """`must_fail` is False where damage may leave a file that can still be read whole, such as one flipped byte."""

    path: Path
    must_fail: bool


def good_files(folder: Path) -> list[Path]:
    """One whole file of every kind that is read; those of compressed DICOM ship with pydicom."""
    folder.mkdir()
    paths = [folder / f"good.{end}" for end in ("png", "jpg", "tif", "bmp", "nrrd", "nii", "nii.gz", "mha")]
    image = sitk.GetImageFromArray(PIXELS)
    for path in paths:
        sitk.WriteImage(image, str(path), useCompression=path.suffix in (".nrrd", ".mha"))
    paths.append(folder / "wide.png")
    sitk.WriteImage(sitk.GetImageFromArray(PIXELS.astype(np.uint16) * 200), str(paths[-1]))
    paths.append(write_dicom(folder / "plain.dcm", PIXELS, "DX"))
    for name in EXAMPLES:
        found = get_testdata_file(name, download=False)
        if found:
            paths.append(Path(shutil.copy(found, folder / name)))
    return paths


def broken_files(folder: Path, good: list[Path], seed: int = 2026) -> list[BrokenFile]:
    """Truncated at random places, with flipped bytes, misnamed, and made to harm."""
    folder.mkdir()
    generator = random.Random(seed)
    made: list[BrokenFile] = []

    def add(name: str, content: bytes, must_fail: bool = True) -> None:
        path = folder / f"{len(made):03d}_{name}"
        path.write_bytes(content)
        made.append(BrokenFile(path, must_fail))

    for path in good:
        content = path.read_bytes()
        for _ in range(9):
            # Whole but for padding or a closing mark is whole enough: the cut takes a part of the pixels.
            add(f"cut_{path.name}", content[: generator.randrange(1, int(0.9 * len(content)))])
        for number in range(6):
            flipped = bytearray(content)
            reach = 400 if number < 3 else len(content)  # half of them in the header
            for _ in range(1 + number):
                flipped[generator.randrange(min(reach, len(content)))] ^= 1 << generator.randrange(8)
            add(f"flipped_{path.name}", bytes(flipped), must_fail=False)
    for end in ("png", "jpg", "tif", "bmp", "dcm", "nrrd", "nii", "nii.gz", "mha"):
        add(f"empty.{end}", b"")
        add(f"text.{end}", b"this is a letter to the referring doctor\n" * 20)
        add(f"page.{end}", b"<!DOCTYPE html><html><body>Please log in</body></html>")
        add(f"noise.{end}", generator.randbytes(3000))
        add(f"pickle.{end}", hostile_pickle(folder / "harm_was_done"))
        add(f"bomb.{end}", zip_bomb())
    add("bomb.png", png_header(40_000, 40_000, zlib.compress(b"\0" * 100_000)))
    add("bomb_of_zeros.nii.gz", gzip_bytes(b"\0" * 30_000_000))
    for spacing in ("nan", "inf", "0", "-1", "1e9"):
        add(f"spacing_{spacing}.mha", metaimage(f"{spacing} {spacing}"))
        add(f"spacing_{spacing}.nrrd", nrrd(spacing))
    for columns, rows in ((1, 1), (20_000, 10), (10, 20_000), (3, 500)):
        for end in ("png", "mha", "tif"):
            path = folder / f"{len(made):03d}_{columns}x{rows}.{end}"
            sitk.WriteImage(sitk.GetImageFromArray(np.ones((rows, columns), np.uint8)), str(path))
            made.append(BrokenFile(path, must_fail=True))
    path = folder / f"{len(made):03d}_four_channels.png"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((40, 50, 4), np.uint8), isVector=True), str(path))
    made.append(BrokenFile(path, must_fail=False))  # colour with transparency can be read
    path = folder / f"{len(made):03d}_seven_channels.mha"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((40, 50, 7), np.uint8), isVector=True), str(path))
    made.append(BrokenFile(path, must_fail=True))
    made += [BrokenFile(folder / "not_there.png", must_fail=True)]
    return made


class _Harm:
    """Makes a file where it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


def hostile_pickle(target: Path) -> bytes:
    return pickle.dumps(_Harm(target))


def zip_bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 20_000_000)
    return buffer.getvalue()


def gzip_bytes(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return compressor.compress(content) + compressor.flush()


def png_header(columns: int, rows: int, data: bytes) -> bytes:
    """A PNG that promises more than its data holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def metaimage(spacing: str) -> bytes:
    lines = ("ObjectType = Image", "NDims = 2", f"ElementSpacing = {spacing}", "DimSize = 70 90")
    return "\n".join((*lines, "ElementType = MET_UCHAR", "ElementDataFile = LOCAL", "")).encode() + PIXELS.tobytes()


def nrrd(spacing: str) -> bytes:
    lines = ("NRRD0004", "type: uchar", "dimension: 2", "sizes: 70 90", f"spacings: {spacing} {spacing}")
    return "\n".join((*lines, "encoding: raw", "", "")).encode() + PIXELS.tobytes()
