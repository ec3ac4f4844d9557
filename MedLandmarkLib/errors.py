"""The exceptions of the library.

Each message says what was wrong, with which value, and what to do about it. The command line prints the message
as one line; the Slicer module shows it as it is.
"""

from __future__ import annotations


class MedLandmarkError(Exception):
    """Base of every error that the library raises on purpose."""


class ImageError(MedLandmarkError):
    """A file could not be read as an image, or its geometry or calibration makes no sense."""


class SchemeError(MedLandmarkError):
    """A landmark scheme does not exist, is malformed, or does not fit the data it is used with."""


class ModelError(MedLandmarkError):
    """A model is unknown, not installed, damaged, or does not fit the scheme that was asked for."""


class DatasetError(MedLandmarkError):
    """A folder of training or evaluation data is incomplete or contradicts itself."""


class DetectionCancelled(MedLandmarkError):
    """The caller asked to stop before the work was complete."""


class EngineError(MedLandmarkError):
    """The worker process of the engine was asked for what it cannot do, or did not answer as it should."""
