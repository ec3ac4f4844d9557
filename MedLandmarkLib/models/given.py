"""The weight files that a user gave for import: single files as they are, archives unpacked, each one recognised."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import ModelError
from .checkpoint import FileKind, file_kind, read_tensors, unpacked_members, weight_members
from .folder import file_sha256, require_space
from .recognise import Weights, recognise


@dataclass(frozen=True)
class Given:
    """One weight file. label: the name as the user knows it, ARCHIVE/MEMBER for what came in an archive."""

    weights: Weights
    path: Path
    label: str

    def sha256(self) -> str:
        return file_sha256(self.path)


def given_files(path: Path, staging: Path) -> list[Given]:
    """What the file at `path` holds; members of an archive are unpacked into `staging`. Raises ModelError."""
    path = Path(path)
    if file_kind(path) is not FileKind.ARCHIVE:
        return [_recognised(path, path.name)]
    staging = Path(tempfile.mkdtemp(prefix="unpacked-", dir=staging))
    require_space(staging, sum(member.file_size for member in weight_members(path)))
    return [_recognised(member, f"{path.name}/{name}") for name, member in unpacked_members(path, staging)]


def given_base(path: Path, staging: Path) -> Given:
    """The one base that the file given to --base holds. Raises ModelError where it holds something else."""
    found = given_files(path, staging)
    if len(found) != 1:
        raise ModelError(f"{path} holds {len(found)} files of weights; give the base file itself to --base.")
    if found[0].weights.kind != "base":
        kind = "an adapter" if found[0].weights.kind == "adapter" else "a whole network"
        raise ModelError(
            f"{found[0].label} is no base but {kind}. "
            "Give the Sapiens file (sapiens_0.3b_epoch_1600_clean.pth) to --base."
        )
    return found[0]


def _recognised(path: Path, label: str) -> Given:
    try:
        return Given(recognise(label, read_tensors(path)), path, label)
    except ModelError as error:  # a member of an archive has another name on disk than in the archive
        message = str(error).replace(str(path), label).replace(path.name, PurePosixPath(label).name)
        raise ModelError(message) from error
