"""The engine's worker, spoken to over bare pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pytest

from MedLandmarkLib import __version__
from MedLandmarkLib.engine.failures import NO_TORCH
from MedLandmarkLib.engine.protocol import (
    PROTOCOL_VERSION,
    Cancel,
    Cancelled,
    Failure,
    Frames,
    Heartbeat,
    Hello,
    Message,
    Ping,
    Pong,
    Progress,
    Request,
    Result,
    Shutdown,
    decode,
    encode,
)

WORKER = Path(__file__).with_name("engine_worker.py")
PATIENCE_S = 120.0  # on a busy computer even the start of Python takes its time


class BareWorker:
    """A worker process, spoken to in lines."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *(arguments or (str(WORKER),))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(WORKER.parent.parent)},
        )
        self.lines: SimpleQueue[bytes] = SimpleQueue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)

    def say(self, message: Message | bytes) -> None:
        self.process.stdin.write(message if isinstance(message, bytes) else encode(message))
        self.process.stdin.flush()

    def hear(self, *kinds: type) -> Message:
        """The next message of one of these kinds."""
        while True:
            try:
                message = decode(self.lines.get(timeout=PATIENCE_S))
            except Empty:
                raise AssertionError(f"the worker said no {kinds} in {PATIENCE_S} s") from None
            if isinstance(message, kinds):
                return message

    def do(self, kind: str, **fields: object) -> Message:
        self.say(Request(7, kind, fields))
        return self.hear(Result, Failure, Cancelled)

    def seconds_until_it_is_gone(self) -> float:
        began = time.monotonic()
        self.process.wait(PATIENCE_S)
        return time.monotonic() - began

    def end(self) -> str:
        """What it wrote to stderr."""
        self.process.kill()
        self.process.stdin.close()
        if not self.process.stderr.closed:
            self.errors = self.process.stderr.read().decode()
            self.process.stderr.close()
        self.process.wait(PATIENCE_S)
        return self.errors


@pytest.fixture
def a_worker() -> Iterator[BareWorker]:
    worker = BareWorker()
    yield worker
    worker.end()


def test_the_worker_greets_with_its_version_and_jobs(a_worker: BareWorker) -> None:
    hello = a_worker.hear(Hello)
    assert (hello.protocol, hello.library, hello.pid) == (PROTOCOL_VERSION, __version__, a_worker.process.pid)
    assert {"detect", "models", "system"} <= set(hello.kinds)


def test_the_shipped_worker_is_the_module() -> None:
    worker = BareWorker("-m", "MedLandmarkLib.engine")
    try:
        assert worker.hear(Hello).library == __version__
        models = worker.do("models").result["models"]
        assert {"medsapiens", "sapiens-0.3b"} <= {model["id"] for model in models}
        assert all(isinstance(model["ready"], bool) for model in models)
        worker.say(Shutdown())
        assert worker.seconds_until_it_is_gone() < 1
        assert worker.process.returncode == 0
    finally:
        worker.end()


@pytest.mark.parametrize("job", ["stubborn", "slow", None])
def test_the_worker_leaves_within_a_second_when_its_stdin_closes(
    a_worker: BareWorker, job: str | None, tmp_path: Path
) -> None:
    pixels = tmp_path / "pixels.npy"
    pixels.write_bytes(b"0" * 100)
    a_worker.hear(Hello)
    if job:
        a_worker.say(Request(1, job, {"seconds": 30}, (str(pixels),)))
        a_worker.hear(Progress)
    a_worker.process.stdin.close()
    assert a_worker.seconds_until_it_is_gone() < 1
    assert a_worker.process.returncode == 0
    assert not pixels.exists() or job is None


def test_the_worker_hears_while_it_works(a_worker: BareWorker) -> None:
    a_worker.say(Request(1, "stubborn", {"seconds": 30}))
    a_worker.hear(Progress)
    a_worker.say(Ping())
    a_worker.hear(Pong)
    assert a_worker.hear(Heartbeat) == Heartbeat(1)
    a_worker.say(Request(2, "echo"))
    a_worker.say(Cancel(2))
    assert a_worker.hear(Cancelled, Result) == Cancelled(2)


def test_stdout_belongs_to_the_protocol_and_progress_never_falls(a_worker: BareWorker) -> None:
    a_worker.say(Request(1, "disorderly"))
    fractions = [a_worker.hear(Progress).fraction for _ in range(4)]
    assert fractions == [0.5, 0.5, 1.0, 1.0]
    assert a_worker.hear(Result).result == {"stdin": ""}  # hear() reads nothing but messages
    errors = a_worker.end()
    assert "print() from a job" in errors and "a native library that writes to stdout" in errors


def test_a_job_that_fails_is_explained_and_the_worker_lives_on(a_worker: BareWorker) -> None:
    failures = {name: a_worker.do("failing", **{"with": name}) for name in ("image", "bug", "nan", "exit")}
    assert failures["image"].message == "ceph.png: is a text file."
    assert failures["image"].kind == "ImageError"
    assert "ZeroDivisionError: division by zero" in failures["bug"].message
    assert "Traceback" in failures["bug"].details and "Traceback" not in failures["bug"].message
    assert "JSON" in failures["nan"].message
    assert failures["exit"].kind == "SystemExit"
    assert "echo" in a_worker.do("dance").message
    for wish in ("memory", "gpu"):
        assert "not enough memory" in a_worker.do("failing", **{"with": wish}).message
    assert a_worker.do("released").result == {"count": 2}
    a_worker.say(b"not a message\n")
    assert a_worker.hear(Failure).id is None
    assert a_worker.do("echo", a=1).result["fields"] == {"a": 1}


def test_a_long_result_comes_in_short_lines(a_worker: BareWorker) -> None:
    a_worker.say(Request(1, "many_frames", {"count": 50}))
    parts = [a_worker.hear(Frames, Result) for _ in range(5)]
    assert [frame["frame"] for part in parts[:4] for frame in part.frames] == list(range(50))
    assert parts[4] == Result(1, {"frames": [], "other": 1})


def test_without_torch_a_detection_says_what_to_install(tmp_path: Path) -> None:
    picture = tmp_path / "a.bmp"
    write_bitmap(picture)
    worker = BareWorker(str(WORKER), "no-torch")
    try:
        missing = worker.do("detect", image=str(picture), scheme="head-19", model="lite")
        assert missing == Failure(7, "ModuleNotFoundError", NO_TORCH, missing.details)
        system = worker.do("system").result
        assert system["torch"] is None and "PyTorch is not installed" in system["why_not"]
    finally:
        worker.end()


def write_bitmap(path: Path) -> None:
    import numpy as np
    import SimpleITK as sitk

    values = np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))


def test_a_malformed_detection_is_refused(a_worker: BareWorker) -> None:
    assert "scheme" in a_worker.do("detect", image="a.png").message
    assert "colour" in a_worker.do("detect", image="a.png", scheme="head-19", colour="blue").message
    assert "no such file" in a_worker.do("detect", image="/no/such.png", scheme="head-19").message
    broken = a_worker.do("detect", image={"pixels": "/no/such.npy"}, scheme="head-19")
    assert broken.kind == "EngineError" and "calibration" in broken.message


def test_the_result_is_json_all_the_way(a_worker: BareWorker) -> None:
    record = a_worker.do("echo", image="Röntgen \u2028 ü.png").result
    assert json.loads(json.dumps(record))["fields"]["image"] == "Röntgen \u2028 ü.png"
