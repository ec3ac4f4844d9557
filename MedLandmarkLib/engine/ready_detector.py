"""The first part of each detection: the detector that the request asks for, taken from the shelf or loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DetectionCancelled
from .detect_request import DetectRequest
from .detector_shelf import DetectorShelf
from .jobs import JobContext

if TYPE_CHECKING:
    from ..detection import LandmarkDetector

# Shares of a first detection: reading the image, loading the model, and the detection itself.
_READ, _LOADED = 0.05, 0.25


def ready_detector(shelf: DetectorShelf, request: DetectRequest, context: JobContext) -> tuple[LandmarkDetector, float]:
    """The detector for a request, and how much of the job is done once it is there.

    Raises DetectionCancelled, SchemeError, ModelError, and ImportError without torch.
    """
    start = _READ
    _stop_here(context)

    def loading() -> None:
        nonlocal start
        start = _LOADED
        context.progress(_READ, f"Loading model {request.model}")

    detector = shelf.get(
        request.scheme, request.model, request.device, request.precision, request.flip, loading=loading
    )
    _stop_here(context)
    return detector, start


def _stop_here(context: JobContext) -> None:
    if context.should_stop():
        raise DetectionCancelled("The detection was stopped before it began.")
