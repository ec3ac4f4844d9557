"""Which files a command works on, and what their results are called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from MedLandmarkLib.cli.inputs import image_stem, output_stems


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("ceph.png", "ceph"),
        ("scan.nii.gz", "scan"),
        ("SCAN.NII.GZ", "SCAN"),
        ("IM0001", "IM0001"),
        ("1.2.840.10008.1", "1.2.840.10008.1"),
        ("1.2.840.dcm", "1.2.840"),
        ("visit.2.jpeg", "visit.2"),
        (".png", ".png"),
    ],
)
def test_a_stem_loses_the_extension_and_nothing_else(name: str, stem: str) -> None:
    assert image_stem(Path("folder") / name) == stem


@given(st.lists(st.from_regex(r"(/[aA.]{1,2}[b_]?){1,3}/[aA]{1,2}(\.png|_png|\.dcm)?", fullmatch=True), unique=True))
def test_every_image_gets_a_stem_of_its_own(names: list[str]) -> None:
    paths = list({Path(name).resolve(): Path(name) for name in names}.values())
    stems = output_stems(paths)
    assert len({stem.casefold() for stem in stems.values()}) == len(paths)
    assert not any("/" in stem for stem in stems.values())


def test_stems_stay_short_where_nothing_collides() -> None:
    paths = [Path("/p1/a.png"), Path("/p2/b.png")]
    assert list(output_stems(paths).values()) == ["a", "b"]
