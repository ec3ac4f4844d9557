"""The engine's client with real worker processes: what a GUI sees when all goes well, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watched_client import WORKER, Watched, a_client, an_xray, is_alive, make_client

from MedLandmarkLib.image import Image

__all__ = ["a_client", "an_xray", "make_client"]


def test_importing_the_client_is_quick_and_needs_no_torch() -> None:
    code = (
        "import sys, time, numpy, MedLandmarkLib\n"
        "began = time.process_time()\n"
        "from MedLandmarkLib.engine import EngineClient\n"
        "EngineClient()\n"
        "took = time.process_time() - began\n"
        "assert not {'torch', 'SimpleITK', 'pydicom', 'matplotlib'} & set(sys.modules), 'heavy modules'\n"
        "print(took)"
    )
    root = {"cwd": WORKER.parent.parent, "capture_output": True, "text": True, "check": True}
    took = min(float(subprocess.run([sys.executable, "-c", code], **root).stdout) for _ in range(3))
    assert took < 0.05


def test_a_client_that_is_not_used_starts_no_process(a_client: Watched) -> None:
    a_client.poll()
    assert not a_client.client.is_running and not a_client.client.is_busy
    assert a_client.said == []


def test_progress_rises_from_0_to_1_and_the_result_comes_last(a_client: Watched) -> None:
    job = a_client.client.request("slow", {"seconds": 0.5})
    assert a_client.client.is_running and a_client.client.is_busy
    a_client.poll_until_idle()
    fractions = [fraction for _, fraction, _ in a_client.of("progress")]
    assert fractions[0] == 0 and fractions[-1] == 1 and fractions == sorted(fractions)
    assert len(set(fractions)) > 3
    assert a_client.said[0] == ("started",)
    assert a_client.said[-1] == ("finished", job, {"steps": 50})


def test_a_call_never_blocks_and_a_poll_is_short(a_client: Watched) -> None:
    began = time.thread_time()
    a_client.client.request("many_frames", {"count": 2000})
    a_client.client.request("slow", {"seconds": 0.5})
    assert time.thread_time() - began < 0.02
    a_client.poll_until_idle()
    assert len(a_client.of("finished")[0][1]["frames"]) == 2000
    assert max(a_client.poll_cpu_seconds) < 0.02
    # What the system gives to other processes in between is not the client's doing.
    assert sorted(a_client.poll_seconds)[len(a_client.poll_seconds) * 9 // 10] < 0.02


def test_jobs_are_done_one_after_the_other_by_one_worker(a_client: Watched) -> None:
    jobs = [a_client.client.request("echo", {"number": number}) for number in range(5)]
    a_client.poll_until_idle()
    finished = a_client.of("finished")
    assert [job for job, _ in finished] == jobs
    assert [result["fields"]["number"] for _, result in finished] == list(range(5))
    assert {result["pid"] for _, result in finished} == {a_client.client.worker_pid}


def test_a_job_that_fails_says_why_and_the_worker_stays(a_client: Watched) -> None:
    a_client.client.request("failing", {"with": "image"})
    a_client.poll_until_idle()
    ((_, message, details),) = a_client.of("failed")
    assert message == "ceph.png: is a text file." and "Traceback" in details
    a_client.do("echo")
    assert a_client.of("stopped") == [] and len(a_client.of("started")) == 1


@pytest.mark.parametrize("kind", ["slow", "stubborn"])
def test_a_cancel_is_obeyed_within_a_second(a_client: Watched, kind: str) -> None:
    job = a_client.begin(kind, seconds=30)
    worker = a_client.client.worker_pid
    later = a_client.client.request("echo")
    a_client.client.cancel(job)
    assert a_client.poll_until(lambda: a_client.of("cancelled")) < 1
    assert a_client.of("cancelled") == [(job,)]
    a_client.poll_until_idle()  # the job that waited is done all the same
    assert [done for done, _ in a_client.of("finished")] == [later]
    assert (a_client.client.worker_pid == worker) == (kind == "slow")
    assert is_alive(worker) == (kind == "slow")
    assert a_client.of("failed") == a_client.of("stopped") == []


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_is_over_not_at_all(a_client: Watched) -> None:
    running = a_client.begin("slow", seconds=1)
    waiting = a_client.client.request("echo")
    a_client.client.cancel(waiting)
    a_client.poll()
    assert a_client.of("cancelled") == [(waiting,)]
    a_client.poll_until_idle()
    a_client.client.cancel(running)
    a_client.client.cancel(12345)
    a_client.poll()
    assert [job for job, _ in a_client.of("finished")] == [running]
    assert a_client.of("cancelled") == [(waiting,)]


def test_restart_ends_a_job_and_begins_anew(a_client: Watched) -> None:
    job = a_client.begin("stubborn", seconds=30)
    first = a_client.client.worker_pid
    waiting = a_client.client.request("echo")
    a_client.client.restart()
    a_client.poll_until_idle()
    assert a_client.of("cancelled") == [(job,)]
    assert [done for done, _ in a_client.of("finished")] == [waiting]
    assert a_client.client.worker_pid != first and not is_alive(first)


def test_stop_leaves_nothing_behind_and_is_not_the_end(a_client: Watched, an_xray: Image) -> None:
    job = a_client.begin("stubborn", seconds=30)
    worker = a_client.client.worker_pid
    waiting = a_client.client.detect(an_xray, "head-19")
    folder = a_client.client._files.path_for(0).parent
    a_client.client.stop()
    assert not a_client.client.is_running
    a_client.poll_until(lambda: not is_alive(worker), 1)
    a_client.poll_until(lambda: not folder.exists() and not a_client.client.is_busy, 5)
    assert a_client.of("cancelled") == [(job,), (waiting,)]
    assert a_client.of("stopped") == []
    a_client.do("echo")


def test_a_client_that_is_gone_takes_its_worker_with_it(tmp_path: Path) -> None:
    """A GUI that crashes closes the pipes, and that is all that the worker needs."""
    code = (
        "import sys, time\n"
        "from MedLandmarkLib.engine import EngineClient\n"
        f"client = EngineClient({sys.executable!r}, [{str(WORKER)!r}])\n"
        "client.progress.connect(lambda *news: (print(client.worker_pid, flush=True), sys.stdin.read()))\n"
        "client.request('stubborn', {'seconds': 60})\n"
        "while True: client.poll(); time.sleep(0.01)\n"
    )
    gui = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=WORKER.parent.parent
    )
    worker = int(gui.stdout.readline())
    assert is_alive(worker)
    gui.kill()
    gui.communicate()
    deadline = time.monotonic() + 2
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(worker)


def test_a_slot_that_raises_loses_no_signal(a_client: Watched) -> None:
    def breaks(job: int, result: dict) -> None:
        raise RuntimeError("a bug in the panel")

    a_client.client.finished.connect(breaks)
    jobs = [a_client.client.request("echo") for _ in range(3)]
    raised = 0
    while a_client.client.is_busy:
        try:
            a_client.poll()
        except RuntimeError:
            raised += 1
    assert raised == 3 and [job for job, _ in a_client.of("finished")] == jobs


def test_models_are_imported_listed_and_deleted_by_the_engine(
    make_client: Callable[..., Watched], the_golden_folder: Path, tmp_path: Path
) -> None:
    watched = make_client(environment={**os.environ, "MEDLANDMARK_HOME": str(tmp_path / "home")})
    architecture = tmp_path / "architecture.json"
    architecture.write_text('{"heads": 4, "patch_padding": 2, "input_size_wh": [768, 1024]}', encoding="utf-8")
    weights = the_golden_folder / "weights"
    imported = watched.do(
        "import",
        files=[str(weights / "head" / "best_EPE_epoch_200.pth")],
        base=str(weights / "sapiens_tiny_epoch_1600_clean.pth"),
        id="tiny",
        scheme="head-19",
        architecture=str(architecture),
    )
    assert "tiny" in imported["installed"]
    listed = {model["id"]: model for model in watched.do("models")["models"]}
    assert listed["tiny"]["ready"] and listed["tiny"]["schemes"] == ["head-19"]
    assert not listed["medsapiens"]["ready"] and listed["medsapiens"]["licence"]["noncommercial"]
    assert watched.do("delete", id="tiny")["freed_bytes"] > 100_000
    assert "tiny" not in {model["id"] for model in watched.do("models")["models"]}
    for kind, fields, words in (
        ("delete", {"id": "tiny"}, "not installed"),
        ("download", {"id": "sapiens-0.3b"}, "licen"),  # it asks before it goes to the network
        ("download", {}, "needs the field 'id'"),
        ("import", {"files": "a.pth"}, "files"),
        ("delete", {"id": "tiny", "all": True}, "all"),
    ):
        watched.client.request(kind, fields)
        watched.poll_until_idle()
        assert words in watched.said[-1][2], watched.said[-1]
