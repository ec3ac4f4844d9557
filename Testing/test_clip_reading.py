"""Clips from files: DICOM, AVI, MP4 and NRRD sequences; their times, pixel sizes, and what is wrong with some."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pydicom
import pytest
from clips import sector_pictures, write_video
from dicom_files import sequence, ultrasound_region, write_dicom
from doubles import write_picture
from pydicom.data import get_testdata_file

from MedLandmarkLib.errors import ImageError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.image.clip import Clip, NotAClip, clip_from_pixels
from MedLandmarkLib.image.clip_reading import read_clip
from MedLandmarkLib.image.sector import find_sector

PICTURES = sector_pictures(6, columns=64, rows=48)


def same_as_image(clip: Clip, path: Path) -> bool:
    image = read_image(path)
    pictures = list(clip.pictures())
    return len(pictures) == image.frame_count and all(
        np.array_equal(picture, image.display_rgb(frame)) for frame, picture in enumerate(pictures)
    )


@pytest.mark.parametrize("name", ["examples_ybr_color.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_16bit_2frame.dcm"])
def test_a_dicom_clip_shows_what_the_image_shows(name: str) -> None:
    path = Path(get_testdata_file(name))
    assert same_as_image(read_clip(path), path)


def test_grey_and_16_bit_dicom_clips_show_what_the_image_shows(tmp_path: Path) -> None:
    wide = PICTURES.astype(np.uint16) * 16
    for number, pixels in enumerate((PICTURES, wide, np.stack([PICTURES] * 3, -1))):
        path = write_dicom(tmp_path / f"{number}.dcm", pixels, "US")
        assert same_as_image(read_clip(path), path)


def test_frames_are_read_by_number_without_the_others() -> None:
    clip = read_clip(get_testdata_file("examples_ybr_color.dcm"))
    whole = list(clip.pictures())
    some = (3, 9, 10, 29)
    assert all(np.array_equal(whole[frame], one) for frame, one in zip(some, clip.pictures(some), strict=True))
    assert np.array_equal(clip.picture(17), whole[17])
    for wrong in ((30,), (-1,), (4, 4), (5, 3)):
        with pytest.raises(ImageError, match="there is no frame"):
            list(clip.pictures(wrong))


@pytest.mark.parametrize(
    ("attributes", "rate_hz", "source"),
    [
        ({"FrameTime": 40}, 25.0, "FrameTime (0018,1063)"),
        ({"FrameTimeVector": [0, 20, 20, 20, 20, 20]}, 50.0, "FrameTimeVector (0018,1065)"),
        ({"CineRate": 30}, 30.0, "CineRate (0018,0040)"),
        ({"RecommendedDisplayFrameRate": 15}, 15.0, "RecommendedDisplayFrameRate (0008,2144)"),
        ({}, None, "the DICOM header states no frame time"),
        (
            {"FrameTimeVector": [0, 20, 0, 20, 20, 20]},
            None,
            "the times stated (FrameTimeVector (0018,1065)) do not rise",
        ),
    ],
)
def test_dicom_frame_times_have_their_source(attributes: dict, rate_hz: float, source: str, tmp_path: Path) -> None:
    clip = read_clip(write_dicom(tmp_path / "a.dcm", PICTURES, "US", **attributes))
    assert clip.frame_rate_hz == (rate_hz and pytest.approx(rate_hz)) and clip.time_source == source


def test_pixel_size_and_heart_rate_come_from_the_header(tmp_path: Path) -> None:
    regions = sequence(ultrasound_region(0, 0, 20, 10, 0.5), ultrasound_region(0, 10, 63, 47, 0.03))
    path = write_dicom(tmp_path / "a.dcm", PICTURES, "US", SequenceOfUltrasoundRegions=regions, HeartRate=66)
    clip = read_clip(path)
    assert clip.heart_rate_bpm == 66 and clip.calibration.spacing_mm == pytest.approx((0.3, 0.3))
    assert "region 2 of 2" in clip.calibration.source
    by_hand = read_clip(path, spacing_mm=0.5)
    assert by_hand.calibration.spacing_mm == (0.5, 0.5) and by_hand.ras_from_ijk((2, 4, 0)) == pytest.approx(
        (-1, -2, 0)
    )


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_a_video_is_read_with_its_own_times(name: str, tmp_path: Path) -> None:
    pytest.importorskip("av")
    clip = read_clip(write_video(tmp_path / name, PICTURES, rate=25))
    assert (clip.frame_count, clip.size_wh) == (6, (64, 48)) and clip.frame_rate_hz == pytest.approx(25)
    assert clip.calibration.kind == "none" and "time stamps" in clip.time_source
    pictures = np.stack(list(clip.pictures()))
    assert np.abs(pictures[..., 0].astype(int) - PICTURES).mean() < 12  # lossy
    assert np.array_equal(clip.picture(4), pictures[4])


def test_a_video_that_is_cut_is_told(tmp_path: Path) -> None:
    pytest.importorskip("av")
    whole = write_video(tmp_path / "a.mp4", PICTURES).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"cut\.mp4: its video is damaged or cut"):
        list(read_clip(tmp_path / "cut.mp4").pictures())


def test_pictures_that_change_their_size_are_told(tmp_path: Path) -> None:
    class Changing:
        def pictures(self, frames):
            for frame in frames:
                yield np.zeros((48, 64 if frame < 3 else 32, 3), np.uint8)

    clip = clip_from_pixels(PICTURES, path=tmp_path / "a.mp4")
    object.__setattr__(clip, "source", Changing())
    with pytest.raises(ImageError, match=r"a\.mp4: frame 3 has 32 x 48 px, the file announces 64 x 48"):
        list(clip.pictures())


def nrrd(path: Path, header: str, data: bytes, encoding: str = "raw") -> Path:
    packed = gzip.compress(data) if encoding == "gzip" else data
    path.write_bytes(f"NRRD0005\ntype: uint8\nendian: little\nencoding: {encoding}\n{header}\n\n".encode() + packed)
    return path


LIST_LAST = (
    "dimension: 4\nspace: left-posterior-superior\nsizes: 64 48 1 6\nkinds: domain domain domain list\n"
    "space directions: (0.5,0,0) (0,0.25,0) (0,0,1) none\nspace origin: (1,2,3)\n"
    'labels: "" "" "" "time"\nunits: "" "" "" "ms"\naxis 3 index values:=0 40 80 120 160 200'
)


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_a_nrrd_sequence_is_read_with_the_times_of_its_list_axis(encoding: str, tmp_path: Path) -> None:
    clip = read_clip(nrrd(tmp_path / "a.seq.nrrd", LIST_LAST, PICTURES.tobytes(), encoding))
    assert clip.frame_rate_hz == pytest.approx(25) and "NRRD index values of the axis 'time' in ms" in clip.time_source
    assert clip.calibration.spacing_mm == (0.5, 0.25)
    assert clip.ras_from_ijk((2, 4, 0)) == pytest.approx((-2, -3, 3))
    assert np.array_equal(np.stack(list(clip.pictures()))[..., 0], PICTURES)
    assert np.array_equal(next(clip.pictures((4,)))[..., 0], PICTURES[4])


def test_an_older_nrrd_sequence_has_its_frames_woven_into_each_other(tmp_path: Path) -> None:
    header = (
        "dimension: 4\nspace: right-anterior-superior\nsizes: 6 64 48 1\nkinds: list domain domain domain\n"
        'space directions: none (-0.5,0,0) (0,-0.5,0) (0,0,1)\nspace origin: (0,0,0)\nlabels: "frame" "" "" ""\n'
        "axis 0 index values:=0 1 2 3 4 5"
    )
    clip = read_clip(nrrd(tmp_path / "a.nrrd", header, np.moveaxis(PICTURES, 0, -1).tobytes()))
    assert np.array_equal(np.stack(list(clip.pictures()))[..., 0], PICTURES)
    assert clip.times_s is None and "not labelled as time" in clip.time_source
    assert clip.ras_from_ijk((2, 4, 0)) == pytest.approx((-1, -2, 0))


def test_a_nrrd_sequence_that_is_cut_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="it has 3 of the 6 frames its header announces: it was cut"):
        read_clip(nrrd(tmp_path / "a.nrrd", LIST_LAST, PICTURES[:3].tobytes()))


def test_one_frame_and_a_volume_are_no_clips(tmp_path: Path) -> None:
    for path in (write_picture(tmp_path / "a.png"), write_dicom(tmp_path / "a.dcm", PICTURES[0], "US")):
        with pytest.raises(NotAClip, match="one frame, and a clip needs more"):
            read_clip(path)
    assert read_clip(write_dicom(tmp_path / "two.dcm", PICTURES[:2], "US")).frame_count == 2


def test_a_dicom_clip_that_is_cut_is_told(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", PICTURES, "US")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 2 * PICTURES[0].size - 5])
    with pytest.raises(ImageError, match=r"3 of the 6 frames|damaged or cut|was cut"):
        list(read_clip(path).pictures())
    compressed = Path(get_testdata_file("examples_ybr_color.dcm")).read_bytes()
    path.write_bytes(compressed[: len(compressed) // 2])
    with pytest.raises(ImageError, match="cut"):
        list(read_clip(path).pictures())


def test_a_file_that_is_no_clip_at_all_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("nothing")
    for path, message in (
        (tmp_path, "a folder"),
        (tmp_path / "gone.avi", "no such file"),
        (tmp_path / "notes.mp4", "plain text"),
    ):
        with pytest.raises(ImageError, match=message) as caught:
            read_clip(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_the_sector_is_what_moves_and_text_is_left_out() -> None:
    pictures = sector_pictures(12)
    sector = find_sector(clip_from_pixels(pictures))
    x, y, columns, rows = sector.box
    assert sector.found and not sector.mask[4:14, 4:26].any()
    assert sector.mask[100, 80] and sector.mask[60, 70] and columns < 150 and rows < 116
    cut = sector.cut(np.repeat(pictures[0][..., None], 3, axis=2))
    assert cut.shape == (rows, columns, 3) and (cut[~sector.mask[y : y + rows, x : x + columns]] == 0).all()


def test_a_clock_that_runs_is_not_the_sector() -> None:
    pictures = sector_pictures(12)
    pictures[:, 112:118, 140:156] = np.random.default_rng(5).integers(0, 255, (12, 6, 16))
    assert not find_sector(clip_from_pixels(pictures)).mask[114:117, 146:154].any()


def test_a_still_picture_repeated_has_no_sector() -> None:
    sector = find_sector(clip_from_pixels(np.repeat(sector_pictures(1), 100, axis=0)))
    assert not sector.found and sector.mask.all() and sector.box == (0, 0, 160, 120)


def test_colour_doppler_is_noticed() -> None:
    pictures = np.repeat(sector_pictures(12)[..., None], 3, axis=3)
    assert not find_sector(clip_from_pixels(pictures)).is_coloured
    pictures[:, 60:90, 70:90] = (200, 30, 0)
    assert find_sector(clip_from_pixels(pictures)).is_coloured


def test_compressed_frames_in_several_pieces_are_put_together(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(get_testdata_file("examples_ybr_color.dcm"))
    frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=30))
    dataset.PixelData = pydicom.encaps.encapsulate(frames, fragments_per_frame=3, has_bot=True)
    dataset.save_as(tmp_path / "pieces.dcm")
    clip, plain = read_clip(tmp_path / "pieces.dcm"), read_clip(get_testdata_file("examples_ybr_color.dcm"))
    assert np.array_equal(clip.picture(29), plain.picture(29)) and np.array_equal(clip.picture(7), plain.picture(7))
