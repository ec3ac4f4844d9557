"""DICOM grey values: modality LUT, windows and VOI LUT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import GREY8, RAMP, grey, item, sequence, write_dicom
from hypothesis import given, settings
from hypothesis import strategies as st

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.image.display import Window


def test_low_values_of_monochrome1_are_white(tmp_path: Path):
    path = write_dicom(tmp_path / "a.dcm", GREY8, "CR", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(grey(path), 255 - GREY8)
    np.testing.assert_array_equal(read_image(path).pixels[0, 0, :, :, 0], GREY8)


def test_rescaled_values_stay_whole_where_they_can(tmp_path: Path):
    whole = read_image(write_dicom(tmp_path / "a.dcm", RAMP, "CT", RescaleSlope=1, RescaleIntercept=-24)).pixels
    assert whole.dtype == np.int16
    np.testing.assert_array_equal(whole[0, 0, :, :, 0], RAMP - 24)
    scaled = read_image(write_dicom(tmp_path / "b.dcm", RAMP, "CT", RescaleSlope=0.5, RescaleIntercept=3)).pixels
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 0, :, :, 0], RAMP * 0.5 + 3)


def test_a_rescale_of_slope_zero_is_refused(tmp_path: Path):
    with pytest.raises(ImageError, match="slope"):
        read_image(write_dicom(tmp_path / "a.dcm", RAMP, "CT", RescaleSlope=0, RescaleIntercept=0))


def test_the_intensity_lut_of_an_angiogram_is_not_for_the_display(tmp_path: Path):
    for relationship, expected in (("LOG", RAMP), ("LIN", RAMP * 2.0)):
        path = write_dicom(
            tmp_path / "a.dcm",
            RAMP,
            "XA",
            PixelIntensityRelationship=relationship,
            RescaleSlope=2,
            RescaleIntercept=0,
        )
        np.testing.assert_array_equal(read_image(path).pixels[0, 0, :, :, 0], expected)


def test_the_first_window_is_used_and_matches_the_standards_formula(tmp_path: Path):
    path = write_dicom(tmp_path / "a.dcm", RAMP, "CT", WindowCenter=[40, 300], WindowWidth=[400, 1500])
    center, width = 40, 400
    unit = (RAMP - (center - 0.5)) / (width - 1) + 0.5  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(grey(path), np.clip(unit, 0, 1) * 255, atol=0.501)


def test_the_window_works_on_rescaled_values(tmp_path: Path):
    plain = write_dicom(tmp_path / "a.dcm", RAMP, "CT", WindowCenter=40, WindowWidth=400)
    shifted = write_dicom(
        tmp_path / "b.dcm", RAMP + 1024, "CT", WindowCenter=40, WindowWidth=400, RescaleSlope=1, RescaleIntercept=-1024
    )
    np.testing.assert_array_equal(grey(plain), grey(shifted))


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        ("LINEAR_EXACT", lambda x: (x - 40) / 400 + 0.5),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 40.0) / 400))),
    ],
)
def test_other_window_functions_match_the_standard(tmp_path: Path, function, formula):
    path = write_dicom(tmp_path / "a.dcm", RAMP, "DX", WindowCenter=40, WindowWidth=400, VOILUTFunction=function)
    np.testing.assert_allclose(grey(path), np.clip(formula(RAMP), 0, 1) * 255, atol=0.501)


def test_a_window_of_width_one_is_a_step():
    values = np.array([98, 99, 100, 101], np.int16)
    np.testing.assert_array_equal(Window(100, 1).to_uint8(values), (0, 0, 255, 255))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_a_voi_lut_goes_before_a_window(tmp_path: Path, bits):
    top = (1 << bits) - 1
    table = (np.linspace(0, 1, 512) ** 2 * top).astype(np.uint16)
    lut = item(LUTDescriptor=[512, 65536 - 200, 16], LUTData=table.tobytes())  # first value -200; bits overstated
    lut["LUTDescriptor"].VR = "US"
    lut["LUTData"].VR = "OW"
    path = write_dicom(tmp_path / "a.dcm", RAMP, "DX", VOILUTSequence=sequence(lut), WindowCenter=40, WindowWidth=400)
    expected = table[np.clip(RAMP.astype(int) + 200, 0, 511)] * (255 / top)
    np.testing.assert_allclose(grey(path), expected, atol=0.501)


def test_a_modality_lut_replaces_the_values(tmp_path: Path):
    table = np.arange(3000, 3000 + 2000, dtype=np.uint16)[::-1].copy()
    lut = item(LUTDescriptor=[2000, 0, 16], LUTData=table.tobytes(), ModalityLUTType="US")
    lut["LUTDescriptor"].VR = "US"
    lut["LUTData"].VR = "OW"
    stored = (RAMP + 1000).astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", stored, "CR", ModalityLUTSequence=sequence(lut))
    np.testing.assert_array_equal(read_image(path).pixels[0, 0, :, :, 0], table[stored])


def test_without_a_window_the_percentiles_are_shown_and_padding_is_left_out(tmp_path: Path):
    padded = RAMP.copy()
    padded[:20] = -2000
    path = write_dicom(tmp_path / "a.dcm", padded, "CT", PixelPaddingValue=-2000)
    low, high = np.percentile(RAMP[20:], (0.5, 99.5))
    expected = np.clip((RAMP[20:] - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(grey(path)[20:], expected, atol=1)
    assert (grey(path)[:20] == 0).all()


@pytest.mark.parametrize(
    ("window", "word"),
    [((20000, 10), "one grey"), ((40, 0), "empty"), ((40, -5), "empty")],
)
def test_a_window_that_shows_nothing_is_not_used_and_warned_of(tmp_path: Path, window, word):
    path = write_dicom(tmp_path / "a.dcm", RAMP, "CT", WindowCenter=window[0], WindowWidth=window[1])
    assert word in read_image(path).warnings[0]
    assert grey(path).std() > 50


@settings(deadline=None)
@given(
    center=st.floats(-500, 500),
    width=st.floats(1, 2000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)
def test_a_window_never_turns_brighter_into_darker(center, width, function):
    shown = Window(center, width, function).to_uint8(np.arange(-1500, 1500, dtype=np.int16)).astype(int)
    assert (np.diff(shown) >= 0).all()


def test_8_bit_values_without_a_window_are_shown_as_they_are(tmp_path: Path):
    np.testing.assert_array_equal(grey(write_dicom(tmp_path / "a.dcm", GREY8 // 4, "US")), GREY8 // 4)
