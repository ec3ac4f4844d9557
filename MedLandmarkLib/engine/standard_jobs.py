"""The jobs of the worker that ships: detect, what this computer has, and the models on it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from . import model_jobs, teach_jobs
from .clip_exchange import clip_document, clip_from_fields
from .detect_request import DetectRequest
from .detector_shelf import DetectorShelf
from .failures import failure_of
from .image_exchange import image_from_fields
from .jobs import JobContext, JobRegistry
from .ready_detector import ready_detector
from .volume_jobs import detect_projection_job, detect_volume_job


def standard_jobs() -> JobRegistry:
    """A registry with every job of the library; each imports what it needs when it runs."""
    registry, shelf = JobRegistry(), DetectorShelf()
    registry.on_low_memory(shelf.clear)
    registry.register("detect", partial(detect_job, shelf))
    registry.register("detect_clip", partial(detect_clip_job, shelf))
    registry.register("detect_volume", partial(detect_volume_job, shelf))
    registry.register("detect_projection", partial(detect_projection_job, shelf))
    registry.register("teach", partial(teach_jobs.teach_job, shelf))
    registry.register("keep_taught", partial(teach_jobs.keep_job, shelf))
    registry.register("propose", teach_jobs.propose_job)
    registry.register("system", system_job)
    registry.register("models", model_jobs.list_job)
    registry.register("download", partial(model_jobs.download_job, shelf))
    registry.register("import", partial(model_jobs.import_job, shelf))
    registry.register("delete", partial(model_jobs.delete_job, shelf))
    return registry


def detect_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """The document of `STEM.landmarks.json` (Resources/Landmarks-schema.json) for one image.

    fields: as in DetectRequest. Raises the library's errors, and ImportError without torch.
    """
    request = DetectRequest.from_fields(fields)
    context.progress(0.0, "Reading the image")
    from ..export.landmarks_json import landmarks_document
    from ..image import read_image
    from ..plane import Plane

    image = read_image(request.image) if isinstance(request.image, str) else image_from_fields(request.image)
    detector, start = ready_detector(shelf, request, context)
    detection = detector.detect(
        image,
        frames=request.frames,
        slice_index=request.slice_index,
        plane=None if request.plane is None else Plane.from_fields(request.plane),
        progress=context.part(start, 1.0),
        should_stop=context.should_stop,
    )
    shelf.drop_if_moved(detector, request.device)
    return landmarks_document(detection)


def detect_clip_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """The landmarks of one clip through time (`clip_document`).

    fields: as in DetectRequest, with the fields of a clip (`clip_fields`), or a path, in the place of the image.
    Raises the library's errors, and ImportError without torch.
    """
    request = DetectRequest.from_fields(fields)
    context.progress(0.0, "Reading the clip")
    from ..image.clip_reading import read_clip

    clip = read_clip(request.image) if isinstance(request.image, str) else clip_from_fields(request.image)
    detector, start = ready_detector(shelf, request, context)
    from ..detection.cine import detect_clip

    detection = detect_clip(detector, clip, progress=context.part(start, 1.0), should_stop=context.should_stop)
    shelf.drop_if_moved(detector, request.device)
    return clip_document(detection)


def system_job(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """What this computer can compute with: {"torch": version or None, "why_not", "devices": [{"id", "name"}]}."""
    try:
        import torch
    except (ImportError, OSError) as error:  # OSError: one of its DLLs does not load
        return {"torch": None, "why_not": failure_of(None, error).message, "devices": []}
    devices = [{"id": "cpu", "name": "CPU"}]
    if torch.cuda.is_available():
        devices += [
            {"id": f"cuda:{number}", "name": torch.cuda.get_device_name(number)}
            for number in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append({"id": "mps", "name": "Apple GPU"})
    return {"torch": str(torch.__version__), "why_not": "", "devices": devices}
