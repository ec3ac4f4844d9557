"""Files that are no image, are damaged, or claim what cannot be: one plain error each, and nothing executed."""

from __future__ import annotations

import gzip
import pickle
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from picture_files import GREY8, GREY16, PICTURES, RGB8, RNG, VOLUME, png, set_tiff_tag, write

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import read_image


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.png", b"", "empty (0 bytes)"),
        ("a.dcm", b"Patient: nobody\nThis is a text.\n" * 20, "plain text"),
        ("a.png", b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
        ("a.png", b"GIF89a" + bytes(100), "GIF"),
        ("a.jpg", b"%PDF-1.7\n" + bytes(100), "PDF"),
        ("a.nii.gz", gzip.compress(b"something else" * 100, mtime=0), "gzip archive"),
        ("a.png", b'{"not": "a picture"}', "JSON"),
        ("a.tif", bytes(range(200, 256)) * 40, "unknown binary"),
        ("a.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    ],
)
def test_a_file_that_is_no_picture_is_called_what_it_seems(tmp_path: Path, name, content, word):
    (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path / name, word)


def test_a_zip_named_png_is_called_a_zip(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.png", "w") as archive:
        archive.writestr("b.txt", "x" * 1000)
    assert_refused(tmp_path / "a.png", "zip archive")


class _Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return Path.mkdir, (self.folder,)


def test_a_pickle_is_not_opened(tmp_path: Path):
    sprung = tmp_path / "sprung"
    (tmp_path / "a.png").write_bytes(pickle.dumps(_Trap(sprung)))
    assert_refused(tmp_path / "a.png", "pickle")
    assert not sprung.exists()


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path):
    assert_refused(tmp_path / "none.png", "no such file")
    assert_refused(tmp_path, "folder")


@pytest.mark.parametrize(
    ("columns", "rows", "word"), [(1, 1, "at least 16"), (15, 400, "at least 16"), (20_000, 10, "16"), (1000, 40, "20")]
)
def test_sizes_that_hold_no_anatomy_are_refused(tmp_path: Path, columns, rows, word):
    assert_refused(write(tmp_path / "a.png", np.zeros((rows, columns), np.uint8)), f"{columns} x {rows}", word)


@pytest.mark.parametrize(
    ("columns", "rows", "word"), [(70_000, 40_000, "65535"), (65_000, 65_000, "GiB"), (30_000, 30_000, "bomb")]
)
def test_a_small_file_that_claims_a_huge_picture_is_not_decoded(tmp_path: Path, columns, rows, word):
    (tmp_path / "a.png").write_bytes(png(columns, rows, 8, 2, [bytes(90)]))
    assert_refused(tmp_path / "a.png", word)


def test_a_huge_claim_is_refused_in_other_formats_too(tmp_path: Path):
    bomb = bytearray(write(tmp_path / "a.nii", GREY8).read_bytes())
    bomb[40:46] = struct.pack("<3h", 2, 30_000, 30_000)
    (tmp_path / "a.nii").write_bytes(bomb)
    assert_refused(tmp_path / "a.nii", "bomb")
    header = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 30000 30000\nencoding: gzip\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + gzip.compress(bytes(1000)))
    assert_refused(tmp_path / "a.nrrd", "bomb")


def test_a_gzip_bomb_behind_an_honest_header_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("MedLandmarkLib.image.sniffing.GZIP_SLACK_BYTES", 1 << 20)  # a small bomb will do
    data = write(tmp_path / "a.nii", GREY8).read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data + bytes(4 << 20), 1))
    assert_refused(tmp_path / "a.nii.gz", "unfolds")


def test_cmyk_is_refused(tmp_path: Path):
    assert_refused(PICTURES / "cmyk.jpg", "CMYK")
    path = write(tmp_path / "a.tif", np.dstack((RGB8, GREY8)), colour=True)
    set_tiff_tag(path, 262, 5)
    assert_refused(path, "CMYK")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("channels", [2, 4, 5])
def test_channels_that_are_no_colours_are_refused(tmp_path: Path, suffix, channels):
    pixels = RNG.integers(0, 256, (40, 60, channels), np.uint8)
    assert_refused(write(tmp_path / f"a{suffix}", pixels, colour=True), str(channels))


@pytest.mark.parametrize("value", ["nan", "0", "-1", "inf", "wide"])
def test_a_spacing_that_is_no_length_is_refused(tmp_path: Path, value):
    header = f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 60 40\nspacings: 1 {value}\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + GREY8.tobytes())
    assert_refused(tmp_path / "a.nrrd", "spacings")
    header = (
        "ObjectType = Image\nNDims = 2\nBinaryData = True\nDimSize = 60 40\n"
        f"ElementSpacing = 1 {value}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(header.encode() + GREY8.tobytes())
    assert_refused(tmp_path / "a.mha", "ElementSpacing")


@pytest.mark.parametrize("value", [float("nan"), 0.0, -1.0, float("inf")])
def test_a_nifti_spacing_that_is_no_length_is_refused(tmp_path: Path, value):
    data = bytearray(write(tmp_path / "a.nii", GREY8).read_bytes())
    data[80:84] = struct.pack("<f", value)
    (tmp_path / "a.nii").write_bytes(data)
    assert_refused(tmp_path / "a.nii", "pixdim[1]")


def test_axes_that_do_not_span_space_are_refused(tmp_path: Path):
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: 20 20 6\n"
        "space directions: (1,0,0) (1,0,0) (0,0,1)\nencoding: raw\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + GREY8.tobytes())
    assert_refused(tmp_path / "a.nrrd")


@pytest.mark.parametrize("target", ["../secret.raw", "/etc/hostname"])
def test_a_header_cannot_name_files_outside_its_folder(tmp_path: Path, target):
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "secret.raw").write_bytes(GREY8.tobytes())
    (folder / "a.nhdr").write_text(
        f"NRRD0004\ntype: uint8\ndimension: 2\nsizes: 60 40\nencoding: raw\ndata file: {target}\n"
    )
    assert_refused(folder / "a.nhdr", "outside its own folder")
    (folder / "a.mhd").write_text(
        f"ObjectType = Image\nNDims = 2\nDimSize = 60 40\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
    )
    assert_refused(folder / "a.mhd", "outside its own folder")


def test_a_header_may_name_a_file_beside_it(tmp_path: Path):
    for suffix in (".nhdr", ".mhd"):
        image = read_image(write(tmp_path / f"a{suffix}", GREY8))
        np.testing.assert_array_equal(image.pixels[0, 0, :, :, 0], GREY8)


def _whole_files(folder: Path) -> list[Path]:
    smooth = np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)
    files = [PICTURES / "colour_420.jpg", PICTURES / "grey.jpg"]
    files += [write(folder / f"a{suffix}", smooth) for suffix in (".png", ".bmp", ".tif")]
    files += [write(folder / f"v{suffix}", VOLUME) for suffix in (".nrrd", ".nii", ".mha")]
    files += [write(folder / f"c{suffix}", VOLUME, compress=True) for suffix in (".nrrd", ".nii.gz", ".mha")]
    return files


def test_a_file_that_was_cut_is_refused_without_a_noise(tmp_path: Path, capfd):
    chance = random.Random(11)
    for whole in _whole_files(tmp_path):
        data = whole.read_bytes()
        for length in [1, 10, 100, *(chance.randrange(len(data) // 4, len(data) - 2) for _ in range(6))]:
            cut = tmp_path / f"cut{''.join(whole.suffixes)}"
            cut.write_bytes(data[:length])
            assert_refused(cut)
    assert capfd.readouterr() == ("", "")


def test_damaged_bytes_give_a_picture_or_one_error_and_no_noise(tmp_path: Path, capfd):
    chance = random.Random(12)
    for whole in _whole_files(tmp_path):
        data = whole.read_bytes()
        for _ in range(12):
            damaged = bytearray(data)
            for _ in range(3):
                damaged[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            path = tmp_path / f"damaged{''.join(whole.suffixes)}"
            path.write_bytes(damaged)
            try:
                assert read_image(path).display_rgb().dtype == np.uint8
            except ImageError as error:
                assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".png", ".nii.gz"])
def test_formats_with_checksums_notice_every_damaged_byte(tmp_path: Path, suffix):
    data = write(tmp_path / f"a{suffix}", VOLUME if suffix == ".nii.gz" else GREY16, compress=True).read_bytes()
    chance = random.Random(13)
    for _ in range(20):
        damaged = bytearray(data)
        damaged[chance.randrange(40, len(data))] ^= 1 << chance.randrange(8)
        (tmp_path / f"b{suffix}").write_bytes(damaged)
        assert_refused(tmp_path / f"b{suffix}")
