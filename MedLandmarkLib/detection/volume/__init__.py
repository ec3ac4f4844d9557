"""Landmarks in a whole volume: its pose, sweeps of planes, and what their peaks come to in 3D."""

from .detector import VolumeDetector

__all__ = ["VolumeDetector"]
