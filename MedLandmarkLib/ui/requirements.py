"""What must be installed before a network can run, and how to say so. Nothing here is imported when Slicer starts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys

from slicer.i18n import tr as _

from ..errors import MedLandmarkError

PYTHON_VARIABLE = "MEDLANDMARK_PYTHON"  # another Python, that has torch, to run the engine in


def enginePython() -> str:
    """The Python that runs the engine: $MEDLANDMARK_PYTHON, else Slicer's own."""
    return os.environ.get(PYTHON_VARIABLE) or shutil.which("PythonSlicer") or sys.executable


def isTorchMissing() -> bool:
    """Whether the engine would find no torch; another Python is taken to know what it has."""
    return not os.environ.get(PYTHON_VARIABLE) and importlib.util.find_spec("torch") is None


def missingText() -> str:
    """What to install, or an empty text."""
    if not isTorchMissing():
        return ""
    return _(
        "PyTorch is not installed, so nothing can be detected. Install the extension PyTorch (Extensions Manager), "
        "restart Slicer, and press Detect landmarks again. Existing landmarks can be edited and measured without it."
    )


def ensureInstalled(requirementsPath: str) -> None:
    """Install what the engine needs, asking first. Raises MedLandmarkError where it is not there afterwards."""
    import slicer.packaging

    if os.environ.get(PYTHON_VARIABLE):
        return
    try:
        slicer.packaging.pip_ensure(slicer.packaging.load_requirements(requirementsPath), requester="MedLandmark")
    except RuntimeError as error:
        raise MedLandmarkError(str(error)) from error
    if isTorchMissing():
        _installTorch()


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError:
        raise MedLandmarkError(missingText()) from None
    if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.2") is None:
        raise MedLandmarkError(_("PyTorch was not installed, so nothing can be detected."))
