"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from model_files import AlteredFile, ReferenceImport
    from teaching_doubles import TeachDouble

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def the_repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def the_golden_folder() -> Path:
    """The reference vectors that stand in the repository."""
    folder = REPOSITORY / "Testing" / "Data" / "golden"
    assert folder.is_dir(), f"{folder} is part of the repository and is not there."
    return folder


@pytest.fixture(scope="session")
def the_weights(the_golden_folder: Path) -> Path:
    """The small reference models, as the reference wrote them."""
    return the_golden_folder / "weights"


@pytest.fixture(autouse=True)
def a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models of the person who runs the tests are neither seen nor touched."""
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def an_import(the_weights: Path, tmp_path: Path) -> ReferenceImport:
    from model_files import ReferenceImport

    return ReferenceImport(the_weights, tmp_path)


@pytest.fixture
def an_altered_file(the_weights: Path, tmp_path: Path) -> AlteredFile:
    from model_files import AlteredFile

    return AlteredFile(the_weights, tmp_path)


@pytest.fixture(scope="session")
def the_data_folder() -> Path:
    """The public datasets, which may not stand in the repository: $MEDLANDMARK_DATA, else ../shared/data beside it."""
    folder = Path(os.environ.get("MEDLANDMARK_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no datasets in {folder}; set MEDLANDMARK_DATA to their folder to run this test")
    return folder


@pytest.fixture
def a_detector_double(monkeypatch: pytest.MonkeyPatch) -> type:
    """Commands that ask for a detector get one without a network."""
    from doubles import DetectorDouble

    import MedLandmarkLib.cli.detect as detect_module
    import MedLandmarkLib.detection

    monkeypatch.setattr(MedLandmarkLib.detection, "LandmarkDetector", DetectorDouble)
    monkeypatch.setattr(detect_module, "choose_model", lambda scheme, wanted=None: wanted or "lite")
    return DetectorDouble


@pytest.fixture
def a_teacher(monkeypatch: pytest.MonkeyPatch) -> TeachDouble:
    """Commands and jobs that ask for the teaching get a stand-in for it."""
    from teaching_doubles import TeachDouble, put_in_place

    double = TeachDouble()
    put_in_place(double, monkeypatch.setitem)
    return double
