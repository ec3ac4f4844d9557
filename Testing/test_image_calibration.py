"""How far an image's millimetres can be trusted, and calibration by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom_dataset, item, sequence, ultrasound_region, write_dicom
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import Calibration, Image, read_image
from MedLandmarkLib.image.calibration import dicom_calibration

PIXELS = np.arange(200 * 300, dtype=np.uint16).reshape(200, 300)
PLACE = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}


def calibration_of(modality: str, **attributes) -> Calibration:
    return dicom_calibration(dicom_dataset(PIXELS, modality, **attributes), 300, 200)


def an_image(columns: int = 300, rows: int = 200, spacing: tuple[float, float] | None = None) -> Image:
    calibration = Calibration("none", "test") if spacing is None else Calibration("detector-plane", "test", spacing)
    scale = spacing or (1.0, 1.0)
    matrix = np.diag((-scale[0], -scale[1], 1.0, 1.0))
    matrix[:3, 3] = (10, 20, 30)
    return Image(np.zeros((1, 1, rows, columns, 1), np.uint8), matrix, calibration)


@pytest.mark.parametrize("modality", ["CR", "DX", "IO", "XA"])
def test_a_radiograph_with_imager_spacing_only_is_measured_on_the_detector(modality):
    calibration = calibration_of(modality, ImagerPixelSpacing=[0.2, 0.1])
    assert (calibration.kind, calibration.spacing_mm) == ("detector-plane", (0.1, 0.2))
    assert "ImagerPixelSpacing (0018,1164)" in calibration.source


def test_equal_pixel_and_imager_spacing_are_not_a_calibration():
    calibration = calibration_of("DX", ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.1, 0.1])
    assert (calibration.kind, calibration.spacing_mm) == ("detector-plane", (0.1, 0.1))


def test_pixel_spacing_that_differs_from_imager_spacing_is_calibrated():
    calibration = calibration_of("CR", ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.09, 0.08])
    assert (calibration.kind, calibration.spacing_mm) == ("calibrated", (0.08, 0.09))


def test_a_stated_calibration_type_calibrates_even_equal_spacings():
    calibration = calibration_of(
        "DX", ImagerPixelSpacing=[0.1, 0.1], PixelSpacing=[0.1, 0.1], PixelSpacingCalibrationType="FIDUCIAL"
    )
    assert calibration.kind == "calibrated"
    assert "fiducial" in calibration.source


def test_pixel_spacing_alone_leaves_a_radiograph_on_the_detector_and_says_why():
    calibration = calibration_of("CR", PixelSpacing=[0.15, 0.15])
    assert (calibration.kind, calibration.spacing_mm) == ("detector-plane", (0.15, 0.15))
    assert "not stated" in calibration.source


def test_a_magnification_factor_is_mentioned_and_not_applied():
    calibration = calibration_of("DX", ImagerPixelSpacing=[0.1, 0.1], EstimatedRadiographicMagnificationFactor=1.15)
    assert calibration.spacing_mm == (0.1, 0.1)
    assert "1.15" in calibration.source


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_pixel_spacing_of_a_section_is_calibrated(modality):
    calibration = calibration_of(modality, PixelSpacing=[0.7, 0.5])
    assert (calibration.kind, calibration.spacing_mm) == ("calibrated", (0.5, 0.7))


def test_a_secondary_capture_is_calibrated_only_with_a_place_in_the_patient():
    assert calibration_of("OT", PixelSpacing=[0.5, 0.5], **PLACE).kind == "calibrated"
    assert calibration_of("OT", PixelSpacing=[0.5, 0.5]).kind == "detector-plane"


def test_a_scanned_film_is_measured_on_the_film_and_a_scanned_page_not_at_all():
    film = calibration_of("OT", NominalScannedPixelSpacing=[0.2, 0.2], ConversionType="DF")
    page = calibration_of("OT", NominalScannedPixelSpacing=[0.2, 0.2], ConversionType="SD")
    assert (film.kind, film.spacing_mm) == ("detector-plane", (0.2, 0.2))
    assert (page.kind, page.spacing_mm) == ("none", None)


@pytest.mark.parametrize("modality", ["CR", "CT", "OT", "US", "XA"])
def test_without_a_spacing_there_is_no_calibration(modality):
    assert calibration_of(modality).kind == "none"


def test_the_spacing_of_an_enhanced_image_comes_from_its_functional_groups():
    shared = item(PixelMeasuresSequence=sequence(item(PixelSpacing=[0.4, 0.3])))
    calibration = calibration_of("MR", SharedFunctionalGroupsSequence=sequence(shared))
    assert calibration.spacing_mm == (0.3, 0.4)


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
@pytest.mark.parametrize("keyword", ["PixelSpacing", "ImagerPixelSpacing"])
@pytest.mark.parametrize("value", [["0", "0"], ["-0.1", "0.1"], ["nan", "nan"], ["inf", "1"], ["5000", "1"], ["0.1"]])
def test_a_spacing_that_is_no_length_is_refused(keyword, value):
    with pytest.raises(ImageError, match=keyword):
        calibration_of("DX", **{keyword: value})


def test_an_empty_spacing_is_no_spacing():
    assert calibration_of("DX", PixelSpacing=None).kind == "none"


def test_the_largest_2d_ultrasound_region_calibrates():
    regions = sequence(
        ultrasound_region(0, 0, 60, 60, delta_cm=0.5),
        ultrasound_region(10, 20, 250, 180, PhysicalDeltaX=0.02, PhysicalDeltaY=0.03),
        ultrasound_region(0, 0, 299, 199, RegionSpatialFormat=3, RegionDataType=3),  # spectral Doppler
        ultrasound_region(0, 0, 299, 199, PhysicalUnitsXDirection=4),  # seconds
        ultrasound_region(0, 0, 299, 199, RegionDataType=10),  # an ECG trace
    )
    calibration = calibration_of("US", SequenceOfUltrasoundRegions=regions)
    assert calibration.kind == "calibrated"
    assert calibration.spacing_mm == pytest.approx((0.2, 0.3))
    assert "region 2 of 5" in calibration.source


def test_a_colour_region_calibrates_too():
    regions = sequence(ultrasound_region(0, 0, 299, 199, RegionDataType=2))
    assert calibration_of("US", SequenceOfUltrasoundRegions=regions).spacing_mm == pytest.approx((0.2, 0.2))


def test_a_region_may_end_one_pixel_late():
    exclusive = sequence(ultrasound_region(0, 0, 300, 200))
    assert calibration_of("US", SequenceOfUltrasoundRegions=exclusive).kind == "calibrated"


@pytest.mark.parametrize("corner", [(301, 199), (299, 201), (600, 400)])
def test_a_region_that_does_not_fit_the_picture_is_no_calibration(corner):
    regions = sequence(ultrasound_region(0, 0, *corner), ultrasound_region(0, 0, 100, 100))
    calibration = calibration_of("US", SequenceOfUltrasoundRegions=regions, PixelSpacing=[0.3, 0.3])
    assert (calibration.kind, calibration.spacing_mm) == ("none", None)
    assert "picture has 300 x 200 px" in calibration.source


def test_a_trace_that_leaves_the_picture_does_not_spoil_the_sector():
    regions = sequence(
        ultrasound_region(0, 0, 299, 150, delta_cm=0.03),
        ultrasound_region(0, 150, 299, 260, RegionDataType=10),  # an ECG trace
    )
    assert calibration_of("US", SequenceOfUltrasoundRegions=regions).spacing_mm == pytest.approx((0.3, 0.3))


def test_regions_without_a_2d_picture_give_no_millimetres():
    regions = sequence(ultrasound_region(0, 0, 299, 199, RegionSpatialFormat=2))  # M-mode
    assert calibration_of("US", SequenceOfUltrasoundRegions=regions).kind == "none"


def test_an_ultrasound_region_with_a_nan_pixel_size_is_refused():
    regions = sequence(ultrasound_region(0, 0, 299, 199, delta_cm=math.nan))
    with pytest.raises(ImageError, match="PhysicalDeltaX"):
        calibration_of("US", SequenceOfUltrasoundRegions=regions)


def test_the_packaged_echo_was_shrunk_after_the_scan_and_has_no_millimetres():
    image = read_image(get_testdata_file("examples_ybr_color.dcm", download=False))
    assert image.calibration.kind == "none"
    assert "region 1 spans 84-595 x 31-414 px but the picture has 320 x 240 px" in image.calibration.source
    assert image.ras_from_ijk((1, 2, 0)) is None


def test_a_calibrated_pixel_spacing_scales_the_geometry(tmp_path: Path):
    path = write_dicom(tmp_path / "a.dcm", PIXELS, "DX", ImagerPixelSpacing=[0.2, 0.1], PixelSpacing=[0.18, 0.09])
    image = read_image(path)
    np.testing.assert_allclose(image.ijk_to_ras, np.diag((-0.09, -0.18, 1, 1)))
    np.testing.assert_allclose(image.ras_from_ijk([(10, 0, 0), (0, 10, 0)]), [(-0.9, 0, 0), (0, -1.8, 0)])


def test_a_calibration_must_agree_with_itself():
    with pytest.raises(ValueError, match="kind"):
        Calibration("good", "test", (1.0, 1.0))
    with pytest.raises(ValueError, match="none"):
        Calibration("none", "test", (1.0, 1.0))
    with pytest.raises(ValueError, match="calibrated"):
        Calibration("calibrated", "test")


spacings = st.floats(1e-3, 900)


@settings(deadline=None)  # the machine may be busy
@given(x=spacings, y=spacings)
def test_a_given_spacing_keeps_origin_and_directions(x, y):
    before = an_image()
    after = before.calibrated_by_spacing((x, y))
    assert (after.calibration.kind, after.calibration.spacing_mm) == ("calibrated", (x, y))
    assert after.calibration.source.startswith("user")
    np.testing.assert_allclose(after.ijk_to_ras[:3, 3], before.ijk_to_ras[:3, 3])
    np.testing.assert_allclose(after.ijk_to_ras[:3, :3], np.diag((-x, -y, 1)))
    assert before.calibration.kind == "none"


@settings(deadline=None)  # the machine may be busy
@given(
    ends=st.tuples(st.floats(0, 299), st.floats(0, 199), st.floats(0, 299), st.floats(0, 199)).filter(
        lambda e: math.hypot(e[2] - e[0], e[3] - e[1]) >= 1
    ),
    mm=st.floats(0.5, 300),
    # no more elongated than a real pixel, so that the longer side stays within what is accepted as a spacing
    spacing=st.none() | st.tuples(st.floats(0.2, 0.6), st.floats(0.2, 0.6)),
)
def test_a_ruler_measures_its_own_length(ends, mm, spacing):
    x1, y1, x2, y2 = ends
    image = an_image(spacing=spacing).calibrated_by_ruler(x1, y1, x2, y2, mm)
    start, end = image.ras_from_ijk([(x1, y1, 0), (x2, y2, 0)])
    assert np.linalg.norm(end - start) == pytest.approx(mm)
    x, y = image.calibration.spacing_mm
    before = spacing or (1.0, 1.0)
    assert x / y == pytest.approx(before[0] / before[1])


def test_a_short_ruler_is_warned_of():
    assert "ruler" in an_image().calibrated_by_ruler(10, 10, 20, 10, 5).warnings[0]
    assert not an_image().calibrated_by_ruler(10, 10, 200, 10, 50).warnings


@pytest.mark.parametrize(
    ("ruler", "reason"),
    [
        ((10, 10, 10, 10, 5), "apart"),
        ((-5, 10, 20, 10, 5), "leaves the picture"),
        ((10, 10, 300, 10, 5), "leaves the picture"),
        ((math.nan, 10, 20, 10, 5), "leaves the picture"),
        ((10, 10, 20, 10, 0), "length"),
        ((10, 10, 20, 10, -3), "length"),
        ((10, 10, 20, 10, math.nan), "length"),
        ((10, 10, 20, 10, 1e6), "at most 1000"),
        ((10, 10, 20, "x", 5), "five numbers"),
    ],
)
def test_a_senseless_ruler_is_refused(ruler, reason):
    with pytest.raises(ImageError, match=reason):
        an_image().calibrated_by_ruler(*ruler)


@pytest.mark.parametrize("mm", [0, -0.1, math.nan, math.inf, 1000.5, (0.1, 0), (0.1, 0.1, 0.1), "wide"])
def test_a_senseless_spacing_is_refused(mm):
    with pytest.raises(ImageError, match="spacing"):
        an_image().calibrated_by_spacing(mm)


def test_reading_takes_a_spacing_or_a_ruler_but_not_both(tmp_path: Path):
    path = write_dicom(tmp_path / "a.dcm", PIXELS, "CR")
    assert read_image(path, spacing_mm=0.1).calibration.spacing_mm == (0.1, 0.1)
    assert read_image(path, ruler=(0, 0, 100, 0, 10)).calibration.spacing_mm == pytest.approx((0.1, 0.1))
    with pytest.raises(ImageError, match=r"a\.dcm: both"):
        read_image(path, spacing_mm=0.1, ruler=(0, 0, 100, 0, 10))
    with pytest.raises(ImageError, match="five numbers"):
        read_image(path, ruler=(0, 0, 100, 0))
