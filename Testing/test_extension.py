"""The Slicer extension as a package: its file lists, its metadata, and what a build of it installs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from update_cmake_lists import ROOT, files_below, wanted_lists, with_list

FIELDS = ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS")


def cmake_executable() -> str:
    """The cmake of this Python environment, else the machine's."""
    beside = Path(sys.executable).with_name("cmake.exe" if os.name == "nt" else "cmake")
    found = str(beside) if beside.is_file() else shutil.which("cmake")
    assert found, "cmake is missing: pip install 'MedLandmark[test]'"
    return found


def run_cmake(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    beside = Path(sys.executable).parent
    path = os.pathsep.join([str(beside), os.environ.get("PATH", "")])  # ninja stands beside cmake
    command = [cmake_executable(), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PATH": path})


def configure(source: Path, build: Path) -> subprocess.CompletedProcess[str]:
    # There is nothing to compile: the compilers that project() asks for are taken on trust.
    trusted = [f"-DCMAKE_{language}_COMPILER_FORCED=1" for language in ("C", "CXX")]
    named = [f"-DCMAKE_{language}_COMPILER={sys.executable}" for language in ("C", "CXX")]
    stand_in = f"-DSlicer_DIR={ROOT / 'Testing' / 'SlicerHost' / 'cmake'}"
    return run_cmake("-S", source, "-B", build, "-G", "Ninja", stand_in, *trusted, *named)


@pytest.fixture
def a_copy_of_the_project(tmp_path: Path) -> Path:
    """What git would give a builder; the weights are replaced by nothing smaller, they are few."""
    copy = tmp_path / "project"
    for name in ("MedLandmark", "MedLandmarkLib", "Resources"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "Screenshots"))
    shutil.copy(ROOT / "CMakeLists.txt", copy)
    return copy


@pytest.mark.parametrize("path", list(wanted_lists()), ids=lambda path: path.parent.name)
def test_the_cmake_list_names_every_file_that_slicer_must_package(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text == with_list(text, wanted_lists()[path]), f"run Testing/update_cmake_lists.py for {path}"


def test_the_module_folder_holds_one_python_file_because_slicer_takes_each_for_a_module():
    assert files_below(ROOT / "MedLandmark", ROOT / "MedLandmark", "*.py") == ["MedLandmark.py"]


@pytest.mark.parametrize("field", FIELDS)
def test_each_metadata_field_is_one_quoted_string_on_one_line(field: str):
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert len(re.findall(rf'^set\(EXTENSION_{field} "[^"]+"\)$', text, re.MULTILINE)) == 1


def test_the_description_names_the_restrictive_licence_and_the_addresses_point_into_the_repository():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "non-commercial" in re.search(r'EXTENSION_DESCRIPTION "([^"]+)"', text)[1]
    icon = re.search(r'EXTENSION_ICONURL "[^"]+/main/([^"]+)"', text)[1]
    assert (ROOT / icon).read_bytes().startswith(b"\x89PNG")
    for url in re.search(r'EXTENSION_SCREENSHOTURLS "([^"]+)"', text)[1].split():
        assert (ROOT / url.split("/main/")[1]).is_file(), url


def test_the_index_entry_agrees_with_the_project():
    entry = json.loads((ROOT / "MedLandmark.json").read_text(encoding="utf-8"))
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.search(r"^project\((\w+)\)$", text, re.MULTILINE)[1] == "MedLandmark"
    assert entry["scm_url"].startswith("https://")
    assert entry["scm_url"].rsplit("/", 1)[1].startswith("Slicer")
    assert entry["build_dependencies"] == re.search(r'EXTENSION_DEPENDS "([^"]+)"', text)[1].split()
    assert set(entry) <= {
        "$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier", "enabled",
    }  # fmt: skip
    assert b"\r" not in (ROOT / "MedLandmark.json").read_bytes()


def test_the_extension_configures_builds_and_installs_a_library_that_finds_its_data(tmp_path: Path):
    build, prefix = tmp_path / "build", tmp_path / "installed"
    configured = configure(ROOT, build)
    assert configured.returncode == 0, configured.stdout + configured.stderr
    built = run_cmake("--build", build)
    assert built.returncode == 0, built.stdout + built.stderr
    installed = run_cmake("--install", build, "--prefix", prefix)
    assert installed.returncode == 0, installed.stdout + installed.stderr

    modules = prefix / "lib/Slicer-5.12/qt-scripted-modules"
    assert (modules / "MedLandmark.py").is_file()
    assert (modules / "Resources/UI/MedLandmark.ui").is_file()
    code = (
        "import MedLandmarkLib.resources as r, MedLandmarkLib.scheme as s;"
        "print(r.resource_path('Schemes'), len(s.list_schemes()))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(modules)},
    ).stdout  # fmt: skip
    assert printed.split() == [
        str(modules / "MedLandmarkLib/Resources/Schemes"), str(len(list((ROOT / "Resources/Schemes").glob("*.json"))))
    ]  # fmt: skip

    tests = (build / "MedLandmark/CTestTestfile.cmake").read_text(encoding="utf-8")
    assert "py_MedLandmark" in tests


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("MedLandmark/CMakeLists.txt", "SCRIPTS ${MODULE", "SCRIPT ${MODULE"),
        ("MedLandmark/CMakeLists.txt", "WITH_GENERIC_TESTS", "WITH_GENERIC_TEST"),
        ("MedLandmark/CMakeLists.txt", "Resources/UI/MedLandmark.ui", "Resources/UI/MedLandmarks.ui"),
        ("MedLandmarkLib/CMakeLists.txt", "  landmark.py", "  landmarks.py"),
        ("CMakeLists.txt", "set(EXTENSION_DESCRIPTION", "set(EXTENSION_DESCRIPTON"),
    ],
)
def test_a_typing_error_in_the_cmake_files_fails(a_copy_of_the_project: Path, tmp_path, file, right, wrong):
    path = a_copy_of_the_project / file
    text = path.read_text(encoding="utf-8")
    assert right in text
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    assert configure(a_copy_of_the_project, tmp_path / "build").returncode != 0
