"""Landmarks in a whole volume: where the anatomy lies, planes in its own directions, points in patient space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...errors import ImageError
from ...image import Image
from ...landmark import Landmark, LandmarkSet, Status
from ...measure import measure
from ...models.loading import LoadedModel
from ...plane import DIRECTIONS
from ...plane.placing import box_ras
from ...plane.sweep import VOLUME_SETTING
from ...scheme import Scheme
from ..pipeline import LandmarkDetector
from ..result import Detection, FrameResult, ModelIdentity
from .check import require_volume
from .confidence import judge_point
from .knowledge import PlaneGeometry, VolumeKnowledge
from .placed import lies_inside, placed_landmark
from .pose import Pose, find_pose
from .reader import NetworkReader, PlaneReader
from .search import FoundPoint, SearchArea, search

# Of a volume's longest side, for a model that was not trained on volumes: px across, and planes along it.
_PLAIN_PX, _PLAIN_PLANES = 257, 24
_PLAIN_REASON = "the model was not trained on planes of volumes"

Progress = Callable[[float, str], None]


class VolumeDetector:
    """A model made ready for one scheme in volumes. Arguments and errors as of `LandmarkDetector`.

    A model that was trained on volumes brings along how to cut planes and what the anatomy looks like
    (`VolumeKnowledge`). Any other is swept over the volume as it lies in patient space, and none of its points is
    believed without a person's look.
    """

    def __init__(self, scheme: Scheme | str, model: LoadedModel | str = "lite", **settings: Any) -> None:
        # many planes see each landmark already
        self.detector = LandmarkDetector(scheme, model, views=False, **settings)
        self.scheme, self.model = self.detector.scheme, self.detector.model
        self.knowledge = VolumeKnowledge.load(self.model.card.folder, self.model.card.volume)

    def detect(
        self,
        image: Image,
        *,
        frame: int | None = None,
        directions: Sequence[str] = DIRECTIONS,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Detection:
        """Find the scheme's landmarks in a volume; where several were taken one after the other, `frame` names which.

        directions: one, two or three of DIRECTIONS, the fewer the faster. progress and should_stop are called between
        batches of planes. Raises ImageError for what is no volume of pictures, DetectionCancelled.
        """
        frame = require_volume(image, frame)
        if not directions or set(directions) - set(DIRECTIONS):
            raise ImageError(f"Directions {tuple(directions)}: give one or more of {', '.join(DIRECTIONS)}.")
        return self.detect_with(self.reader(image, frame, should_stop), image, frame, directions, progress)

    def detect_with(
        self,
        reader: PlaneReader,
        image: Image,
        frame: int = 0,
        directions: Sequence[str] = DIRECTIONS,
        progress: Progress | None = None,
    ) -> Detection:
        """`detect` with another reader of planes in the network's place."""
        found, pose = self.found_points(reader, image, frame, directions, progress)
        points = zip(self.scheme.names, found, strict=True)
        landmarks = LandmarkSet(
            self.scheme.id, tuple(self._landmark(name, point, image, pose) for name, point in points), frame
        )
        if progress:
            progress(1.0, "done")
        return self._detection(image, landmarks, found, directions, pose)

    def found_points(
        self,
        reader: PlaneReader,
        image: Image,
        frame: int = 0,
        directions: Sequence[str] = DIRECTIONS,
        progress: Progress | None = None,
    ) -> tuple[list[FoundPoint | None], Pose | None]:
        """What is found of each landmark, before anything is decided of it, and how the anatomy lies."""
        knowledge, count = self.knowledge, len(self.scheme)
        if knowledge is None or knowledge.template is None:
            area = SearchArea(np.eye(4), *box_ras(image))
            geometry = knowledge.geometry if knowledge else _plain_geometry(image)
            return search(reader, area, count, geometry, directions=directions, progress=progress), None
        pose = find_pose(image, knowledge.template, frame)
        if not pose.is_found:
            return [None] * count, pose
        area = SearchArea(pose.canonical_to_ras, *knowledge.template.box())
        found = search(
            reader, area, count, knowledge.geometry,
            shape=knowledge.shape, noise=knowledge.noise, directions=directions, progress=progress,
        )  # fmt: skip
        return found, pose

    def reader(self, image: Image, frame: int = 0, should_stop: Callable[[], bool] | None = None) -> NetworkReader:
        """The network as a reader of planes of this image."""
        geometry = self.knowledge.geometry if self.knowledge else _plain_geometry(image)
        return NetworkReader(
            image, self.detector.detector, len(self.scheme),
            neighbour_px=geometry.neighbour_px, frame=frame, should_stop=should_stop,
        )  # fmt: skip

    def _landmark(self, name: str, point: FoundPoint | None, image: Image, pose: Pose | None) -> Landmark:
        spread = self.knowledge.spread if self.knowledge else None
        is_inside = point is not None and lies_inside(image, point.point_ras)
        judgement = judge_point(point, is_inside, self.scheme.tolerance, spread, pose)
        if self.knowledge is None and judgement.status is Status.PREDICTED:
            judgement = replace(judgement, status=Status.DOUBTFUL, confidence=None, reason=_PLAIN_REASON)
        if point is None:
            return placed_landmark(name, image, None, judgement, 0.0)
        return placed_landmark(name, image, point.point_ras, judgement, min(1.0, point.height))

    def _detection(
        self,
        image: Image,
        landmarks: LandmarkSet,
        found: Sequence[FoundPoint | None],
        directions: Sequence[str],
        pose: Pose | None,
    ) -> Detection:
        spread = (self.knowledge.spread if self.knowledge else None) or 1.0
        covariances = {
            name: (point.covariance * spread**2).tolist()
            for name, point in zip(self.scheme.names, found, strict=True)
            if point is not None
        }
        card = self.model.card
        settings = {
            "device": str(self.detector.detector.device),
            "precision": self.detector.detector.precision,
            "flip": self.detector.detector.flip,
            VOLUME_SETTING: {
                "directions": list(directions),
                "covariance_ras_mm2": covariances,
                **({"knowledge_sha256": card.volume.sha256} if card.volume else {}),
                **({} if pose is None else {"pose_correlation": pose.correlation}),
            },
        }
        return Detection(
            image,
            self.scheme,
            ModelIdentity(card.id, card.version, self.model.sha256),
            settings,
            (FrameResult(landmarks, tuple(measure(landmarks, self.scheme))),),
            (*image.warnings, *self.detector.detector.notes, *([] if pose is None else [pose.in_words()])),
        )


def _plain_geometry(image: Image) -> PlaneGeometry:
    low, high = box_ras(image)
    pixel = float((high - low).max()) / _PLAIN_PX
    return PlaneGeometry(pixel, pixel / 2.0, _PLAIN_PX, fade_px=_PLAIN_PX / _PLAIN_PLANES, neighbour_px=0.0)
