"""Images: pixels, their place in patient space, and how far their millimetres can be trusted."""

from .image import Calibration, Image
from .reading import read_image

__all__ = ["Calibration", "Image", "read_image"]
