"""A clip under review as the library's own files, the same that the command line writes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..export.clip_outputs import write_clip_outputs
from ..image import Image
from ..image.clip import Clip
from ..image.sector import Sector, find_sector
from ..measure import measure
from ..measure.cine import CineMeasurement
from ..scheme import Scheme
from ..track import Track
from .result_files import Frame, ModelIdentity, imageOf
from .result_panel import fileStem


@dataclass(frozen=True, eq=False)
class SceneClip:
    """What the writers of the library take: the detection of a clip, as it was reviewed."""

    clip: Clip
    scheme: Scheme
    model: ModelIdentity
    settings: dict[str, Any]
    track: Track
    sector: Sector
    measurement: CineMeasurement | None

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        return tuple(Frame(landmarks, tuple(measure(landmarks, self.scheme))) for landmarks in self.track.frames)

    @cached_property
    def image(self) -> Image:
        return self.clip.header_image()

    @property
    def notes(self) -> tuple[str, ...]:
        measured = self.measurement.notes if self.measurement is not None else ()
        return (*self.clip.warnings, *measured)


def writeClip(review: Any, folder: Path, headerOf: Any) -> list[Path]:
    """Write CSV, JSON and markups of all frames, curves and summary, all or none. Raises MedLandmarkError, OSError."""
    from ..mrml import clip_from_volume, provenance_of

    provenance = provenance_of(review.node)
    clip = clip_from_volume(review.scene, imageOf(review), header_of=headerOf)
    detection = SceneClip(
        clip=clip,
        scheme=review.scheme,
        model=ModelIdentity(provenance.model_id, provenance.model_version, provenance.model_sha256),
        settings=dict(provenance.settings),
        track=review.track,
        sector=find_sector(clip),
        measurement=review.measurement,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write_clip_outputs(detection, folder, fileStem(review.node.GetName()))
