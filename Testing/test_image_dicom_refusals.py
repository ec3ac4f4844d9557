"""DICOM files that are no picture, are damaged, or cannot be true."""

from __future__ import annotations

import random
from pathlib import Path

import pydicom
import pytest
from dicom_files import GREY8, RGB8, dicom_dataset, packaged, write_dicom
from pydicom.uid import DeflatedExplicitVRLittleEndian

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import read_image


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "word"),
    [
        ({"PhotometricInterpretation": "CMYK"}, "CMYK"),
        ({"SamplesPerPixel": 4}, "samples"),
        ({"BitsAllocated": 12}, "12 bits"),
        ({"BitsStored": 40}, "BitsStored"),
        ({"Rows": 0}, "no picture"),
        ({"NumberOfFrames": 2}, "less than expected"),
        ({"Rows": 60000, "Columns": 60000, "NumberOfFrames": 100}, "GiB"),
        ({"Rows": 30000, "Columns": 30000}, "bomb"),
        ({"PixelData": b"\0" * 100}, "less than expected"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused(tmp_path: Path, attributes, word):
    assert_refused(write_dicom(tmp_path / "a.dcm", GREY8, "OT", **attributes), word)


def test_a_file_without_a_picture_says_what_it_is():
    assert_refused(packaged("reportsi.dcm"), "Basic Text SR")
    assert_refused(packaged("waveform_ecg.dcm"), "ECG")
    assert_refused(packaged("rtplan.dcm"), "RT Plan")


def test_video_is_refused_by_name(tmp_path: Path):
    dataset = dicom_dataset(RGB8, "US")
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    dataset.PixelData = pydicom.encaps.encapsulate([bytes(100)])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert_refused(tmp_path / "a.dcm", "MPEG-4")


def test_a_deflated_bomb_is_not_unfolded(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("MedLandmarkLib.image.dicom.BOMB_BYTES", 1 << 20)  # a small bomb will do
    dataset = dicom_dataset(GREY8, "OT", PixelData=bytes(4 << 20))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert_refused(tmp_path / "a.dcm", "bomb")


def test_cut_and_damaged_files_give_one_error_and_no_noise(tmp_path: Path, capfd):
    chance = random.Random(7)
    names = (
        "CT_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "693_J2KI.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
    )
    for name in names:
        data = packaged(name).read_bytes()
        for _ in range(6):
            (tmp_path / "a.dcm").write_bytes(data[: chance.randrange(10, len(data) - 200)])
            assert_refused(tmp_path / "a.dcm")
        for _ in range(6):
            damaged = bytearray(data)
            for _ in range(3):
                damaged[chance.randrange(132, len(data))] = chance.randrange(256)
            (tmp_path / "a.dcm").write_bytes(damaged)
            try:
                read_image(tmp_path / "a.dcm").display_rgb()
            except ImageError as error:
                assert "\n" not in str(error)
    assert capfd.readouterr() == ("", "")
