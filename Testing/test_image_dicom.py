"""DICOM pixels: compression, colour, byte order, unused bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import GREY8, RAMP, RGB8, dicom_dataset, packaged, write_dicom
from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from MedLandmarkLib.image import read_image
from MedLandmarkLib.image.colour import rgb_from_ybr_full


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "MR_small_padded.dcm",
        "ExplVR_BigEnd.dcm",
        "SC_rgb_jpeg_dcmd.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit_2frame.dcm",
        "SC_rgb_rle_32bit.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_overlay.dcm",
        "examples_palette.dcm",
        "examples_rgb_color.dcm",
        "image_dfl.dcm",
    ],
)
@pytest.mark.filterwarnings("ignore:The pixel data is 8320 bytes long")
def test_what_pydicom_decodes_by_itself_is_read_alike(name):
    dataset = pydicom.dcmread(packaged(name))
    expected = pixel_array(dataset)
    if dataset.PhotometricInterpretation == "PALETTE COLOR":
        expected = apply_color_lut(expected, dataset)
    elif dataset.SamplesPerPixel == 1:
        expected = apply_modality_lut(expected, dataset)
    found = read_image(packaged(name)).pixels
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize(
    ("compressed", "plain"),
    [
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),  # JPEG 2000
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle.dcm"),  # JPEG lossless
        ("SC_rgb_gdcm_KY.dcm", "SC_rgb_rle.dcm"),  # JPEG 2000 in colour
    ],
)
def test_lossless_compression_changes_nothing(compressed, plain):
    found, expected = read_image(packaged(compressed)), read_image(packaged(plain))
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    np.testing.assert_array_equal(found.display_rgb(), expected.display_rgb())


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cr.dcm",  # JPEG that holds RGB
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_dcmtk_+eb+cy+s2.dcm",
        "SC_rgb_dcmtk_+eb+cy+s4.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_rgb_jls_lossy_line.dcm",
        "SC_rgb_jls_lossy_sample.dcm",
    ],
)
def test_colours_survive_lossy_compression(name):
    """All are copies of one colour chart; chroma bleeds at its edges, so the typical pixel is compared."""
    difference = read_image(packaged(name)).pixels.astype(int) - read_image(packaged("SC_rgb_rle.dcm")).pixels
    assert np.median(np.abs(difference)) <= 2
    assert np.abs(difference).mean() < 4


def test_a_colour_jpeg_whose_header_says_rgb_follows_its_markers():
    for name in ("SC_rgb_jpeg.dcm", "SC_rgb_jpeg_app14_dcmd.dcm", "SC_jpeg_no_color_transform.dcm"):
        difference = read_image(packaged(name)).pixels.astype(int) - read_image(packaged("SC_rgb_jpeg_dcmd.dcm")).pixels
        assert np.abs(difference).mean() < 3, name


def test_a_12_bit_jpeg_is_read():
    image = read_image(packaged("JPGExtended.dcm"))
    assert image.size == (256, 1024, 1)
    assert 255 < image.pixels.max() < 4096


def test_jpeg_2000_signs_follow_the_stream():
    image = read_image(packaged("J2K_pixelrep_mismatch.dcm"))
    assert image.pixels.min() == -2000  # the padding of a CT; read as unsigned it would be above 6000
    assert image.pixels.max() < 4096


def test_the_packaged_echo_is_a_natural_grey_cine():
    image = read_image(packaged("examples_ybr_color.dcm"))
    assert (image.frame_count, image.size, image.modality) == (30, (320, 240, 1), "US")
    assert image.frame_times_s[:2] == pytest.approx((0, 0.033333))
    sector = image.pixels[:, 0, 60:200, 120:220].astype(int)
    assert np.ptp(sector, axis=-1).max() <= 8  # no hue in the tissue
    assert sector.max() > 150
    red, green, blue = image.display_rgb()[225:236, 40:270].astype(int).reshape(-1, 3).mean(axis=0)
    assert blue > red + 5  # the scanner's blue button bar
    assert blue > green


def test_rgb_of_ybr_is_the_standards_equation():
    ybr = np.random.default_rng(1).integers(0, 256, (1000, 3), np.uint8)
    y, cb, cr = ybr.astype(float).T - np.array([[0], [128], [128]])
    expected = np.stack((y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb), axis=-1).clip(0, 255)
    assert np.abs(rgb_from_ybr_full(ybr) - expected).max() <= 1


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("frames", [1, 3])
def test_both_planar_configurations_are_read(tmp_path: Path, planar, frames):
    pixels = np.stack([np.roll(RGB8, n, 0) for n in range(frames)])
    stored = pixels if planar == 0 else np.moveaxis(pixels, -1, 1)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, "US", PlanarConfiguration=planar, PixelData=np.ascontiguousarray(stored).tobytes()
    )
    image = read_image(path)
    np.testing.assert_array_equal(image.pixels[:, 0], pixels)
    np.testing.assert_array_equal(image.display_rgb(frames - 1), pixels[-1])


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_byte_order_is_read(tmp_path: Path, syntax):
    dataset = dicom_dataset(RAMP, "CT")
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = RAMP.astype(">i2").tobytes()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[0, 0, :, :, 0], RAMP)


def test_run_lengths_of_a_cine_are_read(tmp_path: Path):
    cine = np.stack([GREY8, GREY8.T.reshape(40, 50), GREY8[::-1]])
    dataset = dicom_dataset(cine, "US")
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_image(tmp_path / "a.dcm").pixels[:, 0, :, :, 0], cine)


def test_a_file_without_preamble_is_read(tmp_path: Path):
    dataset = dicom_dataset(RAMP, "MR")
    del dataset.file_meta
    path = tmp_path / "a"
    pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read_image(path).pixels[0, 0, :, :, 0], RAMP)


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_overlays_in_unused_bits_are_cleared(tmp_path: Path, kind):
    values = RAMP.astype(kind) if kind == np.int16 else (RAMP + 1000).astype(kind)
    dirty = (values.view(np.uint16) & 0x0FFF) | 0x8000  # 12 bits of value, an overlay plane in bit 15
    path = write_dicom(tmp_path / "a.dcm", dirty.view(kind), "CT", BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_image(path).pixels[0, 0, :, :, 0], values)
