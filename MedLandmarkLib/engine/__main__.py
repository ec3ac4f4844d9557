"""`python -m MedLandmarkLib.engine` is the worker process."""

from __future__ import annotations

from .server import serve
from .standard_jobs import standard_jobs

if __name__ == "__main__":
    serve(standard_jobs())
