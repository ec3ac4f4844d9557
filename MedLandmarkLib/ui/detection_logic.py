"""From an image of the scene to a result in the scene, through the engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from ..engine import EngineClient, Signal
from ..errors import DetectionCancelled, ImageError, MedLandmarkError, ModelError
from ..plane import Plane
from ..scheme import Scheme, load_scheme
from .engine_logic import EngineLogic
from .requirements import enginePython


class DetectionLogic(EngineLogic):
    """Runs one detection at a time; the scene changes only when it is complete.

    More signals: finished(node); stopped(message): the engine went by itself, and will be started again by the next
    detection.
    """

    JOB = "detection"

    def __init__(self, scene: Any, engine: EngineClient | None = None) -> None:
        super().__init__(scene, engine or EngineClient(enginePython()))
        self.finished, self.stopped = Signal("node"), Signal("message")
        self._request: dict[str, Any] = {}
        self._startedAt = 0.0
        self.engine.stopped.connect(self.stopped.emit)

    def start(
        self,
        volume: Any,
        schemeId: str,
        modelId: str = "lite",
        device: str = "auto",
        sliceIndex: int | None = None,
        plane: Plane | None = None,
        sliceNode: Any | None = None,
        clip: bool = False,
        directions: Sequence[str] | None = None,
        projection: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin a detection and return at once. Raises MedLandmarkError where the input cannot be used.

        Of a volume: a stored slice, a plane that cuts through it, or whichever of both a slice view shows; all of it,
        swept in directions; or a projection (`DetectRequest`). Of a volume sequence: the frame shown or, as a clip, all
        frames.
        """
        from ..mrml.sequences import clip_from_volume
        from ..mrml.volume import image_from_volume
        from .picture_shown import pictureShown

        if sliceNode is not None:
            self.start(volume, schemeId, modelId, device, **pictureShown(sliceNode, volume))
            return
        self._requireIdle()
        scheme = load_scheme(schemeId)
        self._startedAt = time.monotonic()
        request = {"volumeId": volume.GetID() if volume else "", "volume": volume, "scheme": scheme}
        source = str(scheme.path) if scheme.path and not _isShipped(scheme) else scheme.id
        if clip:
            frames = clip_from_volume(self.scene, volume, header_of=headerOf)
            self._request = {**request, "clip": True, "heartRate": frames.heart_rate_bpm}
            self._job = self.engine.detect_clip(frames, source, modelId, device=device)
        else:
            image = image_from_volume(volume, header_of=headerOf)
            ways = {"slice_index": sliceIndex, "plane": plane, "directions": directions, "projection": projection}
            if all(way is None for way in ways.values()):
                _requireOneSlice(volume, image.size[2])
            self._request = {**request, "clip": False, "name": _nameOfFrame(self.scene, volume, scheme)}
            self._job = self.engine.detect(image, source, modelId, device=device, **ways)
        logging.info(f"Detecting {scheme.id} with {modelId} in {volume.GetName()}")
        self._timer.start()

    def detect(self, *arguments: Any, **choices: Any) -> Any:
        """Detect, with the arguments of `start`, and wait for the result with the application alive; the fiducial node.

        Raises MedLandmarkError, and DetectionCancelled where somebody cancelled.
        """
        import slicer

        outcome: list[tuple[str, Any]] = []
        slots = {
            self.finished: lambda node: outcome.append(("node", node)),
            self.failed: lambda message, details: outcome.append(("error", message)),
            self.cancelled: lambda: outcome.append(("cancelled", None)),
        }
        for signal, slot in slots.items():
            signal.connect(slot)
        try:
            self.start(*arguments, **choices)
            while not outcome:
                slicer.app.processEvents()
                time.sleep(0.005)
                self._poll()
        finally:
            for signal, slot in slots.items():
                signal.disconnect(slot)
        kind, value = outcome[0]
        if kind == "cancelled":
            raise DetectionCancelled(_("The detection was cancelled."))
        if kind == "error":
            raise ModelError(value)
        return value

    def request(self, kind: str, **fields: Any) -> int:
        """Any other job of the engine (models, download, import, delete); its answer comes by the engine's signals."""
        job = self.engine.request(kind, fields)
        self._timer.start()
        return job

    @property
    def _busyText(self) -> str:
        return _("A detection is under way; wait for it, or cancel it.")

    def _take(self, result: Mapping[str, Any]) -> None:
        try:
            node = self._placed(result)
        except MedLandmarkError as error:
            self.failed.emit(str(error), "")
            return
        logging.info(f"Detected in {time.monotonic() - self._startedAt:.2f} s: {node.GetName()}")
        self.finished.emit(node)

    def _placed(self, result: Mapping[str, Any]) -> Any:
        """The fiducial node of a result, in the scene. Raises MedLandmarkError."""
        from ..engine.clip_exchange import track_of_document
        from ..export.landmarks_json import landmark_sets
        from ..mrml import create_clip_result, create_result
        from ..mrml.origin import Provenance

        scheme, volume = self._request["scheme"], self.scene.GetNodeByID(self._request["volumeId"])
        if volume is None or volume is not self._request["volume"]:
            raise ImageError(_("The image was removed from the scene during the detection, so its result was dropped."))
        model = result["model"]
        provenance = Provenance(model["id"], model["version"], model["sha256"], result["settings"])
        if self._request["clip"]:
            track, rate = track_of_document(result), self._request["heartRate"]
            return create_clip_result(self.scene, volume, track, scheme, provenance=provenance, heart_rate_bpm=rate)
        landmarks, name = landmark_sets(result)[0], self._request["name"]
        return create_result(self.scene, volume, landmarks, scheme, provenance=provenance, name=name)


def headerOf(instanceUid: str) -> Any | None:
    """The DICOM header of an instance in Slicer's database; None where it is not there. Raises ImageError."""
    import pydicom
    import slicer

    database = getattr(slicer, "dicomDatabase", None)
    path = database.fileForInstance(instanceUid) if database is not None else ""
    if not path:
        return None
    try:
        return pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, ValueError, TypeError, KeyError, pydicom.errors.InvalidDicomError) as error:
        raise ImageError(
            _("The DICOM file of the image, {path}, cannot be read ({error}). Import it again.").format(
                path=path, error=error
            )
        ) from error


def _nameOfFrame(scene: Any, volume: Any, scheme: Scheme) -> str:
    """What to call the landmarks of one frame of a clip, which hold for no other; empty where it is no clip."""
    from ..mrml.sequences import browser_of, frames_of

    if frames_of(scene, volume) < 2:
        return ""
    return scene.GenerateUniqueName(
        _("{volume} {scheme} frame {frame}").format(
            volume=volume.GetName(), scheme=scheme.id, frame=browser_of(scene, volume).GetSelectedItemNumber()
        )
    )


def _requireOneSlice(volume: Any, sliceCount: int) -> None:
    if sliceCount > 1:
        raise ImageError(
            _("Volume '{name}' has {count} slices: choose a slice view whose slice is to be used.").format(
                name=volume.GetName(), count=sliceCount
            )
        )


def _isShipped(scheme: Scheme) -> bool:
    from ..scheme import list_schemes

    return any(one.id == scheme.id and one.path == scheme.path for one in list_schemes())
