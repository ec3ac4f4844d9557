"""What a network is asked to learn: datasets, schemes, canvases, and which cases are held out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..dataset import Case, LandmarkDataset, read_dataset
from ..errors import DatasetError
from ..models.lite import canvas_side
from ..scheme import Scheme, load_scheme
from .canvases import Task

# Canvas area of a dataset whose canvas is not given: that of 417 × 513 px, 0.47 mm on a lateral cephalogram.
_CANVAS_AREA = 417 * 513
# Share by which the canvas exceeds the image, so that a landmark at the border has room around it.
PADDING = 1.05


@dataclass(frozen=True)
class TaskRequest:
    """A dataset to learn from, as the user names it: FOLDER=SCHEME or FOLDER=SCHEME@WIDTHxHEIGHT."""

    folder: Path
    scheme_id: str
    canvas_wh: tuple[int, int] | None = None

    @classmethod
    def parse(cls, text: str) -> TaskRequest:
        """Read "data/ceph=head-19@417x513"; DatasetError that shows the form where it is another."""
        match = re.fullmatch(r"(?P<folder>.+)=(?P<scheme>[^=@]+)(?:@(?P<width>\d+)x(?P<height>\d+))?", text)
        if match is None:
            raise DatasetError(f"'{text}' is not FOLDER=SCHEME or FOLDER=SCHEME@WIDTHxHEIGHT.")
        canvas_wh = None
        if match["width"]:
            canvas_wh = (canvas_side(int(match["width"])), canvas_side(int(match["height"])))
        return cls(Path(match["folder"]), match["scheme"], canvas_wh)


def plan_tasks(requests: Sequence[TaskRequest], rater: str | None = None) -> list[Task]:
    """Give each request its channels, one scheme after the other; the cases are those of split "train".

    Raises DatasetError where a dataset lacks landmarks of its scheme or a scheme is asked for twice.
    """
    tasks, first = [], 0
    for request in requests:
        if request.scheme_id in [task.scheme_id for task in tasks]:
            raise DatasetError(f"Scheme {request.scheme_id} is asked for twice; a scheme learns from one dataset.")
        dataset, scheme = read_dataset(request.folder), load_scheme(request.scheme_id)
        _check_landmarks(dataset, scheme)
        cases = dataset.split("train")
        task = Task(
            scheme_id=scheme.id,
            landmark_names=scheme.names,
            cases=cases,
            rater=dataset.reference_rater(rater if rater in dataset.raters else None),
            channels=slice(first, first + len(scheme.names)),
            canvas_wh=request.canvas_wh or _canvas_for(cases),
            padding=PADDING,
            # identity, as the reference: a landmark keeps its name when the picture is mirrored
            mirrored_order=tuple(range(len(scheme.names))),
            ends=tuple((scheme.index(one), scheme.index(other)) for one, other in scheme.interchangeable),
        )
        tasks.append(task)
        first = task.channels.stop
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


def _canvas_for(cases: Sequence[Case]) -> tuple[int, int]:
    """The canvas (W, H) that fits the typical proportions of the images, in the usual area."""
    aspect = float(np.median([case.size[0] / case.size[1] for case in cases]))
    return canvas_side(round((_CANVAS_AREA * aspect) ** 0.5)), canvas_side(round((_CANVAS_AREA / aspect) ** 0.5))
