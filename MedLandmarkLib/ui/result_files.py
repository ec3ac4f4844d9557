"""The result under review as the library's own files, the same that the command line writes, and a report."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..errors import MedLandmarkError
from ..export import LANDMARKS_SUFFIX, MARKUPS_SUFFIX, write_csv, write_landmarks_json, write_mrk_json
from ..export.report import REPORT_SUFFIX, write_report
from ..image import Image
from ..landmark import LandmarkSet
from ..measure import Measurement
from ..scheme import Scheme
from .result_panel import fileStem


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights found the landmarks; empty where they were placed by hand."""

    id: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Frame:
    """Landmarks and measurements as they stand in the scene."""

    landmarks: LandmarkSet
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class SceneResult:
    """What the writers of the library take: a detection, as it was reviewed."""

    image: Image
    scheme: Scheme
    model: ModelIdentity
    settings: dict[str, Any]
    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()


def sceneResult(review: Any, headerOf: Any) -> SceneResult:
    """The result under review, with its image. Raises MedLandmarkError where the image is gone."""
    from ..mrml import image_from_volume, provenance_of

    provenance = provenance_of(review.node)
    return SceneResult(
        image=image_from_volume(imageOf(review), header_of=headerOf),
        scheme=review.scheme,
        model=ModelIdentity(provenance.model_id, provenance.model_version, provenance.model_sha256),
        settings=dict(provenance.settings),
        frames=(Frame(review.landmarks, tuple(review.measurements)),),
    )


def imageOf(review: Any) -> Any:
    """The volume node of the result under review. Raises MedLandmarkError where it is gone."""
    from ..mrml import volume_of

    volume = volume_of(review.node)
    if volume is None:
        raise MedLandmarkError(
            _("The image of '{name}' is not in the scene any more; load it again.").format(name=review.node.GetName())
        )
    return volume


def writeResult(review: Any, folder: Path, headerOf: Any) -> list[Path]:
    """Write CSV, JSON, markups and the report, all or none. Raises MedLandmarkError, OSError."""
    result, stem = sceneResult(review, headerOf), fileStem(review.node.GetName())
    writers = {
        ".csv": write_csv,
        LANDMARKS_SUFFIX: write_landmarks_json,
        MARKUPS_SUFFIX: write_mrk_json,
        REPORT_SUFFIX: write_report,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".medlandmark-", dir=folder) as name:
        for suffix, write in writers.items():
            write(result, Path(name, f"{stem}{suffix}"))
        paths = [folder / f"{stem}{suffix}" for suffix in writers]
        for path in paths:
            os.replace(Path(name, path.name), path)
    return paths
