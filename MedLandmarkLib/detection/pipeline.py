"""From an image to its landmarks: planes, heatmap peaks, landmarks in pixels and in patient space, measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import ImageError
from ..image import Image, read_image
from ..landmark import Landmark, LandmarkSet, Status
from ..measure import measure
from ..models.atlas import LoadedAtlas
from ..models.choice import choose_model
from ..models.lite_set import LiteSet
from ..models.loading import LoadedModel
from ..models.own_scheme import scheme_known_to
from ..models.store import load_model
from ..plane import (
    PLANE_SETTING,
    Plane,
    PlanePicture,
    SampledPicture,
    oblique_plane,
    plane_setting,
    stored_plane,
)
from ..scheme import Scheme, load_scheme
from .confidence import Judgement
from .confidence_files import read_confidence
from .detector import Detector, PicturePeaks
from .ends import order_of_ends, pairs_of
from .result import Detection, FrameResult, ModelIdentity

# Frames read, laid out and detected at a time: bounds the memory a long cine takes.
_FRAMES_AT_A_TIME = 16

Progress = Callable[[float, str], None]


class LandmarkDetector:
    """A model made ready for one scheme: load once, detect in as many images as there are.

    flip: average with the mirrored pass; default: as the model's card says. views: whether the further looks that the
    card names for the scheme are taken.
    Raises ModelError where the model does not know the scheme or the device is not there.
    """

    def __init__(
        self,
        scheme: Scheme | str,
        model: LoadedModel | str = "lite",
        *,
        device: str = "auto",
        precision: str = "fp32",
        flip: bool | None = None,
        views: bool = True,
    ) -> None:
        own = model if isinstance(model, str) else None
        self.scheme = scheme_known_to(scheme, own) if isinstance(scheme, str) else scheme
        self.model = load_model(model) if isinstance(model, str) else model
        card = self.model.card
        channels, geometry = card.channels(self.scheme.id), card.input_for(self.scheme.id)
        self.confidence = read_confidence(card, self.scheme)
        network, asked = self.model.network, slice(channels.first, channels.stop)
        if isinstance(network, LiteSet):
            network, asked = network.member(asked)
        self.detector = Detector(
            network,
            geometry,
            channels=asked,
            device=device,
            precision=precision,
            flip=card.flip_test if flip is None else flip,
            views=channels.views if views else (),
            ends=pairs_of(self.scheme),
        )

    def detect(
        self,
        image: Image,
        *,
        frames: Sequence[int] | str = (0,),
        slice_index: int | None = None,
        plane: Plane | None = None,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Detection:
        """Find the scheme's landmarks in the named frames ("all" for every one) of an image.

        Of a volume, slice_index names a stored slice, or plane is a cut through it in any direction (`oblique_plane`).
        progress is called with a fraction 0..1 and a text; should_stop is asked between batches, and
        DetectionCancelled is raised when it answers yes. Raises ImageError for a frame or slice that does not exist, or
        a plane outside the volume.
        """
        if plane is not None and slice_index is not None:
            raise ImageError(f"A plane and slice {slice_index} were given; give one of them.")
        wanted = range(image.frame_count) if frames == "all" else tuple(frames)
        results: list[FrameResult] = []
        for start in range(0, len(wanted), _FRAMES_AT_A_TIME):
            pictures = [
                stored_plane(image, frame, slice_index) if plane is None else _cut(image, plane, frame)
                for frame in wanted[start : start + _FRAMES_AT_A_TIME]
            ]
            peaks = self.peaks(
                [picture.picture for picture in pictures],
                progress=_part_of(progress, start, len(pictures), len(wanted)),
                should_stop=should_stop,
            )
            results += [self._frame_result(image, *pair) for pair in zip(pictures, peaks, strict=True)]
        return Detection(
            image=image,
            scheme=self.scheme,
            model=ModelIdentity(self.model.card.id, self.model.card.version, self.model.sha256),
            settings={
                "device": str(self.detector.device),
                "precision": self.detector.precision,
                "flip": self.detector.flip,
                "views": 1 + len(self.detector.views),
                **({"slice": slice_index} if slice_index is not None else {}),
                **({} if plane is None else {PLANE_SETTING: plane_setting(image, plane)}),
            },
            frames=tuple(results),
            notes=(*image.warnings, *self.detector.notes),
        )

    def peaks(
        self,
        pictures: Sequence[np.ndarray],
        *,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> list[PicturePeaks]:
        """The peaks in each picture, uint8 (rows, columns, 3): what `detect` judges and its confidence is fitted to."""
        return self.detector.detect(pictures, progress=progress, should_stop=should_stop)

    def _frame_result(
        self, image: Image, plane_picture: PlanePicture | SampledPicture, peaks: PicturePeaks
    ) -> FrameResult:
        ijk = plane_picture.ijk_from_plane(peaks.picture_xy)  # (K, 3)
        ras = image.ras_from_ijk(ijk)
        is_inside = np.all((ijk >= -0.5) & (ijk <= np.array(image.size) - 0.5), axis=1)
        judgements = self.confidence.judge(peaks, is_inside)
        landmarks = LandmarkSet(
            scheme_id=self.scheme.id,
            landmarks=tuple(
                self._landmark(name, ijk[k], None if ras is None else ras[k], float(peaks.score[k]), judgements[k])
                for name, k in zip(self.scheme.names, order_of_ends(peaks.picture_xy, self.scheme), strict=True)
            ),
            frame=plane_picture.frame,
        )
        return FrameResult(landmarks, tuple(measure(landmarks, self.scheme)))

    def _landmark(
        self, name: str, ijk: np.ndarray, ras: np.ndarray | None, score: float, judgement: Judgement
    ) -> Landmark:
        position = tuple(float(value) for value in ijk)
        return Landmark(
            name=name,
            ijk=position,
            ras=None if ras is None else tuple(float(value) for value in ras),
            status=judgement.status,
            confidence=judgement.confidence,
            score=score,
            reason=judgement.reason,
            predicted_ijk=None if judgement.status is Status.MISSING else position,
        )


def detect(
    image: Image | Path | str,
    scheme: Scheme | str,
    model: LoadedModel | LoadedAtlas | str | None = None,
    *,
    device: str = "auto",
    precision: str = "fp32",
    flip: bool | None = None,
    frames: Iterable[int] | str = (0,),
    slice_index: int | None = None,
    plane: Plane | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Detection:
    """Find landmarks in one image: the whole library in one call.

    image: an Image or the path of one. scheme: for example "head-19" (`medlandmark schemes list`). model: an id of the
    catalogue or of an imported model; else one that ships with the library and knows the scheme, or an installed one.
    A model that is made for volumes searches the whole volume where neither a slice nor a plane is named.
    For many images make one LandmarkDetector and call its `detect`, so that the model is loaded once.
    """
    from .opening import is_for_volumes, open_detector, open_volume_detector

    if not isinstance(image, Image):
        image = read_image(image)
    if model is None:
        model = choose_model(load_scheme(scheme) if isinstance(scheme, str) else scheme)
    settings = {"device": device, "precision": precision, "flip": flip}
    frames = frames if isinstance(frames, str) else tuple(frames)
    if slice_index is None and plane is None and is_for_volumes(model):
        frame = frames[0] if image.frame_count > 1 and frames != "all" else None
        in_space = open_volume_detector(scheme, model, **settings)
        return in_space.detect(image, frame=frame, progress=progress, should_stop=should_stop)
    return open_detector(scheme, model, **settings).detect(
        image,
        frames=frames,
        slice_index=slice_index,
        plane=plane,
        progress=progress,
        should_stop=should_stop,
    )


def _cut(image: Image, plane: Plane, frame: int) -> SampledPicture:
    """The picture of a plane. Raises ImageError where it shows nothing of the image."""
    cut = oblique_plane(image, plane, frame)
    if not cut.shows_image:
        centre = plane.ras_from_plane((np.array(plane.size_wh) - 1) / 2)
        where = ", ".join(f"{value:.1f}" for value in centre)
        raise ImageError(f"The plane about ({where}) mm RAS lies outside the volume: there is nothing to see in it.")
    return cut


def _part_of(progress: Progress | None, start: int, count: int, total: int) -> Progress | None:
    """A progress callback for a part of the work that reports as a fraction of the whole."""
    if progress is None:
        return None
    return lambda fraction, text: progress((start + fraction * count) / total, text)
