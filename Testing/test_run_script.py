"""`./run`, with a Python that installs nothing: when it installs, what, and how it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Answers to the few things that `run` asks of Python, and notes them in $NOTES. `python -m venv` puts a copy of itself
# into the new folder, as a virtual environment has a Python of its own.
PYTHON = """#!/bin/sh
case "$*" in
    "-V") echo "Python ${FAKE_VERSION:-3.11.7}" ;;
    "-c import sys"*) exit "${FAKE_TOO_OLD:-0}" ;;
    "-m venv "*) echo venv >>"$NOTES"; [ -z "${FAKE_NO_VENV:-}" ] || { echo "ensurepip is not available"; exit 1; }
        mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip --version") [ -z "${FAKE_NO_PIP:-}" ] ;;
    "-m pip install"*) echo "$*" | sed 's/.*\\[/install /; s/\\]//' >>"$NOTES"; echo "noise of pip"
        case "${FAKE_PIP:-}" in
            fail) echo "ERROR: no matching distribution" >&2; exit 1 ;;
            kill) kill -9 $PPID ;;
        esac ;;
    "-m pytest"*) echo "pytest in $(pwd): $*" ;;
    "-m MedLandmarkLib"*) shift 2; for word in "$@"; do echo "<$word>"; done; exit "${FAKE_EXIT:-0}" ;;
    *) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""


class Copy:
    """A copy of the repository's `run` with the project files that it reads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a copy"
        self.folder.mkdir()
        for name in ("run", "pyproject.toml", "constraints.txt"):
            shutil.copy(REPOSITORY / name, self.folder)
        self.notes = folder / "notes"
        self.python = folder / "python3"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        variables = {**os.environ, "PYTHON": str(self.python), "NOTES": str(self.notes), **environment}
        self.notes.write_text("")
        return subprocess.run(
            [self.folder / "run", *arguments], cwd=self.elsewhere, env=variables, capture_output=True, text=True
        )

    @property
    def done(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def a_copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_the_first_call_installs_and_the_second_starts_at_once(a_copy: Copy) -> None:
    first = a_copy.run("demo", "--output", "two words")
    assert (first.returncode, first.stdout) == (0, "<demo>\n<--output>\n<two words>\n")
    assert a_copy.done == ["venv", "install cli"]
    assert len(first.stderr.splitlines()) == 1 and "noise" not in first.stderr
    second = a_copy.run("demo")
    assert (a_copy.done, second.stderr) == ([], "")


def test_the_exit_code_is_that_of_the_command(a_copy: Copy) -> None:
    assert a_copy.run("detect", FAKE_EXIT="7").returncode == 7


def test_each_command_installs_what_it_needs_and_nothing_is_taken_away(a_copy: Copy) -> None:
    a_copy.run("detect")
    a_copy.run("train")
    assert a_copy.done == ["install cli,train"]
    tests = a_copy.run("test", "-k", "a b")
    assert a_copy.done == ["install test"]
    assert tests.stdout == f"pytest in {a_copy.folder}: -m pytest -k a b\n"
    for command in ("demo", "train", "test"):
        a_copy.run(command)
        assert a_copy.done == []


def test_a_changed_project_file_installs_again_all_that_was_there(a_copy: Copy) -> None:
    a_copy.run("train")
    with (a_copy.folder / "constraints.txt").open("a") as file:
        file.write("numpy<3\n")
    a_copy.run("demo")
    assert a_copy.done == ["install cli,train"]


def test_an_interrupted_installation_begins_anew(a_copy: Copy) -> None:
    assert a_copy.run("demo", FAKE_PIP="kill").returncode != 0
    a_copy.run("demo")
    assert a_copy.done == ["venv", "install cli"]


def test_a_failed_installation_tells_the_error_and_begins_anew(a_copy: Copy) -> None:
    failed = a_copy.run("demo", FAKE_PIP="fail")
    assert failed.returncode == 1 and failed.stdout == ""
    assert "ERROR: no matching distribution" in failed.stderr and "install.log" in failed.stderr
    assert "noise of pip" in (a_copy.folder / ".venv" / "install.log").read_text()
    a_copy.run("demo")
    assert a_copy.done == ["venv", "install cli"]


def test_a_venv_whose_python_is_gone_is_made_anew(a_copy: Copy) -> None:
    a_copy.run("demo")
    (a_copy.folder / ".venv" / "bin" / "python").unlink()
    assert a_copy.run("demo").returncode == 0
    assert a_copy.done == ["venv", "install cli"]


def test_a_venv_whose_python_was_upgraded_is_made_anew(a_copy: Copy) -> None:
    a_copy.run("demo")
    a_copy.run("demo", FAKE_VERSION="3.12.1", FAKE_NO_PIP="1")
    assert a_copy.done == ["venv", "install cli"]


def test_without_a_suitable_python_it_says_so(a_copy: Copy) -> None:
    result = a_copy.run("demo", FAKE_TOO_OLD="1")
    assert result.returncode == 1 and "Python 3.10 or newer is needed" in result.stderr
    assert not (a_copy.folder / ".venv").exists()


def test_without_venv_it_says_what_to_install(a_copy: Copy) -> None:
    result = a_copy.run("demo", FAKE_NO_VENV="1")
    assert result.returncode == 1 and "apt install python3-venv" in result.stderr
    assert "ensurepip is not available" in result.stderr
    assert not (a_copy.folder / ".venv").exists()
