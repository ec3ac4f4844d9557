"""MedLandmark: anatomical landmarks in medical images, with honest confidence.

    from MedLandmarkLib import detect

    detection = detect("ceph.png", "head-19")
    for landmark in detection.frames[0].landmarks:
        print(landmark.name, landmark.ijk, landmark.status.value, landmark.confidence)

The names below are loaded when they are first used, so that importing this package needs no torch and no time.
"""

from __future__ import annotations

from importlib import import_module

# Not lazily: a module of the same name would take its place as soon as it is loaded.
from .measure import measure

__version__ = "0.1.0"

_HOMES = {
    "Calibration": "image",
    "DatasetError": "errors",
    "Detection": "detection",
    "Image": "image",
    "ImageError": "errors",
    "Landmark": "landmark",
    "LandmarkDataset": "dataset",
    "LandmarkSet": "landmark",
    "MedLandmarkError": "errors",
    "Measurement": "measure",
    "ModelError": "errors",
    "Scheme": "scheme",
    "SchemeError": "errors",
    "Status": "landmark",
    "detect": "detection",
    "list_schemes": "scheme",
    "load_scheme": "scheme",
    "read_dataset": "dataset",
    "read_image": "image",
}

__all__ = ["__version__", "measure", *sorted(_HOMES)]


def __getattr__(name: str) -> object:
    """Find a public name in the module that defines it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
