"""Learning from volumes: one pose for all, planes drawn around landmarks, and a fitting of its own."""

from .run import train_volumes, volume_request

__all__ = ["train_volumes", "volume_request"]
