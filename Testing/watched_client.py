"""A client of the engine that is watched by a test, and an image to send through it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from MedLandmarkLib.engine import EngineClient
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.image.display import Display, Window

WORKER = Path(__file__).with_name("engine_worker.py")
PATIENCE_S = 120.0  # on a busy computer even the start of Python takes its time


class Watched:
    """A client, everything that its signals said, and how long its poll() took."""

    def __init__(self, arguments: list[str] | None = None, executable: str | None = None, **settings: object) -> None:
        self.client = EngineClient(executable, arguments or [str(WORKER)], **settings)
        self.said: list[tuple] = []
        for name in ("started", "progress", "finished", "failed", "cancelled", "stopped"):
            getattr(self.client, name).connect(lambda *values, name=name: self.said.append((name, *values)))
        self.poll_seconds: list[float] = []
        self.poll_cpu_seconds: list[float] = []

    def poll(self) -> None:
        began, began_cpu = time.perf_counter(), time.thread_time()
        self.client.poll()
        self.poll_cpu_seconds.append(time.thread_time() - began_cpu)
        self.poll_seconds.append(time.perf_counter() - began)
        time.sleep(0.003)

    def poll_until(self, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> float:
        """Seconds until the condition held."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < patience_s, f"waited in vain; the client said {self.said}"
            self.poll()
        return time.monotonic() - began

    def poll_until_idle(self) -> None:
        self.poll_until(lambda: not self.client.is_busy)

    def of(self, name: str) -> list[tuple]:
        return [values[1:] for values in self.said if values[0] == name]

    def do(self, kind: str, **fields: object) -> dict:
        """The result of a job that is expected to succeed."""
        job = self.client.request(kind, fields)
        self.poll_until_idle()
        assert self.said[-1][:2] == ("finished", job), self.said
        return self.said[-1][2]

    def begin(self, kind: str, **fields: object) -> int:
        """A job that has reported progress, so that it runs."""
        job = self.client.request(kind, fields)
        self.poll_until(lambda: any(values[0] == job for values in self.of("progress")))
        return job


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/stat").exists():
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it left while we looked
        return False


@pytest.fixture
def make_client() -> Iterator[Callable[..., Watched]]:
    made = []

    def make(*arguments: object, **settings: object) -> Watched:
        made.append(Watched(*arguments, **settings))
        return made[-1]

    yield make
    for watched in made:
        watched.client.stop()


@pytest.fixture
def a_client(make_client: Callable[..., Watched]) -> Watched:
    return make_client()


@pytest.fixture
def an_xray() -> Image:
    rows, columns = np.mgrid[0:180, 0:140]
    pixels = ((np.sin(rows / 9) + np.cos(columns / 7)) * 900 + 2000).astype(np.uint16)
    matrix = np.diag([-0.2, -0.3, 1.0, 1.0])
    return Image(
        pixels[None, None, :, :, None],
        matrix,
        Calibration("calibrated", "user: pixel spacing given by hand", (0.2, 0.3)),
        path=Path("Röntgen.dcm"),
        modality="DX",
        warnings=("The window was made up.",),
        display=Display(Window(2000.0, 3000.0, "SIGMOID"), inverted=True),
    )
