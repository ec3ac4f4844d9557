"""A worker for the tests: the standard jobs and some that misbehave. `python engine_worker.py [no-torch]`."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.server import serve
from MedLandmarkLib.engine.standard_jobs import standard_jobs
from MedLandmarkLib.errors import DetectionCancelled, ImageError


def echo(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    return {"fields": dict(fields), "pid": os.getpid()}


def slow(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """Works in small steps for some seconds, and looks up between them."""
    steps = int(fields["seconds"] * 100)
    for step in range(steps):
        if context.should_stop():
            raise DetectionCancelled("stopped")
        context.progress(step / steps, f"step {step // 20}")
        time.sleep(0.01)
    context.progress(1.0, "done")
    return {"steps": steps}


def stubborn(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """One long step that nobody can interrupt."""
    context.progress(0.1, "a long step")
    time.sleep(fields["seconds"])
    return {}


def disorderly(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """Progress that goes back and beyond, and prints where only the protocol may speak."""
    for number, fraction in enumerate((0.5, 0.2, 7.0, -1.0)):
        context.progress(fraction, f"part {number}")
    print("print() from a job")
    os.write(1, b"a native library that writes to stdout\n")
    return {"stdin": sys.stdin.read()}


def many_frames(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    return {"frames": [{"frame": number} for number in range(fields["count"])], "other": 1}


def failing(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    errors = {
        "image": ImageError("ceph.png: is a text file."),
        "bug": ZeroDivisionError("division by zero"),
        "memory": MemoryError(),
        "gpu": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        "exit": SystemExit(3),
    }
    if fields["with"] == "nan":
        return {"value": float("nan")}
    raise errors[fields["with"]]


def crash(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    """Follow a null pointer, as a faulty driver does."""
    return {"value": ctypes.string_at(0)}


def read_file(fields: Mapping[str, Any], context: JobContext) -> dict[str, Any]:
    return {"bytes": len(Path(fields["path"]).read_bytes())}


if __name__ == "__main__":
    if "no-torch" in sys.argv:
        sys.modules["torch"] = None  # an import of it raises ModuleNotFoundError
    registry = standard_jobs()
    released = []
    registry.on_low_memory(lambda: released.append(True))
    registry.register("released", lambda fields, context: {"count": len(released)})
    for job in (echo, slow, stubborn, disorderly, many_frames, failing, crash, read_file):
        registry.register(job.__name__, job)
    serve(registry)
