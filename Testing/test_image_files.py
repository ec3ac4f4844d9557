"""Reading PNG, JPEG, TIFF, BMP, NRRD, NIfTI and MetaImage."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import GREY8, GREY16, PICTURES, RGB8, RGB16, RNG, VOLUME, png, set_tiff_tag, write

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Calibration, Image, read_image

GOLDEN = Path(__file__).parent / "Data" / "golden"
GOLDEN_RECORDS = json.loads((GOLDEN / "cases" / "universal.json").read_text())


@pytest.mark.parametrize("record", GOLDEN_RECORDS, ids=lambda record: record["image"])
def test_a_reference_picture_is_decoded_to_the_reference_bytes(record):
    picture = read_image(GOLDEN / "images" / record["image"]).display_rgb()
    assert picture.dtype == np.uint8
    assert list(picture.shape) == record["decoded_bgr_shape"]
    bgr = np.ascontiguousarray(picture[..., ::-1])
    assert hashlib.sha256(bgr.tobytes()).hexdigest() == record["decoded_bgr_u8_sha256"]


@pytest.mark.parametrize(
    ("jpeg", "decoded"),
    [
        ("colour_420", "colour_420"),
        ("colour_422", "colour_422"),
        ("colour_progressive", "colour_420"),
        ("colour_rgb", "colour_rgb"),
        ("grey", "grey"),
    ],
)
def test_a_jpeg_is_decoded_to_the_bytes_of_opencv(jpeg, decoded):
    image = read_image(PICTURES / f"{jpeg}.jpg")
    expected = read_image(PICTURES / f"{decoded}.decoded.png").display_rgb()
    assert image.pixels.shape[-1] == (1 if jpeg == "grey" else 3)
    np.testing.assert_array_equal(image.display_rgb(), expected)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
@pytest.mark.parametrize("pixels", [GREY8, RGB8], ids=["grey", "colour"])
def test_8_bit_pictures_are_shown_as_they_are(tmp_path: Path, suffix, pixels):
    image = read_image(write(tmp_path / f"a{suffix}", pixels, colour=pixels.ndim == 3))
    expected = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    np.testing.assert_array_equal(image.display_rgb(), expected)
    assert image.size == (60, 40, 1)
    assert image.frame_count == 1
    assert image.calibration.kind == "none"
    np.testing.assert_array_equal(image.ijk_to_ras, np.diag((-1, -1, 1, 1)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("pixels", [GREY16, RGB16], ids=["grey", "colour"])
def test_16_bit_pictures_show_their_upper_byte_and_keep_their_values(tmp_path: Path, suffix, pixels):
    image = read_image(write(tmp_path / f"a{suffix}", pixels, colour=pixels.ndim == 3))
    np.testing.assert_array_equal(image.pixels[0, 0], pixels if pixels.ndim == 3 else pixels[..., None])
    expected = pixels >> 8 if pixels.ndim == 3 else np.repeat(pixels[..., None] >> 8, 3, axis=2)
    np.testing.assert_array_equal(image.display_rgb(), expected)
    assert image.warnings == ()


def test_12_bit_values_in_a_16_bit_file_are_warned_of(tmp_path: Path):
    image = read_image(write(tmp_path / "a.png", GREY16 >> 4))
    assert "dark" in image.warnings[0]


def test_alpha_is_dropped_and_not_blended(tmp_path: Path):
    rgba = np.dstack((RGB8, np.zeros_like(GREY8)))
    for suffix in (".png", ".tif"):
        np.testing.assert_array_equal(read_image(write(tmp_path / f"a{suffix}", rgba, colour=True)).display_rgb(), RGB8)


@pytest.mark.parametrize(("bits", "grey"), [(8, GREY8), (16, GREY16)])
def test_grey_with_alpha_keeps_its_grey(tmp_path: Path, bits, grey):
    interleaved = np.dstack((grey, grey[::-1])).astype(">u2" if bits == 16 else "u1")
    (tmp_path / "a.png").write_bytes(png(60, 40, bits, 4, [row.tobytes() for row in interleaved]))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels[0, 0, :, :, 0], grey)


def test_a_transparent_grey_value_stays_grey(tmp_path: Path):
    data = png(60, 40, 8, 0, [row.tobytes() for row in GREY8], (b"tRNS", b"\0\7"))
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels[0, 0, :, :, 0], GREY8)


def test_a_palette_is_looked_up(tmp_path: Path):
    palette = RNG.integers(0, 256, (256, 3), np.uint8)
    data = png(60, 40, 8, 3, [row.tobytes() for row in GREY8], (b"PLTE", palette.tobytes()))
    (tmp_path / "a.png").write_bytes(data)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").display_rgb(), palette[GREY8])


def test_a_tiff_whose_zero_is_white_is_inverted(tmp_path: Path):
    path = write(tmp_path / "a.tif", GREY8)
    set_tiff_tag(path, 262, 0)
    np.testing.assert_array_equal(read_image(path).display_rgb()[..., 0], 255 - GREY8)


def test_tiff_pages_become_slices(tmp_path: Path):
    pages = RNG.integers(0, 256, (3, 40, 60), np.uint8)
    image = read_image(write(tmp_path / "a.tif", pages))
    assert image.size == (60, 40, 3)
    np.testing.assert_array_equal(image.display_rgb(slice_index=2)[..., 1], pages[2])


@pytest.mark.parametrize(
    ("source", "name"), [("a.png", "b.jpg"), ("a.bmp", "b"), ("a.tif", "b.dcm"), ("a.nii", "b.nrrd"), ("a.nii.gz", "b")]
)
def test_the_content_decides_and_not_the_name(tmp_path: Path, source, name):
    before = write(tmp_path / source, GREY8)
    expected = read_image(before).display_rgb()
    before.rename(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name).display_rgb(), expected)


def test_a_jpeg_orientation_is_kept_as_stored_and_warned_of(tmp_path: Path):
    plain = (PICTURES / "grey.jpg").read_bytes()
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHH", 1, 0x0112, 3, 1, 6, 0) + b"\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    (tmp_path / "a.jpg").write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    image = read_image(tmp_path / "a.jpg")
    assert "orientation 6" in image.warnings[0]
    np.testing.assert_array_equal(image.display_rgb(), read_image(PICTURES / "grey.jpg").display_rgb())


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha"])
def test_a_volume_keeps_values_and_place(tmp_path: Path, suffix):
    volume = sitk.GetImageFromArray(VOLUME)
    volume.SetSpacing((0.5, 0.75, 2.0))
    volume.SetOrigin((-10.0, 20.0, 30.0))
    a, b = np.cos(0.3), np.sin(0.3)
    volume.SetDirection((a, -b, 0, b, a, 0, 0, 0, 1))
    sitk.WriteImage(volume, str(tmp_path / f"a{suffix}"))
    image = read_image(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(image.pixels[0, ..., 0], VOLUME)
    assert image.calibration.kind == "calibrated"
    assert image.calibration.spacing_mm == pytest.approx((0.5, 0.75))
    for ijk in ((0, 0, 0), (59, 0, 3), (10.25, 20.5, 19)):
        x, y, z = volume.TransformContinuousIndexToPhysicalPoint(ijk)
        np.testing.assert_allclose(image.ras_from_ijk(ijk), (-x, -y, z), atol=1e-4)


@settings(deadline=None, max_examples=50)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.floats(0.01, 10)] * 3),
    ijk=st.tuples(*[st.floats(-100, 100)] * 3),
)
def test_pixels_go_to_patient_space_and_back(angles, spacing, ijk):
    rotation = sitk.Euler3DTransform()
    rotation.SetRotation(*angles)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rotation.GetMatrix()).reshape(3, 3) * spacing
    matrix[:3, 3] = (1, -2, 3)
    image = Image(np.zeros((1, 1, 20, 20, 1), np.uint8), matrix, Calibration("calibrated", "test", spacing[:2]))
    ras = image.ras_from_ijk(ijk)
    np.testing.assert_allclose(np.linalg.inv(matrix) @ (*ras, 1), (*ijk, 1), atol=1e-6)


def test_a_volume_is_shown_between_its_percentiles(tmp_path: Path):
    image = read_image(write(tmp_path / "a.nrrd", VOLUME))
    low, high = np.percentile(VOLUME, (0.5, 99.5))
    expected = np.floor(np.clip((VOLUME[7] - low) / (high - low), 0, 1) * 255 + 0.5)
    np.testing.assert_allclose(image.display_rgb(slice_index=7)[..., 0], expected, atol=1)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.nrrd", "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 60 40\nencoding: raw\n\n"),
        (
            "a.mha",
            "ObjectType = Image\nNDims = 2\nBinaryData = True\nDimSize = 60 40\nElementType = MET_UCHAR\n"
            "ElementDataFile = LOCAL\n",
        ),
    ],
)
def test_a_header_without_a_spacing_gives_no_millimetres(tmp_path: Path, name, header):
    (tmp_path / name).write_bytes(header.encode() + GREY8.tobytes())
    image = read_image(tmp_path / name)
    assert image.calibration.kind == "none"
    assert "header states no" in image.calibration.source
    np.testing.assert_array_equal(image.pixels[0, 0, :, :, 0], GREY8)


def test_nrrd_lengths_in_another_unit_are_no_millimetres(tmp_path: Path):
    header = (
        "NRRD0004\ntype: uint8\ndimension: 2\nspace dimension: 2\nsizes: 60 40\nspace directions: (1,0) (0,1)\n"
        'space units: "um" "um"\nencoding: raw\n\n'
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + GREY8.tobytes())
    assert read_image(tmp_path / "a.nrrd").calibration.kind == "none"


@pytest.mark.parametrize(("unit", "factor"), [(0, 1.0), (2, 1.0), (1, 1000.0), (3, 0.001)])
def test_nifti_units_are_honoured(tmp_path: Path, unit, factor):
    volume = sitk.GetImageFromArray(VOLUME)
    volume.SetSpacing((0.25, 0.5, 0.5))
    sitk.WriteImage(volume, str(tmp_path / "a.nii"))
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[123] = unit
    (tmp_path / "a.nii").write_bytes(data)
    image = read_image(tmp_path / "a.nii")
    assert image.calibration.spacing_mm == pytest.approx((0.25 * factor, 0.5 * factor))
    assert ("mm assumed" in image.calibration.source) == (unit == 0)


def test_the_fourth_dimension_is_time(tmp_path: Path):
    frames = [sitk.GetImageFromArray(VOLUME[:3] + n) for n in range(4)]
    cine = sitk.JoinSeries(frames, 0.0, 0.5)
    sitk.WriteImage(cine, str(tmp_path / "a.nii.gz"))
    image = read_image(tmp_path / "a.nii.gz")
    assert (image.frame_count, image.size) == (4, (60, 40, 3))
    assert image.frame_times_s == pytest.approx((0, 0.5, 1.0, 1.5))
    np.testing.assert_array_equal(image.pixels[3, ..., 0], VOLUME[:3] + 3)


def test_missing_values_are_read_as_the_lowest_and_warned_of(tmp_path: Path):
    pixels = VOLUME.astype(np.float32)
    pixels[:, 0, 0] = np.nan
    image = read_image(write(tmp_path / "a.nrrd", pixels))
    assert "20 pixels" in image.warnings[0]
    assert image.pixels[0, 0, 0, 0, 0] == np.nanmin(pixels)


def test_a_picture_without_any_value_is_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="none of its pixels"):
        read_image(write(tmp_path / "a.nrrd", np.full((20, 30), np.nan, np.float32)))


@pytest.mark.parametrize(("frame", "slice_index"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_frames_and_slices_outside_the_image_are_refused(frame, slice_index):
    image = Image(np.zeros((1, 1, 20, 20, 1), np.uint8), np.eye(4), Calibration("none", "test"))
    with pytest.raises(ImageError, match="there is no"):
        image.display_rgb(frame, slice_index)


def test_an_image_must_have_its_shape_and_a_real_matrix():
    none = Calibration("none", "test")
    with pytest.raises(ImageError, match="shape"):
        Image(np.zeros((20, 20), np.uint8), np.eye(4), none)
    with pytest.raises(ImageError, match="do not span"):
        Image(np.zeros((1, 1, 20, 20, 1), np.uint8), np.diag((1, 0, 1, 1)), none)
    with pytest.raises(ImageError, match="finite"):
        Image(np.zeros((1, 1, 20, 20, 1), np.uint8), np.diag((1, np.nan, 1, 1)), none)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("ceph_isbi/images/*.jpg", (967, 1200, 1)),
        ("chest_jsrt/images/*", (512, 512, 1)),
        ("brain_afids/images/*", None),
    ],
)
def test_public_images_are_read(the_data_folder: Path, pattern, size):
    path = sorted(the_data_folder.glob(pattern))[0]
    image = read_image(path)
    assert size is None or image.size == size
    assert image.calibration.kind == ("calibrated" if path.name.endswith(".nii.gz") else "none")
    assert image.display_rgb(slice_index=image.size[2] // 2).std() > 10
