"""The files of a model that somebody shares, in a folder or in a zip: told by their names, copied one by one.

A name is a plain file name beside the card, so that no path of an archive is ever followed.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ModelError
from .folder import CARD_NAME

_MOST_JSON_BYTES = 10**7
_MOST_BYTES = 16 * 10**9
_MOST_EXPANSION = 50  # weights hardly compress; a member that grows more than this is an attack
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Part:
    """One file. source: where it is, a path or a member of an archive. packed_bytes: as it lies in an archive."""

    source: Path | zipfile.ZipInfo
    size_bytes: int
    packed_bytes: int


class Parts:
    """What lies beside the card of a model. Raises ModelError for an archive that is damaged or leads elsewhere."""

    def __init__(self, path: Path) -> None:
        self.path = path
        is_archive = path.is_file() and path.name != CARD_NAME
        folder = path.parent if path.name == CARD_NAME else path
        self._parts = _in_archive(path) if is_archive else _in_folder(folder)

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def size_bytes(self, name: str) -> int:
        return self._parts[name].size_bytes

    def write(self, name: str, target: Path, count: Callable[[int], None] = lambda _size: None) -> None:
        """Copy one file to a new path; never more bytes than were announced. Raises ModelError, OSError."""
        part = self._parts[name]
        most = _MOST_JSON_BYTES if name.endswith(".json") else _MOST_BYTES
        if part.size_bytes > most:
            raise ModelError(f"{self.path}: '{name}' has {part.size_bytes:,} bytes, more than the {most:,} taken.")
        if not name.endswith(".json") and part.size_bytes > _MOST_EXPANSION * max(part.packed_bytes, 1):
            raise ModelError(f"{self.path}: '{name}' would grow from {part.packed_bytes} to {part.size_bytes} bytes.")
        try:
            self._copy(part, name, target, count)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise ModelError(f"{self.path}: '{name}' is damaged ({error}). Get the file again.") from error

    def _copy(self, part: Part, name: str, target: Path, count: Callable[[int], None]) -> None:
        written = 0
        with _opened(self.path, part.source) as read, target.open("xb") as write:
            while block := read.read(_BLOCK):
                written += len(block)
                if written > part.size_bytes:
                    raise ModelError(f"{self.path}: '{name}' is longer than was announced. It is not taken.")
                write.write(block)
                count(len(block))


class _opened:
    """A file, or a member of an archive together with its archive, open for reading."""

    def __init__(self, path: Path, source: Path | zipfile.ZipInfo) -> None:
        self._archive = None if isinstance(source, Path) else zipfile.ZipFile(path)
        self._stream = source.open("rb") if self._archive is None else self._archive.open(source)

    def __enter__(self):
        return self._stream

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        if self._archive is not None:
            self._archive.close()


def _in_folder(folder: Path) -> dict[str, Part]:
    files = [path for path in folder.iterdir() if path.is_file()]
    return {path.name: Part(path, path.stat().st_size, path.stat().st_size) for path in files}


def _in_archive(path: Path) -> dict[str, Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: cannot be read as a zip ({error}). Get the file again.") from error
    places = [PurePosixPath(entry.filename.replace("\\", "/")) for entry in entries]
    for entry, place in zip(entries, places, strict=True):
        is_outside = ".." in place.parts or place.is_absolute() or re.match(r"[A-Za-z]:", entry.filename)
        if is_outside or stat.S_ISLNK(entry.external_attr >> 16):
            raise ModelError(f"{path}: holds '{entry.filename}', which leads outside the archive. It is not unpacked.")
    cards = [place for place in places if place.name == CARD_NAME and "__MACOSX" not in place.parts]
    if len(cards) != 1:
        raise ModelError(f"{path}: holds {len(cards)} models ({CARD_NAME}); give one model at a time.")
    return {
        place.name: Part(entry, entry.file_size, entry.compress_size)
        for entry, place in zip(entries, places, strict=True)
        if place.parent == cards[0].parent
    }
