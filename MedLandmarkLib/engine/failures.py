"""What a worker says to the user when a job raises."""

from __future__ import annotations

import traceback

from ..errors import MedLandmarkError
from .protocol import Failure

NO_TORCH = (
    "PyTorch is not installed, so no model can run. In Slicer install the extension PyTorch and let it install torch; "
    "elsewhere: pip install torch. Then try again."
)
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def failure_of(job: int | None, error: BaseException) -> Failure:
    """The message for an exception: what was wrong and what to do; the traceback is in its details only."""
    details = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return Failure(job, type(error).__name__, _explained(error), details)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, a GPU or PyTorch's own allocator found no memory; torch need not be there to ask."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(word in str(error).lower() for word in _MEMORY_WORDS)


def _explained(error: BaseException) -> str:
    if isinstance(error, MedLandmarkError):
        return str(error)
    if is_out_of_memory(error):
        return (
            "There was not enough memory for this job. Close other programs, choose a smaller model, fewer frames or "
            "another device, and try again."
        )
    if isinstance(error, ImportError):
        return _import_explained(error)
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused: {error.strerror}{where}."
    reason = " ".join(str(error).split())
    return f"The engine met an error that it did not expect: {type(error).__name__}{': ' if reason else ''}{reason}."


def _import_explained(error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if package == "torch" and isinstance(error, ModuleNotFoundError):
        return NO_TORCH
    if isinstance(error, ModuleNotFoundError):
        return f"The Python package '{package}' is not installed. Install it (pip install {package}) and try again."
    reason = " ".join(str(error).split())
    return f"A Python package is there but cannot be loaded: {reason}. Install it again and restart."
