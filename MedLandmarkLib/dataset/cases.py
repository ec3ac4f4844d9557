"""Cases of a dataset: images, what each rater read in them, and how they are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import DatasetError

MEAN_RATER = "mean"  # by this name a dataset stores the mean of its readers, the usual reference

Point = tuple[float, ...]


@dataclass(frozen=True)
class Case:
    """One image and what each rater read in it.

    `size` is (columns, rows) or (columns, rows, slices); `spacing_mm` runs along the same axes and is None where the
    dataset does not know it. `points` holds rater -> landmark name -> (x, y) or (i, j, k): continuous pixel
    coordinates, pixel centre at the integer. `attributes` are the other columns of cases.csv, as text.
    """

    id: str
    image_path: Path
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None
    subject: str
    split: str
    points: Mapping[str, Mapping[str, Point]]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def reference(self, rater: str) -> dict[str, Point]:
        """The points that `rater` read in this image, by landmark name; empty where there are none."""
        return dict(self.points.get(rater, {}))


@dataclass(frozen=True)
class LandmarkDataset:
    """Images with reference points; iterating gives the cases in the order of cases.csv."""

    name: str
    folder: Path
    landmark_names: tuple[str, ...]
    cases: tuple[Case, ...]
    dimension: int = 2

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, case_id: str) -> Case:
        for case in self.cases:
            if case.id == case_id:
                return case
        raise DatasetError(f"{self.folder}: there is no case '{case_id}'.")

    @property
    def raters(self) -> tuple[str, ...]:
        """Who read the images, in the order of appearance."""
        return tuple(dict.fromkeys(rater for case in self.cases for rater in case.points))

    @property
    def splits(self) -> dict[str, tuple[Case, ...]]:
        """The cases of each split, in the order of appearance."""
        names = dict.fromkeys(case.split for case in self.cases)
        return {name: tuple(case for case in self.cases if case.split == name) for name in names}

    def split(self, name: str) -> tuple[Case, ...]:
        """The cases of one split; DatasetError where the dataset has no such split."""
        splits = self.splits
        if name not in splits:
            raise DatasetError(f"{self.folder}: there is no split '{name}'; it has: {listed(splits)}.")
        return splits[name]

    def reference_rater(self, wanted: str | None = None) -> str:
        """The rater to compare with: `wanted`, else the stored mean of all readers, else the only reader.

        Raises DatasetError where that rater read nothing here, or where the choice is not clear.
        """
        raters = self.raters
        if wanted is not None:
            if wanted not in raters:
                raise DatasetError(f"{self.folder}: there is no rater '{wanted}'; it has: {listed(raters)}.")
            return wanted
        if MEAN_RATER in raters:
            return MEAN_RATER
        if len(raters) == 1:
            return raters[0]
        raise DatasetError(f"{self.folder}: name the rater to compare with; it has: {listed(raters)}.")

    def named_by_order(self, names: Sequence[str], first: int = 0) -> LandmarkDataset:
        """The landmarks `first`, `first` + 1, ... of this dataset alone, under other names, one by one.

        So a dataset whose names say nothing (K0, K1, ...) gets those of a scheme, and a scheme's own part is taken out
        of a union of several. Cases in which none of a part is annotated are left out. Raises DatasetError where the
        numbers do not fit.
        """
        own = self.landmark_names[first : first + len(names)]
        if len(own) < len(names):
            raise DatasetError(
                f"{self.folder}: has {len(self.landmark_names)} landmarks; {len(names)} names cannot be given from "
                f"number {first} on."
            )
        new_names = dict(zip(own, names, strict=True))
        cases = [_renamed(case, new_names) for case in self.cases]
        if len(own) < len(self.landmark_names):
            cases = [case for case in cases if case.points]
        return replace(self, landmark_names=tuple(names), cases=tuple(cases))


def _renamed(case: Case, new_names: Mapping[str, str]) -> Case:
    points = {
        rater: {new_names[name]: point for name, point in read.items() if name in new_names}
        for rater, read in case.points.items()
    }
    return replace(case, points={rater: read for rater, read in points.items() if read})


def listed(names: object) -> str:
    """Names in quotes, for a message."""
    return ", ".join(f"'{name}'" for name in names) or "none"
