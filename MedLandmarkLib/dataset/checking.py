"""All that can be said of a dataset before anybody learns from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DatasetError
from ..scheme import Scheme
from .cases import LandmarkDataset
from .finding import ERROR, WARNING, Finding, error
from .image_checks import check_images
from .point_checks import check_points
from .reading import examine_dataset, with_names_of
from .shape_checks import check_shapes
from .split_checks import check_splits

_ORDER = {ERROR: 0, WARNING: 1}


@dataclass(frozen=True)
class DatasetReport:
    """What was found in a dataset, errors first; notes say what was not checked, and why."""

    dataset: LandmarkDataset
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity == WARNING)

    def of_case(self, case_id: str) -> tuple[Finding, ...]:
        """The findings on one case."""
        return tuple(finding for finding in self.findings if finding.case == case_id)

    def as_record(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "schema_version": "1.0",
            "dataset": self.dataset.name,
            "folder": str(self.dataset.folder),
            "cases": len(self.dataset),
            "landmarks": len(self.dataset.landmark_names),
            "raters": list(self.dataset.raters),
            "splits": {name: len(cases) for name, cases in self.dataset.splits.items()},
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "findings": [finding.as_record() for finding in self.findings],
            "notes": list(self.notes),
        }


def check_dataset(
    path: Path | str,
    scheme: Scheme | None = None,
    *,
    images: Path | str | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> DatasetReport:
    """Read a dataset (see `read_dataset`), open every image, and report everything that is or may be wrong with it.

    Found are, besides what `read_dataset` refuses: broken images, images of another size or spacing than stated, the
    same image twice, subjects in two splits, landmarks outside their image or on one place, exchanged landmarks,
    mirrored or turned readings, wrong units, and landmarks far from their usual place. With a scheme, its landmarks
    must be there, and those that it calls interchangeable may change places. Raises DatasetError where nothing can be
    read at all.
    """
    dataset, found = examine_dataset(path, images=images)
    if scheme is not None:
        dataset, not_there = _in_scheme(dataset, scheme)
        found += not_there
    found += [*check_splits(dataset), *check_points(dataset), *check_images(dataset, progress)]
    shapes, notes = check_shapes(dataset, scheme.interchangeable if scheme is not None else ())
    found += shapes
    place = {case.id: number for number, case in enumerate(dataset)}
    found.sort(key=lambda finding: (_ORDER[finding.severity], place.get(finding.case, -1)))
    return DatasetReport(dataset, tuple(found), tuple(notes))


def _in_scheme(dataset: LandmarkDataset, scheme: Scheme) -> tuple[LandmarkDataset, list[Finding]]:
    """The dataset with the scheme's names where only its order says which landmark is which, and what it lacks."""
    dataset = with_names_of(dataset, scheme)
    absent = [name for name in scheme.names if name not in dataset.landmark_names]
    if len(absent) == len(scheme):
        raise DatasetError(
            f"{dataset.folder}: has none of the landmarks of scheme {scheme.id}, nor as many ({len(scheme)})."
        )
    advice = "give it, or take another scheme"
    return dataset, [
        error("landmark", f"{dataset.folder}: has no landmark '{name}' of scheme {scheme.id}", advice, landmark=name)
        for name in absent
    ]
