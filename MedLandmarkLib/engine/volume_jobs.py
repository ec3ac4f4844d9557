"""Detections in a volume as a whole: a sweep of planes through all of it, or a projection of a slab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .detect_request import CEPHALOGRAM, DetectRequest
from .detector_shelf import DetectorShelf
from .image_exchange import image_from_fields
from .jobs import JobContext
from .ready_detector import ready_detector

if TYPE_CHECKING:
    from ..image import Image
    from ..plane.midsagittal import SymmetryPlane
    from ..plane.projection import Projection

_PROJECTED = 0.3  # of the job's own part, once the projection is computed


def detect_volume_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """The document of `STEM.landmarks.json` for a whole volume; `directions` are those of the request.

    fields: as in DetectRequest. What is no volume of pictures is refused before the model is loaded. Raises the
    library's errors, and ImportError without torch.
    """
    request = DetectRequest.from_fields(fields)
    image, frame = _volume(request, context)
    from ..export.landmarks_json import landmarks_document

    detector, start = ready_detector(shelf, request, context)
    from ..detection import open_volume_detector

    settings = {"device": request.device, "precision": request.precision, "flip": request.flip}
    in_space = open_volume_detector(detector.scheme, detector.model, **settings)  # on the network that the shelf holds
    detection = in_space.detect(
        image,
        frame=frame,
        directions=request.directions or (),
        progress=context.part(start, 1.0),
        should_stop=context.should_stop,
    )
    shelf.drop_if_moved(getattr(in_space, "detector", in_space), request.device)
    return landmarks_document(detection)


def detect_projection_job(shelf: DetectorShelf, fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """The document of `STEM.landmarks.json` for a projection of a volume, its points brought back into the volume.

    fields: as in DetectRequest. Raises the library's errors, and ImportError without torch.
    """
    request = DetectRequest.from_fields(fields)
    image, frame = _volume(request, context)
    from ..export.landmarks_json import landmarks_document

    detector, start = ready_detector(shelf, request, context)
    from ..detection.projection import detect_in_projection

    projecting, detecting = start + _PROJECTED * (1.0 - start), context.part(start + _PROJECTED * (1.0 - start), 1.0)
    context.part(start, projecting)(0.0, "Computing the projection")
    projection, midsagittal = _projected(image, request.projection or {}, frame)
    detection = detect_in_projection(
        detector, image, projection, midsagittal, frame=frame, progress=detecting, should_stop=context.should_stop
    )
    shelf.drop_if_moved(detector, request.device)
    return landmarks_document(detection)


def _volume(request: DetectRequest, context: JobContext) -> tuple[Image, int]:
    """The image, and the frame to work on. Raises ImageError where it is no volume of pictures."""
    context.progress(0.0, "Reading the volume")
    from ..detection.volume.check import require_volume
    from ..image import read_image

    image = read_image(request.image) if isinstance(request.image, str) else image_from_fields(request.image)
    named = request.frames if request.frames != "all" and image.frame_count > 1 else (None,)
    return image, require_volume(image, named[0])


def _projected(image: Image, asked: Mapping[str, Any], frame: int) -> tuple[Projection, SymmetryPlane | None]:
    """What the request's projection shows and, of a cephalogram, the mid-sagittal plane. Raises ImageError."""
    from ..plane import Plane
    from ..plane.projection import depth_through, project, require_hounsfield

    if asked["kind"] == CEPHALOGRAM:
        from ..detection.projection import lateral_cephalogram

        return lateral_cephalogram(image, frame=frame)
    if asked["kind"] == "radiograph":
        require_hounsfield(image, frame)
    plane = Plane.from_fields(asked["plane"])
    depth_mm = asked["depth_mm"] or depth_through(image, plane)
    return project(image, plane, float(depth_mm), asked["kind"], frame=frame), None
