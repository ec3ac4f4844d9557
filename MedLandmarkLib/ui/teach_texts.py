"""What the section Teach says, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slicer.i18n import tr as _

from ..errors import MedLandmarkError


def methodTexts() -> dict[str, str]:
    """What a teaching can end with, by the name that the engine knows; the usual one first."""
    return {
        "fusion": _("Fusion: one small model of all specialists"),
        "specialists": _("Specialists: a model for each landmark"),
        "joint": _("Joint: one model for all landmarks"),
        "instant": _("Matching: no training, ready at once"),
    }


def phaseText(phase: str) -> str:
    """What a teaching is about at present; empty for what is not known."""
    return {
        "reading": _("Reading the images."),
        "instant": _("Matching."),
        "joint": _("Learning all landmarks together."),
        "specialists": _("Learning each landmark by itself."),
        "fusion": _("Making one model of the specialists."),
    }.get(phase, "")


def estimateText(details: Mapping[str, Any]) -> str:
    """How far the answers for one picture lie apart, with its unit; empty while that is not known."""
    if details.get("estimate") is None:
        return ""
    digits = 2 if details.get("unit") == "mm" else 1
    return _("Views of one picture differ by {value} {unit}; the error is at least that.").format(
        value=f"{details['estimate']:.{digits}f}", unit=details.get("unit", "px")
    )


def resultText(result: Mapping[str, Any]) -> str:
    """What came of a teaching, where the model is, and what was set aside."""
    text = (
        _("Done: the model '{model}' is in the list of models, and its folder can be shared: {folder}.")
        if result["complete"]
        else _(
            "Cancelled: the best model so far, '{model}', is in the list of models ({folder}). Starting again with the "
            "same name goes on from there."
        )
    )
    parts = [text.format(model=result["model_id"], folder=result["folder"])]
    if count := len(result.get("set_aside", ())):
        parts.append(_("Images that were not learned from: {count}; the list below says why.").format(count=count))
    return " ".join([*parts, *(f"{remark.rstrip('.')}." for remark in result.get("remarks", ()))])


def nameProblem(name: str) -> str:
    """Why a model cannot be called so; empty where it can."""
    if not name.strip():
        return _("Give the model a name.")
    from ..models.catalogue import catalogue
    from ..models.folder import checked_id

    try:
        checked_id(name.strip())
    except MedLandmarkError as error:
        return str(error)
    if name.strip() in catalogue():
        return _("'{name}' is the name of a model of MedLandmark. Choose another.").format(name=name.strip())
    return ""
