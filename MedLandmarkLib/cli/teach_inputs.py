"""From the arguments of `medlandmark teach` to what is to be taught."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..errors import DatasetError
from ..oneshot.examples import choose_cases, names_in, template_from_files, templates_from_dataset
from ..oneshot.own_landmarks import scheme_of_names
from ..oneshot.request import Template
from ..scheme import Scheme, load_scheme
from .console import complain


@dataclass(frozen=True)
class Annotated:
    """Where the annotated images are: pairs of files, or cases of a dataset folder."""

    images: tuple[Path, ...] = ()
    points: tuple[Path, ...] = ()
    dataset: Path | None = None
    cases: tuple[str, ...] = ()
    count: int | None = None
    rater: str | None = None
    with_predicted: bool = False

    def pairs(self, landmarks: Path | None) -> list[tuple[Path, Path]]:
        """Each annotated image with its points; --landmarks serves as the points of a single one.

        Raises DatasetError where their numbers differ.
        """
        points = self.points or ((landmarks,) if landmarks is not None and len(self.images) == 1 else ())
        if len(points) != len(self.images):
            raise DatasetError(
                f"{len(self.images)} annotated images (--template) and {len(points)} files of points (--points) were "
                "given; they go in pairs, in the same order."
            )
        return list(zip(self.images, points, strict=True))


def find_scheme(
    scheme: str | None, landmarks: Path | None, annotated: Annotated, model_id: str, folder: Path
) -> Scheme:
    """The scheme that is named or, where none is, one of the user's own from the names of the points.

    Raises SchemeError, DatasetError.
    """
    if scheme is not None:
        return load_scheme(scheme)
    if landmarks is not None:
        names = names_in(landmarks)
    elif annotated.points:
        names = tuple(dict.fromkeys(name for path in annotated.points for name in names_in(path)))
    elif annotated.dataset is not None:
        names = _names_of_dataset(annotated.dataset)
    else:
        raise DatasetError("Nothing says which landmarks to teach: give --scheme, or --points of a --template.")
    return scheme_of_names(names, model_id, folder)


def read_templates(annotated: Annotated, landmarks: Path | None, scheme: Scheme, seed: int) -> tuple[Template, ...]:
    """The annotated images; what was left out of them is said on stderr.

    Raises DatasetError, ImageError.
    """
    templates: list[Template] = []
    for image_path, points_path in annotated.pairs(landmarks):
        template, read = template_from_files(image_path, points_path, scheme, annotated.with_predicted)
        templates.append(template)
        if read.strangers:
            complain(f"left out: {', '.join(read.strangers)}: not in scheme {scheme.id}", points_path)
        if read.unchecked:
            complain(
                f"left out: {', '.join(read.unchecked)}: predicted, and nobody accepted or edited them "
                "(--with-predicted takes them)",
                points_path,
            )
    if annotated.dataset is not None:
        cases = choose_cases(annotated.dataset, annotated.cases, annotated.count, seed)
        templates += templates_from_dataset(annotated.dataset, cases, scheme, annotated.rater)
    return tuple(templates)


def _names_of_dataset(folder: Path) -> tuple[str, ...]:
    try:
        landmarks = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["landmarks"]
        return tuple(str(entry["name"]) for entry in landmarks)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{folder}: its dataset.json names no landmarks ({error}).") from error
