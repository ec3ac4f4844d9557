"""Stand-ins that several test files share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk

from MedLandmarkLib.detection import Detection, FrameResult, ModelIdentity
from MedLandmarkLib.image import Image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.measure import measure
from MedLandmarkLib.plane import Plane
from MedLandmarkLib.scheme import Scheme, load_scheme


class DetectorDouble:
    """Places a scheme's landmarks on a spiral in the image, without a network.

    The second is doubtful and the third missing. It takes and gives what LandmarkDetector takes and gives.
    """

    def __init__(self, scheme: Scheme | str, model: str = "lite", **settings: object) -> None:
        self.scheme = load_scheme(scheme) if isinstance(scheme, str) else scheme
        self.settings = settings
        self.model = SimpleNamespace(card=SimpleNamespace(id=model, version="1"))

    def detect(
        self,
        image: Image,
        *,
        frames: Sequence[int] | str = (0,),
        slice_index: int | None = None,
        plane: Plane | None = None,
        progress: Callable[[float, str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Detection:
        assert plane is None, "the double detects in stored slices"
        wanted = range(image.frame_count) if frames == "all" else frames
        results = []
        for frame in wanted:
            image.display_rgb(frame, slice_index or 0)
            landmarks = spiral_landmarks(image, self.scheme, frame, slice_index or 0)
            results.append(FrameResult(landmarks, tuple(measure(landmarks, self.scheme))))
            if progress is not None:
                progress((frame + 1) / len(wanted), "frames")
        identity = ModelIdentity(self.model.card.id, self.model.card.version, "0" * 64)
        return Detection(image, self.scheme, identity, dict(self.settings), tuple(results), image.warnings)


def spiral_landmarks(image: Image, scheme: Scheme, frame: int = 0, slice_index: int = 0) -> LandmarkSet:
    """Landmarks at irrational places inside the image, so that rounding would show."""
    columns, rows, _ = image.size
    landmarks = []
    for number, name in enumerate(scheme.names):
        turn, radius = 2.4 * number + 0.1 * frame, 0.4 * (number + 1) / len(scheme)
        i = (columns - 1) * (0.5 + radius * np.cos(turn))
        j = (rows - 1) * (0.5 + radius * np.sin(turn))
        ijk = (float(i), float(j), float(slice_index))
        ras = image.ras_from_ijk(ijk)
        status = {1: Status.DOUBTFUL, 2: Status.MISSING}.get(number, Status.PREDICTED)
        landmarks.append(
            Landmark(
                name,
                ijk=ijk,
                ras=None if ras is None else tuple(float(value) for value in ras),
                status=status,
                confidence=0.2 if number in (1, 2) else 0.9,
                score=1 / (number + 3),
                reason={1: "weak peak", 2: "no peak"}.get(number, ""),
                predicted_ijk=ijk,
            )
        )
    return LandmarkSet(scheme.id, tuple(landmarks), frame)


def write_pictures_with_one_broken(folder: Path, count: int, broken: str) -> Path:
    """A new folder with so many small pictures, p0.png and on, and the broken one among or beside them."""
    folder.mkdir()
    for number in range(count):
        write_picture(folder / f"p{number}.png", seed=number)
    (folder / broken).write_bytes(b"no picture")
    return folder


def write_picture(path: Path, columns: int = 60, rows: int = 80, seed: int = 0) -> Path:
    """A small grey picture in the format that the file's name asks for."""
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, columns), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(pixels), str(path))
    return path
