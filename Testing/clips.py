"""Tracks and clips made up for tests: a heart that beats by a formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from doubles import DetectorDouble

from MedLandmarkLib.detection import Detection, FrameResult, ModelIdentity
from MedLandmarkLib.image import Image
from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
from MedLandmarkLib.track import Track

A4C = ("mitral_hinge_septal", "mitral_hinge_lateral", "lv_apex", "la_roof")
PLAX = ("ivs_endocardial_top", "ivs_lvid_junction", "lvid_lvpw_junction", "lvpw_endocardial_bottom")


def contraction(times_s: np.ndarray, beat_s: float = 0.8) -> np.ndarray:
    """0 at end-diastole, 1 at end-systole, in between smooth."""
    return (1 - np.cos(2 * np.pi * times_s / beat_s)) / 2


def a4c_points(phase: np.ndarray) -> np.ndarray:
    """(F, 4, 2) px: the hinges come 15 px towards the apex, which stands still."""
    up = 15.0 * phase
    zero = np.zeros_like(phase)
    septal, lateral = np.stack((zero + 80, 150 - up), -1), np.stack((zero + 120, 150 - up), -1)
    return np.stack((septal, lateral, np.stack((zero + 100, zero + 50), -1), np.stack((zero + 100, zero + 200), -1)), 1)


def plax_points(phase: np.ndarray, septum: float = 9.0, cavity: float = 48.0, wall: float = 10.0) -> np.ndarray:
    """(F, 4, 2) px along one line; the cavity loses a third, the walls gain a half."""
    ivs, lvid, pw = septum * (1 + phase / 2), cavity * (1 - phase / 3), wall * (1 + phase / 2)
    heights = np.cumsum(np.stack((np.full_like(phase, 40.0), ivs, lvid, pw), -1), axis=-1)
    return np.stack((np.full_like(heights, 100.0), heights), -1)


def a_track(
    points: np.ndarray,
    names: Sequence[str],
    scheme_id: str,
    times_s: np.ndarray | None,
    *,
    confidence: np.ndarray | float | None = 0.9,
    missing: Sequence[int] = (),
    mm_per_px: float | None = 1.0,
    **options: object,
) -> Track:
    """The track of `points` (F, K, 2); in the frames `missing` nothing was found."""
    matrix = None if mm_per_px is None else np.diag((-mm_per_px, -mm_per_px, 1.0, 1.0))
    confidences = np.broadcast_to(np.nan if confidence is None else confidence, points.shape[:1])
    sets = []
    for frame, places in enumerate(points):
        items = []
        for name, (x, y) in zip(names, places, strict=True):
            ras = None if matrix is None else tuple((matrix @ (x, y, 0, 1))[:3].tolist())
            items.append(
                Landmark(
                    name,
                    (float(x), float(y), 0.0),
                    ras,
                    Status.MISSING if frame in missing else Status.PREDICTED,
                    None if np.isnan(confidences[frame]) else float(confidences[frame]),
                    0.5,
                )
            )
        sets.append(LandmarkSet(scheme_id, tuple(items), frame))
    return Track(scheme_id, tuple(sets), None if times_s is None else tuple(times_s.tolist()), matrix, **options)


def sector_pictures(count: int, seed: int = 0, columns: int = 160, rows: int = 120) -> np.ndarray:
    """(count, rows, columns) uint8: a triangle of changing speckle, and text that stands still."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    inside = (abs(x - columns / 2) < 0.55 * y) & (y > 10) & (y < 0.9 * rows)
    pictures = np.where(inside, rng.integers(40, 200, (count, rows, columns)), 0).astype(np.uint8)
    pictures[:, 4:14, 4:30] = 255 * (np.arange(26) // 2 % 2)
    return pictures


def write_video(path: Path, pictures: np.ndarray, rate: int = 25) -> Path:
    """(F, rows, columns) grey pictures as AVI (MJPEG) or MP4 (MPEG-4) by the end of the name."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg" if path.suffix == ".avi" else "mpeg4", rate=rate)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuvj420p" if path.suffix == ".avi" else "yuv420p"
        for picture in pictures:
            rgb = np.repeat(picture[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path


class BeatingDouble(DetectorDouble):
    """Finds a4c-4 where `a4c_points` has it, as if each frame were 1/25 s later; needs no network."""

    rate_hz = 25.0

    def detect(
        self,
        image: Image,
        *,
        frames: Sequence[int] | str = (0,),
        progress: Callable[[float, str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        **_: object,
    ) -> Detection:
        self.seen = getattr(self, "seen", 0)
        self.most = max(getattr(self, "most", 0), image.frame_count)
        results = []
        for frame in range(image.frame_count):
            image.display_rgb(frame)
            xy = a4c_points(contraction(np.array([(self.seen + frame) / self.rate_hz])))[0] / 2
            items = []
            for name, (x, y) in zip(A4C, xy, strict=True):
                ras = image.ras_from_ijk((x, y, 0.0))
                place = None if ras is None else tuple(ras.tolist())
                items.append(Landmark(name, (x, y, 0.0), place, Status.PREDICTED, 0.9, 0.5, predicted_ijk=(x, y, 0.0)))
            results.append(FrameResult(LandmarkSet(self.scheme.id, tuple(items), frame)))
        self.seen += image.frame_count
        if progress is not None:
            progress(1.0, "done")
        return Detection(image, self.scheme, ModelIdentity("double", "1", "0" * 64), {}, tuple(results))
