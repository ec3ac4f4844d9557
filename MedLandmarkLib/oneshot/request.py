"""What a teaching is asked for, what it reports while it runs, and what it leaves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import DatasetError
from ..scheme import Scheme

# What a teaching can end with, from the quickest on; each goes through those before it, but for "joint".
INSTANT, JOINT, SPECIALISTS, FUSION = "instant", "joint", "specialists", "fusion"
METHODS = (INSTANT, JOINT, SPECIALISTS, FUSION)

_FEWEST_LANDMARKS = 1


@dataclass(frozen=True)
class Template:
    """An annotated image. picture_xy: (K, 2) float64 in the scheme's order, pixels, NaN where it was not annotated."""

    image_path: Path
    picture_xy: np.ndarray

    @property
    def id(self) -> str:
        """The file's name without its ending, as the set-aside and the log call it."""
        return re.sub(r"(\.nii)?\.[^.]+$", "", self.image_path.name)


@dataclass(frozen=True)
class TeachSettings:
    """How much work a teaching is.

    method: what the model consists of at the end ("instant" trains nothing). canvas_wh: px; None: as large as fits the
    images and the memory. effort: factor on all numbers of training steps; 1 is what the figures of the README were
    measured with. seed: everything random follows from it.
    """

    method: str = FUSION
    canvas_wh: tuple[int, int] | None = None
    effort: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise DatasetError(f"The method is '{self.method}'; it must be one of {', '.join(METHODS)}.")
        if not 0.01 <= self.effort <= 100.0:
            raise DatasetError(f"The effort is {self.effort}; it must lie between 0.01 and 100 (1 is the usual).")


@dataclass(frozen=True)
class TeachRequest:
    """One or more annotated images, and files of unannotated ones of the same kind.

    A landmark must be annotated in at least one template. Files that are also templates are left out of the
    unannotated. Raises DatasetError where there is nothing to learn from.
    """

    scheme: Scheme
    templates: tuple[Template, ...]
    image_paths: tuple[Path, ...]
    model_id: str
    settings: TeachSettings = field(default_factory=TeachSettings)

    def __post_init__(self) -> None:
        if not self.templates:
            raise DatasetError("There is no annotated image to learn from: annotate one.")
        for template in self.templates:
            if template.picture_xy.shape != (len(self.scheme), 2):
                raise DatasetError(
                    f"{template.image_path}: its points are of shape {template.picture_xy.shape}; scheme "
                    f"{self.scheme.id} has {len(self.scheme)} landmarks."
                )
        if len(self.taught) < _FEWEST_LANDMARKS:
            raise DatasetError(f"None of the landmarks of scheme {self.scheme.id} is annotated in any template.")

    @property
    def taught(self) -> tuple[str, ...]:
        """The landmarks that are annotated in at least one template; the others come out missing."""
        known = np.any([np.isfinite(template.picture_xy).all(axis=1) for template in self.templates], axis=0)
        return tuple(name for name, is_known in zip(self.scheme.names, known, strict=True) if is_known)


@dataclass(frozen=True)
class TeachProgress:
    """Where a teaching stands.

    fraction: of the whole, 0..1, never falling. phase: one of METHODS, or "reading".
    estimate: how far the answers for one picture lie apart when it is turned, shifted and scaled, the median over
    landmarks and pictures, in `unit` ("mm" or "px"): what can be told without any reference, and a lower bound of the
    error, since what all answers have in common does not show. None until there is one.
    """

    fraction: float
    text: str
    phase: str = "reading"
    estimate: float | None = None
    unit: str = "px"


Progress = Callable[[TeachProgress], None]


@dataclass(frozen=True)
class SetAside:
    """A file that was not learned from, and why: broken, or another kind of picture than the template."""

    path: Path
    reason: str


@dataclass(frozen=True)
class TeachResult:
    """What a teaching leaves: a model folder that describes itself, and what it did not use.

    is_complete: False where it was cancelled; the model is then the best so far, and calling again goes on.
    """

    model: Path
    set_aside: tuple[SetAside, ...]
    estimate: float | None
    unit: str
    is_complete: bool = True
