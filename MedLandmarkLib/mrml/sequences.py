"""A volume sequence of the scene as a clip of the library, and a clip as a volume sequence.

A sequence node holds one data node per frame; a browser node plays it, by copying the data node of the current frame
into a proxy: the volume that views show and that the user chooses as an input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from ..errors import ImageError
from ..image import Calibration
from ..image.clip import Clip, as_rgb
from ..image.display import Display
from .calibration import HeaderLookup, first_header, ijk_to_ras, keep_calibration, volume_calibration
from .markups import volume_of
from .nodes import RESULT_ROLE, nodes_of_class, nodes_with_role, one_modification
from .volume import check_volume, display_of, volume_pixels

BROWSER_CLASS, SEQUENCE_CLASS = "vtkMRMLSequenceBrowserNode", "vtkMRMLSequenceNode"
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3}  # by the unit of a sequence's index
_FRAMES_FOR_WINDOW = 9  # a grey window is taken over so many frames, and then holds for all
_USUAL_RATE_HZ = 20.0  # of playing, where the file states no times


def browser_of(scene: Any, node: Any) -> Any | None:
    """The browser that a node is the proxy of; None where it is no proxy."""
    return next((one for one in nodes_of_class(scene, BROWSER_CLASS) if one.IsProxyNodeID(node.GetID())), None)


def sequence_of(scene: Any, node: Any) -> Any | None:
    """The sequence whose current frame a node shows; None where it is no proxy."""
    browser = browser_of(scene, node)
    return None if browser is None else browser.GetSequenceNode(node)


def frames_of(scene: Any, volume: Any) -> int:
    """How many frames a volume is one of: 1 where it is not part of a clip, as a volume of several slices never is."""
    sequence = None if volume is None else sequence_of(scene, volume)
    image = None if volume is None else volume.GetImageData()
    if sequence is None or image is None or image.GetDimensions()[2] != 1:
        return 1
    return max(1, sequence.GetNumberOfDataNodes())


def clip_from_volume(scene: Any, volume: Any, *, header_of: HeaderLookup | None = None) -> Clip:
    """The clip that a volume shows one frame of; its pictures are the nodes' own memory until they are asked for.

    Place and calibration are those of the volume as it is shown now. Times are those of the sequence's index where its
    unit is one of time. Raises ImageError where the volume is no frame of a clip, or its frames do not fit each other.
    """
    check_volume(volume)
    if frames_of(scene, volume) < 2:
        raise ImageError(f"Volume '{volume.GetName()}' is not a frame of a volume sequence with several frames.")
    sequence = sequence_of(scene, volume)
    nodes = [sequence.GetNthDataNode(number) for number in range(sequence.GetNumberOfDataNodes())]
    frames = [_frame(volume, node, number) for number, node in enumerate(nodes)]
    columns, rows, _ = volume.GetImageData().GetDimensions()
    some = frames[:: max(1, len(frames) // _FRAMES_FOR_WINDOW)]
    display = display_of(volume, np.stack(some) if some[0].dtype != np.uint8 else frames[0], "automatic")
    header = first_header(volume, header_of)
    rate = header.get("HeartRate") if header is not None else None
    times_s, source = index_times(sequence)
    return Clip(
        _NodeFrames(frames, display),
        (columns, rows),
        len(frames),
        ijk_to_ras(volume),
        volume_calibration(volume, header_of),
        times_s=times_s,
        time_source=source,
        modality=str(header.get("Modality") or "") if header is not None else "",
        heart_rate_bpm=float(rate) if rate else None,
    )


def add_clip(scene: Any, clip: Clip, name: str) -> Any:
    """Put a clip into the scene: a volume sequence, its browser, and the volume of the current frame, which it returns.

    A calibration is kept with every frame. Raises ImageError where a frame cannot be decoded.
    """
    sequence = scene.AddNewNodeByClass(SEQUENCE_CLASS, scene.GenerateUniqueName(f"{name} frames"))
    sequence.SetIndexName("frame" if clip.times_s is None else "time")
    sequence.SetIndexUnit("" if clip.times_s is None else "s")
    volume = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", scene.GenerateUniqueName(name))
    with one_modification(volume, sequence):
        _place(volume, clip.ijk_to_ras)
        for frame, picture in enumerate(clip.pictures()):
            slicer.util.updateVolumeFromArray(volume, picture[None])
            keep_calibration(volume, clip.calibration)
            sequence.SetDataNodeAtValue(volume, str(frame) if clip.times_s is None else f"{clip.times_s[frame]:.6f}")
    browser = scene.AddNewNodeByClass(BROWSER_CLASS, scene.GenerateUniqueName(f"{name} player"))
    browser.SetPlaybackRateFps(clip.frame_rate_hz or _USUAL_RATE_HZ)
    join(browser, sequence, volume)
    browser.SetSelectedItemNumber(0)
    volume.CreateDefaultDisplayNodes()
    return volume


def join(browser: Any, sequence: Any, proxy: Any) -> None:
    """Make a browser play a sequence with `proxy` showing its current frame, under the name that it has."""
    with one_modification(browser):  # else Slicer makes a proxy of its own meanwhile
        if not browser.IsSynchronizedSequenceNode(sequence, True):
            browser.AddSynchronizedSequenceNode(sequence)
        browser.AddProxyNode(proxy, sequence, False)
        browser.SetOverwriteProxyName(sequence, False)
        browser.SetSaveChanges(sequence, False)


def markups_sequence(scene: Any, result: Any) -> Any | None:
    """The sequence with the landmarks of every frame; None where the result is of a single image."""
    found = nodes_with_role(scene, SEQUENCE_CLASS, RESULT_ROLE, result)
    return found[0] if found else None


def leave_browser(scene: Any, result: Any) -> None:
    """Let the clip's browser forget a result that is about to be removed."""
    sequence, browser = markups_sequence(scene, result), browser_of(scene, result)
    if sequence is not None and browser is not None:
        with one_modification(browser):
            browser.RemoveSynchronizedSequenceNode(sequence.GetID())


def enter_browser(scene: Any, result: Any) -> None:
    """Let the clip's browser play a result that was put back."""
    sequence, volume = markups_sequence(scene, result), volume_of(result)
    browser = None if volume is None else browser_of(scene, volume)
    if sequence is not None and browser is not None:
        join(browser, sequence, result)


def calibrate_frames(scene: Any, volume: Any, calibration: Calibration) -> None:
    """Give every frame of the clip that a volume belongs to its calibration, or the next frame would undo it."""
    sequence = sequence_of(scene, volume)
    for number in range(0 if sequence is None else sequence.GetNumberOfDataNodes()):
        keep_calibration(sequence.GetNthDataNode(number), calibration)


def index_times(sequence: Any) -> tuple[tuple[float, ...] | None, str]:
    """Seconds since the first frame, and where they are from; None and the reason where the index is no time."""
    name, unit = sequence.GetIndexName() or "", (sequence.GetIndexUnit() or "").lower()
    values = [sequence.GetNthIndexValue(number) for number in range(sequence.GetNumberOfDataNodes())]
    if unit not in _SECONDS:
        return None, f"the sequence is indexed by '{name}', not by time"
    try:
        times = [_SECONDS[unit] * float(value) for value in values]
    except ValueError:
        return None, f"the index of the sequence ({values[0]!r}, ...) holds no numbers"
    if not all(math.isfinite(time) for time in times):
        return None, "the index of the sequence is not finite"
    return tuple(time - times[0] for time in times), f"the index of the sequence ({name}, {unit})"


@dataclass(frozen=True, eq=False)
class _NodeFrames:
    """Pictures in the memory of volume nodes: each (rows, columns, channels)."""

    frames: list[np.ndarray]
    display: Display

    def pictures(self, frames: Sequence[int]) -> Iterator[np.ndarray]:
        for frame in frames:
            yield as_rgb(self.display.to_uint8(self.frames[frame]))


def _frame(volume: Any, node: Any, number: int) -> np.ndarray:
    """(rows, columns, channels) of one data node. Raises ImageError where it is not as the volume shown."""
    check_volume(node)
    size, wanted = node.GetImageData().GetDimensions(), volume.GetImageData().GetDimensions()
    channels = (one.GetImageData().GetNumberOfScalarComponents() for one in (node, volume))
    if size != wanted or len(set(channels)) != 1:
        raise ImageError(
            f"Frame {number} of '{volume.GetName()}' has {size[0]} x {size[1]} x {size[2]} px and the frame shown "
            f"{wanted[0]} x {wanted[1]} x {wanted[2]}, or other colours: the frames of a clip have one size and kind."
        )
    return volume_pixels(node)[0][0, 0]


def _place(volume: Any, matrix: np.ndarray) -> None:
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    volume.SetIJKToRASDirections(*(matrix[:3, :3] / lengths).ravel().tolist())
    volume.SetSpacing(*lengths.tolist())
    volume.SetOrigin(*matrix[:3, 3].tolist())
