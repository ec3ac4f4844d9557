"""The landmarks of one annotated volume in others: the same door as that of the networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from ...image import Image
from ...landmark import Landmark, LandmarkSet
from ...measure import measure
from ...models.atlas import LoadedAtlas
from ...models.own_scheme import scheme_known_to
from ...models.store import load_model
from ...plane.sweep import VOLUME_SETTING
from ...scheme import Scheme
from ..result import Detection, FrameResult, ModelIdentity
from ..volume.check import require_volume
from ..volume.placed import lies_inside, placed_landmark
from .judging import error_covariance, expected_error_mm, judge
from .template import PreparedTemplate
from .transfer import CarriedPoint, Transfer, transfer
from .watch import Watch

Progress = Callable[[float, str], None]

_WHOLE = "This model finds landmarks in whole volumes: all of it was searched, not the plane that was named."


class AtlasDetector:
    """A model of family "atlas" made ready for one scheme. It stands where a LandmarkDetector or a VolumeDetector does.

    The template is laid on the volume in any orientation, registered to it, and each landmark is found by its
    surroundings; the volume needs no resemblance in brightness, only in what it shows. It computes on the CPU, some
    tens of seconds for a volume. Raises ModelError where the model is none of these or does not know the scheme.
    """

    def __init__(self, scheme: Scheme | str, model: LoadedAtlas | str, **_settings: Any) -> None:
        own = model if isinstance(model, str) else None
        self.scheme = scheme_known_to(scheme, own) if isinstance(scheme, str) else scheme
        loaded = load_model(model) if isinstance(model, str) else model
        if not isinstance(loaded, LoadedAtlas):
            raise ModelError(f"Model '{loaded.card.id}' is a network, not an annotated volume.")
        self.model = loaded
        loaded.card.channels(self.scheme.id)
        self.template = PreparedTemplate.of(loaded.atlas.image, loaded.atlas.points(self.scheme.names))

    def detect(
        self,
        image: Image,
        *,
        frame: int | None = None,
        frames: Sequence[int] | str | None = None,
        slice_index: int | None = None,
        plane: object | None = None,
        directions: Sequence[str] = (),
        progress: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Detection:
        """Find the scheme's landmarks in a volume; where several were taken one after the other, `frame` names which.

        frames: the same for callers that name several; the first is taken. slice_index, plane and directions do not
        matter: the whole volume is searched. progress and should_stop are called between the steps. Raises ImageError
        for what is no volume of pictures, DetectionCancelled.
        """
        if frame is None and frames not in (None, "all") and image.frame_count > 1:
            frame = next(iter(frames))
        frame = require_volume(image, frame)
        found = transfer(self.template, image, frame, Watch(progress, should_stop))
        is_plane = slice_index is not None or plane is not None
        detection = self._detection(image, frame, found, (_WHOLE,) if is_plane else ())
        if progress:
            progress(1.0, "done")
        return detection

    def _detection(self, image: Image, frame: int, found: Transfer, notes: tuple[str, ...]) -> Detection:
        points = found.found or (None,) * len(self.scheme)
        landmarks = LandmarkSet(
            self.scheme.id,
            tuple(
                self._landmark(k, name, point, image, found)
                for k, (name, point) in enumerate(zip(self.scheme.names, points, strict=True))
            ),
            frame,
        )
        card = self.model.card
        return Detection(
            image,
            self.scheme,
            ModelIdentity(card.id, card.version, self.model.sha256),
            {"device": "cpu", "precision": "fp32", "flip": False, VOLUME_SETTING: self._settings(points, found)},
            (FrameResult(landmarks, tuple(measure(landmarks, self.scheme))),),
            (*image.warnings, *notes, found.pose.in_words()),
        )

    def _settings(self, points: Sequence[CarriedPoint | None], found: Transfer) -> dict[str, Any]:
        """What is told beside the landmarks: covariances and expected errors, mm, and how well the template lies."""
        known = {
            name: error_covariance(point)
            for name, point in zip(self.scheme.names, points, strict=True)
            if point is not None
        }
        return {
            "covariance_ras_mm2": {name: covariance.tolist() for name, covariance in known.items()},
            "expected_error_mm": {name: expected_error_mm(covariance) for name, covariance in known.items()},
            "pose_correlation": found.pose.correlation,
        }

    def _landmark(self, k: int, name: str, point: CarriedPoint | None, image: Image, found: Transfer) -> Landmark:
        is_annotated = bool(np.isfinite(self.template.points[k]).all())
        is_inside = point is not None and lies_inside(image, point.point_ras)
        judgement = judge(point, is_inside, self._tolerance_mm(image), found.pose, is_annotated)
        if point is None:
            return placed_landmark(name, image, None, judgement, 0.0)
        return placed_landmark(name, image, point.point_ras, judgement, min(1.0, max(0.0, point.similarity)))

    def _tolerance_mm(self, image: Image) -> float:
        """The scheme's tolerance; a user's own scheme has it in voxels."""
        if self.scheme.sdr_unit == "mm":
            return self.scheme.tolerance
        return self.scheme.tolerance * float(np.linalg.norm(image.ijk_to_ras[:3, :3], axis=0).mean())
