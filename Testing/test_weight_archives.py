"""Zip archives of checkpoints: what is taken from them, and what is never unpacked."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.checkpoint import FileKind, file_kind, read_tensors, unpacked_members, weight_members


def _archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_an_archive_gives_its_weight_files_and_nothing_else(the_weights: Path, tmp_path: Path) -> None:
    head = (the_weights / "head" / "best_EPE_epoch_200.pth").read_bytes()
    path = _archive(
        tmp_path / "checkpoints.zip",
        {"a/b/best.pth": head, "readme.txt": b"x", "__MACOSX/a/._best.pth": b"x", "a/.hidden.pth": b"x"},
    )
    assert file_kind(path) is FileKind.ARCHIVE
    (tmp_path / "out").mkdir()
    ((name, file),) = unpacked_members(path, tmp_path / "out")
    assert name == "a/b/best.pth"
    assert file.read_bytes() == head
    with pytest.raises(ModelError, match="archive of files"):
        read_tensors(path)


@pytest.mark.parametrize("name", ["../evil.pth", "/etc/evil.pth", "a/../../evil.pth", "..\\evil.pth", "C:\\evil.pth"])
def test_a_path_that_leads_out_of_the_archive_stops_everything(tmp_path: Path, name: str) -> None:
    path = _archive(tmp_path / "a.zip", {"good.pth": b"x", name: b"x"})
    with pytest.raises(ModelError, match="outside the archive"):
        weight_members(path)


def test_a_link_in_an_archive_stops_everything(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("weights.pth")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="outside the archive"):
        weight_members(tmp_path / "a.zip")


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = _archive(tmp_path / "bomb.zip", {"weights.pth": bytes(30_000_000)})
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelError, match="would grow"):
        list(unpacked_members(path, tmp_path))
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_of_thousands_of_files_is_not_unpacked(tmp_path: Path) -> None:
    path = _archive(tmp_path / "many.zip", {f"{number}.pth": b"" for number in range(10_001)}, zipfile.ZIP_STORED)
    with pytest.raises(ModelError, match="10001 files"):
        weight_members(path)


def test_an_archive_without_weights_says_what_it_looked_for(tmp_path: Path) -> None:
    path = _archive(tmp_path / "data.zip", {"images/1.png": b"x"})
    with pytest.raises(ModelError, match=r"no weights.*\.pth.*1 files"):
        weight_members(path)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = _archive(tmp_path / "a.zip", {"w.pth": bytes(random.Random(3).randbytes(20_000))})
    broken = bytearray(path.read_bytes())
    broken[5_000] ^= 0xFF
    path.write_bytes(broken)
    (tmp_path / "out").mkdir()
    with pytest.raises(ModelError, match=r"'w\.pth' in .*a\.zip is damaged"):
        list(unpacked_members(path, tmp_path / "out"))
