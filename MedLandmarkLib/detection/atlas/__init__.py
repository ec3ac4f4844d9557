"""Landmarks carried over from one annotated volume: pose, registration, and matching around each landmark."""

from .detector import AtlasDetector

__all__ = ["AtlasDetector"]
