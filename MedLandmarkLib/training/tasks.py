"""What a network is asked to learn: datasets, schemes, canvases, and which cases are held out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset import Case, LandmarkDataset, read_dataset, with_names_of
from ..detection.ends import pairs_of
from ..errors import DatasetError
from ..scheme import Scheme, load_scheme
from .backbones import Backbone
from .canvases import Task


@dataclass(frozen=True)
class TaskRequest:
    """A dataset to learn from, as the user names it: FOLDER=SCHEME or FOLDER=SCHEME@WIDTHxHEIGHT.

    canvas_wh: the wanted canvas, px; the network takes the nearest size that it can.
    """

    folder: Path
    scheme_id: str
    canvas_wh: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> TaskRequest:
        """Read "data/ceph=head-19@417x513"; DatasetError that shows the form where it is another."""
        match = re.fullmatch(r"(?P<folder>.+)=(?P<scheme>[^=@]+)(?:@(?P<width>\d+)x(?P<height>\d+))?", text)
        if match is None:
            raise DatasetError(f"'{text}' is not FOLDER=SCHEME or FOLDER=SCHEME@WIDTHxHEIGHT.")
        canvas_wh = (int(match["width"]), int(match["height"])) if match["width"] else None
        return cls(Path(match["folder"]), match["scheme"], canvas_wh)


def plan_tasks(
    requests: Sequence[TaskRequest], backbone: Backbone, rater: str | None = None, *, auxiliary: bool = False
) -> list[Task]:
    """Give each scheme its channels, one after the other; the cases are those of split "train".

    auxiliary: a dataset's further landmarks, which its scheme does not name, have channels behind the scheme's.
    Datasets of one scheme share its channels and its canvas. Raises DatasetError where a dataset lacks landmarks of its
    scheme, is asked for twice, or asks for another canvas, or has other further landmarks, than the one before it.
    """
    tasks: list[Task] = []
    for request in requests:
        scheme = load_scheme(request.scheme_id)
        dataset = with_names_of(read_dataset(request.folder), scheme)
        _check_landmarks(dataset, scheme)
        cases = dataset.split("train")
        if not cases:
            raise DatasetError(f"{dataset.folder}: no case is of split 'train' in cases.csv: nothing to learn from.")
        before = next((task for task in tasks if task.scheme_id == scheme.id), None)
        if before is not None and before.cases[0].image_path == cases[0].image_path:
            raise DatasetError(f"{dataset.folder} is asked for twice with scheme {scheme.id}.")
        further = tuple(name for name in dataset.landmark_names if auxiliary and name not in scheme.names)
        if before is not None and before.auxiliary_names != further:
            raise DatasetError(
                f"{dataset.folder}: its further landmarks ({len(further)}) are not those of {dataset_name(before)} "
                f"({len(before.auxiliary_names)}), with which it shares scheme {scheme.id}. Leave auxiliary out."
            )
        count = len(scheme.names) + len(further)
        tasks.append(
            Task(
                scheme_id=scheme.id,
                landmark_names=scheme.names,
                cases=cases,
                rater=dataset.reference_rater(rater if rater in dataset.raters else None),
                channels=before.channels if before else _next_channels(tasks, count),
                canvas_wh=_canvas_wh(request, scheme, cases, before, backbone),
                padding=backbone.padding,
                # identity, as the reference: a landmark keeps its name when the picture is mirrored
                mirrored_order=tuple(range(count)),
                ends=pairs_of(scheme),
                auxiliary_names=further,
            )
        )
    return tasks


def split_by_subject(cases: Sequence[Case], share: float, seed: int) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """(kept, held out): a random share of the subjects is held out, with all of their images."""
    subjects = sorted({case.subject for case in cases})
    order = np.random.default_rng(seed).permutation(len(subjects))
    held_out = {subjects[index] for index in order[: round(share * len(subjects))]}
    return (
        tuple(case for case in cases if case.subject not in held_out),
        tuple(case for case in cases if case.subject in held_out),
    )


def _check_landmarks(dataset: LandmarkDataset, scheme: Scheme) -> None:
    missing = [name for name in scheme.names if name not in dataset.landmark_names]
    if missing:
        raise DatasetError(
            f"{dataset.folder}: has no landmark '{missing[0]}' of scheme {scheme.id} ({len(missing)} missing)."
        )


def dataset_name(task: Task) -> str:
    """The dataset's folder name: images lie in FOLDER/images."""
    return task.cases[0].image_path.parent.parent.name if task.cases else task.scheme_id


def _next_channels(tasks: Sequence[Task], count: int) -> slice:
    first = max((task.channels.stop for task in tasks), default=0)
    return slice(first, first + count)


def _canvas_wh(
    request: TaskRequest, scheme: Scheme, cases: Sequence[Case], before: Task | None, backbone: Backbone
) -> tuple[int, int]:
    if before is None:
        return backbone.canvas_wh(scheme.id, request.canvas_wh, cases)
    if request.canvas_wh is not None and backbone.canvas_wh(scheme.id, request.canvas_wh, cases) != before.canvas_wh:
        raise DatasetError(
            f"{request.folder}: asks for a canvas of {request.canvas_wh[0]}x{request.canvas_wh[1]} px, but scheme "
            f"{scheme.id} has {before.canvas_wh[0]}x{before.canvas_wh[1]} px already. Leave the second one out."
        )
    return before.canvas_wh
