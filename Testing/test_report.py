"""The one-page report: complete in one file, true to the result, safe against odd names."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from MedLandmarkLib.export.report import png_bytes, report_html, write_report
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import measure
from MedLandmarkLib.scheme import load_scheme


def a_detection(calibrated: bool = True, name: str = "case.png", columns: int = 320) -> SimpleNamespace:
    scheme = load_scheme("head-19")
    calibration = Calibration("calibrated", "ruler", (0.5, 0.5)) if calibrated else Calibration("none", "a picture")
    matrix = np.diag([-0.5, -0.5, 1.0, 1.0]) if calibrated else np.diag([-1.0, -1.0, 1.0, 1.0])
    image = Image(np.full((1, 1, 240, columns, 1), 120, np.uint8), matrix, calibration, path=Path(name))
    landmarks = []
    for number, landmark_name in enumerate(scheme.names):
        ijk = (20.0 + 12 * number, 30.0 + 9 * (number % 5) * number / 4, 0.0)
        ras = image.ras_from_ijk(ijk)
        status = {1: Status.DOUBTFUL, 2: Status.MISSING}.get(number, Status.PREDICTED)
        reason = "no peak <in> its heatmap" if number == 2 else ""
        landmarks.append(
            Landmark(landmark_name, ijk, None if ras is None else tuple(ras.tolist()), status, 0.8, 0.9, reason)
        )
    found = LandmarkSet(scheme.id, tuple(landmarks))
    return SimpleNamespace(
        image=image, scheme=scheme, model=SimpleNamespace(id="lite", version="1", sha256="0"), settings={},
        notes=("a & b",),
        frames=(SimpleNamespace(landmarks=found, measurements=tuple(measure(found, scheme))),),
    )  # fmt: skip


def svg_of(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(re.search(r"<svg.*</svg>", page, re.DOTALL)[0])


def test_the_page_is_whole_in_itself():
    page = report_html(a_detection())
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert "<script" not in page


def test_marks_stand_where_the_landmarks_are_and_missing_ones_are_only_listed():
    detection = a_detection()
    circles = svg_of(report_html(detection)).findall("{*}circle")
    usable = [item for item in detection.frames[0].landmarks if item.status.is_usable]
    assert [(float(c.get("cx")), float(c.get("cy"))) for c in circles] == [
        (pytest.approx(item.ijk[0], abs=0.01), pytest.approx(item.ijk[1], abs=0.01)) for item in usable
    ]


def test_a_doubtful_landmark_is_a_ring_with_a_question_mark():
    svg = svg_of(report_html(a_detection()))
    rings = [circle for circle in svg.findall("{*}circle") if circle.get("fill") == "none"]
    assert len(rings) == 1
    assert sum(text.text.endswith("?") for text in svg.findall("{*}text")) == 1


def test_without_calibration_the_page_holds_no_millimetre():
    page = report_html(a_detection(calibrated=False))
    assert " px" in page or ">px<" in page
    assert not re.search(r">mm<| mm[<,]", page)


def test_names_and_reasons_are_shown_and_not_executed():
    page = report_html(a_detection(name="<img src=x onerror=alert(1)>.png"))
    assert "<img" not in page
    assert "no peak &lt;in&gt; its heatmap" in page
    assert "a &amp; b" in page


def test_every_tag_is_closed():
    open_tags: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta",):
                open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Checker().feed(report_html(a_detection()))
    assert open_tags == []


def test_a_wide_image_is_embedded_smaller_than_it_is():
    assert len(report_html(a_detection(columns=6000))) < 1_000_000


@given(arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_the_png_holds_every_pixel(tmp_path_factory, rgb):
    path = tmp_path_factory.mktemp("png") / "picture.png"
    path.write_bytes(png_bytes(rgb))
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(read, rgb)


def test_a_report_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    detection = a_detection()
    with pytest.raises(OSError, match="No such file"):
        write_report(detection, tmp_path / "missing" / "page.html")
    assert list(tmp_path.iterdir()) == []
    write_report(detection, tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
