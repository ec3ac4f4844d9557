"""Landmark schemes: which points there are, in which order, what each one is, and what is measured from them.

A scheme is data: a JSON file below Resources/Schemes, one beside an installed model, or another of the user's own in
the same format (Resources/Scheme-schema.json describes it). Nothing about an anatomy is written in code.
"""

from __future__ import annotations

from .cine_definitions import CINE_KINDS, CineDefinition, CineValueDefinition
from .definitions import (
    KINDS,
    KindRule,
    LandmarkDefinition,
    Line,
    MeasurementClass,
    MeasurementDefinition,
    Point,
    ReferenceLength,
    Scheme,
    Term,
)
from .own import own_scheme, write_scheme
from .store import INSTALLED, SCHEME_NAME, list_schemes, load_scheme

__all__ = [
    "CINE_KINDS",
    "INSTALLED",
    "KINDS",
    "SCHEME_NAME",
    "CineDefinition",
    "CineValueDefinition",
    "KindRule",
    "LandmarkDefinition",
    "Line",
    "MeasurementClass",
    "MeasurementDefinition",
    "Point",
    "ReferenceLength",
    "Scheme",
    "Term",
    "list_schemes",
    "load_scheme",
    "own_scheme",
    "write_scheme",
]
