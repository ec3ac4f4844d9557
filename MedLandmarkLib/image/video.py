"""AVI and MP4 as clips, through PyAV (extra `video`): decoded frame by frame, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError
from .clip import LIKE_A_PICTURE, Clip
from .image import Calibration
from .limits import check_size


def read_video(path: Path, kind: str) -> Clip:
    """The first video stream of a file; `kind` is how the file is called to the user. Raises ImageError.

    Frame times are the file's own time stamps. A video file states no pixel size.
    """
    with _opened(path) as (container, stream):
        size_wh = (stream.codec_context.width, stream.codec_context.height)
        check_size(size_wh, bytes_per_pixel=3)
        stamps, base = [], stream.time_base
        for packet in container.demux(stream):
            if packet.size:
                stamps.append(packet.pts)
        rate = stream.average_rate
    if not stamps:
        raise ImageError(f"its {kind} holds no video frames: it was cut or is damaged.")
    times_s, source = None, f"the {kind} file states neither time stamps nor a rate"
    if base is not None and None not in stamps:
        seconds = np.array(sorted(stamps), float) * float(base)
        times_s, source = tuple((seconds - seconds[0]).tolist()), f"{kind} time stamps"
    elif rate:
        times_s, source = tuple(frame / float(rate) for frame in range(len(stamps))), f"{kind} frame rate"
    return Clip(
        VideoFrames(path, len(stamps)),
        size_wh,
        len(stamps),
        LIKE_A_PICTURE,
        Calibration("none", f"the {kind} file states no pixel size"),
        times_s=times_s,
        time_source=source,
        path=path,
    )


@dataclass(frozen=True)
class VideoFrames:
    """The frames of a video file, `count` of them by its index."""

    path: Path
    count: int

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        wanted, last, found = set(frames), max(frames), -1
        with _opened(self.path) as (container, stream):
            for found, frame in enumerate(container.decode(stream)):
                if found in wanted:
                    # converted in its own size, so that a change of it is seen
                    yield frame.to_ndarray(format="rgb24")
                if found == last:
                    return
        raise ImageError(f"{found + 1} of its {self.count} frames can be decoded: it was cut or is damaged.")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream; PyAV's errors become ImageError."""
    try:
        import av
    except ImportError as error:
        raise ImageError("a video needs PyAV to be read: pip install 'MedLandmark[video]'.") from error
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ImageError("it holds no video stream.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except av.FFmpegError as error:
        raise ImageError(f"its video is damaged or cut ({error.strerror or error}). Export it again.") from error
