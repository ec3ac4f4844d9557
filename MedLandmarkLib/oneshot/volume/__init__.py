"""Taught from one annotated volume: a model that is that volume and its points."""

from .central import most_central
from .teach import teach_from_volume, teach_volume

__all__ = ["most_central", "teach_from_volume", "teach_volume"]
