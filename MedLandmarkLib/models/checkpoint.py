"""Reading any file of weights safely: what kind of file it is, and the tensors in it.

A pickle from the network is a program. It is read with `torch.load(weights_only=True)`, and where that refuses, with
the interpreter in `pickles`, which runs nothing. Sizes are checked before anything is unpacked.
"""

from __future__ import annotations

import re
import stat
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from ..errors import ModelError
from .pickles import first_forbidden_name, read_torch_archive
from .tensors import DTYPES, TensorFile

WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
# random weights hardly compress; a member that grows more than this, or an archive larger than this, is an attack
_MOST_EXPANSION = 50
_MOST_BYTES = 32 * 10**9
_MOST_MEMBERS = 10_000


class FileKind(Enum):
    TORCH = "torch archive"
    TORCH_OLD = "pickle"
    SAFETENSORS = "safetensors"
    ARCHIVE = "zip archive of files"


def file_kind(path: Path) -> FileKind:
    """What `path` is, from its content; its name is not believed. Raises ModelError where it cannot hold weights."""
    if path.is_dir():
        raise ModelError(f"{path} is a folder. Give the .zip, .pth or .safetensors file itself.")
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(1024)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path}.") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from error
    if size == 0:
        raise ModelError(f"{path} is empty. Download it again.")
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|\?xml)", start, re.IGNORECASE):
        raise ModelError(
            f"{path} is a web page, not weights: the server answered with a page (sign-in, or too many downloads). "
            "Open the link in a browser and save the file itself."
        )
    if start.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path} is a Git LFS pointer, not the weights. Run 'git lfs pull', or download the file itself."
        )
    if start.startswith(b"PK"):
        return _zip_kind(path)
    if size > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") >= 2:
        return FileKind.SAFETENSORS
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        return FileKind.TORCH_OLD
    raise ModelError(
        f"{path} is neither a torch checkpoint nor safetensors nor a zip (it begins with {start[:8]!r}). "
        "Give the .zip, .pth or .safetensors file as it was published."
    )


def _zip_kind(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(
            f"{path} is truncated or damaged: the end of the archive is missing. Download it again."
        ) from error
    if any(re.fullmatch(r"[^/]+/constants\.pkl", name) for name in names):
        raise ModelError(f"{path} is a TorchScript program, not plain weights. Use the .pth file of the same model.")
    if any(re.fullmatch(r"([^/]+/)?data\.pkl", name) for name in names):
        return FileKind.TORCH
    return FileKind.ARCHIVE


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The named tensors of a .pth, .pt or .safetensors file, mapped from it where that is possible.

    A checkpoint's 'state_dict' is found inside its dictionary. Raises ModelError that names the file and the remedy.
    """
    kind = file_kind(path)
    if kind is FileKind.ARCHIVE:
        raise ModelError(
            f"{path} is a zip archive of files, not a checkpoint. Import the archive, or one of its files."
        )
    if kind is FileKind.SAFETENSORS:
        return TensorFile(path).mapped()
    return _state_dict(path, _read_torch(path) if kind is FileKind.TORCH else _read_old_torch(path))


def _read_torch(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in archive.infolist()):
            raise ModelError(
                f"{path} was not written by torch: its content is compressed or encrypted. Unpack it first."
            )
        try:
            broken = archive.testzip()
        except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as error:
            raise ModelError(f"{path} is damaged ({error}). Download it again.") from error
        if broken:
            raise ModelError(f"{path} is damaged: '{broken}' does not match its checksum. Download it again.")
    try:
        return _load_with_torch(path, mmap=True)
    except Exception:  # it refuses, or trips over hostile bytes in any way there is: the strict reader decides
        return read_torch_archive(path)


def _load_with_torch(path: Path, mmap: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickle protocols: what torch cannot read is read or refused by us
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)


def _read_old_torch(path: Path) -> Any:
    try:
        return _load_with_torch(path, mmap=False)
    except Exception as error:  # hostile bytes fail in any way there is
        with path.open("rb") as stream:
            forbidden = first_forbidden_name(stream.read(1 << 20))
        reason = (
            f"it refuses to run '{forbidden}', which the file asks for" if forbidden else "its format is not torch's"
        )
        raise ModelError(
            f"{path} was not read: {reason}. If you trust where it comes from, save only its weights with a recent "
            "torch: safetensors.torch.save_file(checkpoint['state_dict'], 'weights.safetensors')."
        ) from error


def _state_dict(path: Path, content: Any) -> dict[str, torch.Tensor]:
    for key in ("state_dict", "model", "module"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise ModelError(
            f"{path} holds a {type(content).__name__}, not a dictionary of weights. Give the checkpoint itself."
        )
    tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ModelError(
            f"{path} holds no weights, only {', '.join(map(str, list(content)[:5])) or 'nothing'}. Give the checkpoint "
            "that training saved."
        )
    for name, tensor in tensors.items():
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.dtype not in DTYPES.values():
            raise ModelError(f"{path}: tensor '{name}' is {tensor.dtype}, {tensor.layout}; save plain dense weights.")
    return tensors


def weight_members(path: Path) -> list[zipfile.ZipInfo]:
    """The weight files in a zip archive, checked: no path leaves the folder, none grows out of proportion."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if len(entries) > _MOST_MEMBERS:
        raise ModelError(f"{path} holds {len(entries)} files; a model archive has a handful. It is not unpacked.")
    for entry in entries:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        is_link = stat.S_ISLNK(entry.external_attr >> 16)
        if ".." in parts or entry.filename.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", entry.filename) or is_link:
            raise ModelError(f"{path} holds '{entry.filename}', which leads outside the archive. It is not unpacked.")
    members = [
        entry
        for entry in entries
        if not entry.is_dir()
        and entry.filename.lower().endswith(WEIGHT_SUFFIXES)
        and not PurePosixPath(entry.filename).name.startswith(".")
        and PurePosixPath(entry.filename).parts[0] != "__MACOSX"
    ]
    if not members:
        raise ModelError(
            f"{path} holds no weights: no {', '.join(WEIGHT_SUFFIXES)} among its {len(entries)} files. "
            "Give the archive of the checkpoints, not of the data or the code."
        )
    for entry in members:
        if entry.flag_bits & 1:
            raise ModelError(f"'{entry.filename}' in {path} is encrypted. Unpack it first, with its password.")
        if entry.file_size > _MOST_EXPANSION * max(entry.compress_size, 1):
            raise ModelError(
                f"'{entry.filename}' in {path} would grow from {entry.compress_size} to {entry.file_size} bytes; "
                "weights do not compress so well. It is not unpacked."
            )
    if sum(entry.file_size for entry in members) > _MOST_BYTES:
        raise ModelError(f"{path} would unpack to more than {_MOST_BYTES / 1e9:.0f} GB. It is not unpacked.")
    return members


def unpacked_members(path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Unpacks the weight files of a zip into `folder` one after another: (name in the archive, file).

    Files get names of our own; the caller removes them with the folder.
    """
    members = weight_members(path)
    with zipfile.ZipFile(path) as archive:
        for number, entry in enumerate(members):
            target = folder / f"member-{number}{PurePosixPath(entry.filename).suffix}"
            try:
                with archive.open(entry) as packed, target.open("xb") as stream:
                    while block := packed.read(1 << 22):
                        stream.write(block)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
                raise ModelError(
                    f"'{entry.filename}' in {path} is damaged ({error}). Download the archive again."
                ) from error
            yield entry.filename, target
