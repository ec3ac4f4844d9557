"""Detection: canvas geometry, heatmaps, the detector, and the way from an image to its landmarks."""

from .opening import open_detector, open_volume_detector
from .pipeline import LandmarkDetector, detect
from .result import Detection, FrameResult, ModelIdentity

__all__ = [
    "Detection",
    "FrameResult",
    "LandmarkDetector",
    "ModelIdentity",
    "detect",
    "open_detector",
    "open_volume_detector",
]
