"""A dataset from its place on disk, whichever of the two forms it has."""

from __future__ import annotations

from pathlib import Path

from ..errors import DatasetError
from ..scheme import Scheme
from .cases import LandmarkDataset
from .coco import examine_coco
from .finding import Finding, refusal
from .folder import examine_folder


def read_dataset(path: Path | str, *, images: Path | str | None = None) -> LandmarkDataset:
    """Read and check a dataset; images are not opened.

    path: a folder with dataset.json (its files: see `folder`); or COCO keypoints as MedSapiens ships them (see `coco`):
    one .json file, a pattern for several (``data/leg_coco_*.json``), or a folder whose .json files are the splits.
    images: the folder with the images of COCO files, where it is not beside them.

    Raises one DatasetError that lists everything that is wrong: a file missing or malformed, an image that is not
    there, a number that makes no sense, a case or landmark given twice or unknown, millimetres that contradict the
    spacing, a split without cases.
    """
    dataset, findings = examine_dataset(path, images=images)
    if findings:
        raise refusal(path, findings)
    return dataset


def with_names_of(dataset: LandmarkDataset, scheme: Scheme) -> LandmarkDataset:
    """The dataset under the scheme's names, by order, where it has as many landmarks and none by a name of the scheme.

    COCO files often name their landmarks K0, K1, ...; any other dataset is given back as it is.
    """
    is_named = any(name in dataset.landmark_names for name in scheme.names)
    if is_named or len(dataset.landmark_names) != len(scheme):
        return dataset
    return dataset.named_by_order(scheme.names)


def examine_dataset(path: Path | str, *, images: Path | str | None = None) -> tuple[LandmarkDataset, list[Finding]]:
    """What can be read of a dataset, and all that is wrong with its files.

    Faulty points, rows and cases are left out; a case whose image file is missing stays. Raises DatasetError where
    nothing can be read at all.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "dataset.json").is_file():
            return examine_folder(path)
        files = sorted(path.glob("*.json"))
        return examine_coco(files, images) if files else examine_folder(path)
    if path.suffix.lower() == ".json":
        if path.name == "dataset.json" and path.is_file():
            return examine_folder(path.parent)
        files = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
        if not files:
            raise DatasetError(f"{path}: no file has such a name.")
        return examine_coco(files, images)
    raise DatasetError(f"{path}: there is no such folder.")
