"""The engine's client when its worker dies, hangs, talks nonsense, is of another version or cannot start."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from watched_client import WORKER, Watched, a_client, an_xray, is_alive, make_client

from MedLandmarkLib import __version__
from MedLandmarkLib.engine.protocol import PROTOCOL_VERSION, Heartbeat, encode
from MedLandmarkLib.image import Image

__all__ = ["a_client", "an_xray", "make_client"]


def a_script(code: str) -> list[str]:
    """Arguments that make Python a worker that says its hello and then does as `code` says."""
    return ["-c", a_hello() + code]


def a_hello(protocol: int = PROTOCOL_VERSION, library: str = __version__) -> str:
    """The lines of a script that say hello."""
    return (
        "import json, os, sys, time\n"
        f"hello = dict(type='hello', protocol={protocol}, library={library!r}, pid=os.getpid())\n"
        "print(json.dumps(hello), flush=True)\n"
    )


def test_a_worker_killed_five_times_gives_five_clear_messages_and_starts_again(a_client: Watched) -> None:
    killed = []
    for _ in range(5):
        killed.append(a_client.begin("stubborn", seconds=30))
        os.kill(a_client.client.worker_pid, signal.SIGKILL)
        a_client.poll_until_idle()
        assert not a_client.client.is_running
    assert [job for job, _, _ in a_client.of("failed")] == killed
    for _, message, _ in a_client.of("failed"):
        assert "ended by the system, most likely for lack of memory" in message
        assert "starts again" in message
    assert len(a_client.of("stopped")) == len(a_client.of("started")) == 5
    assert a_client.do("echo", still="there")["fields"] == {"still": "there"}


def test_a_crash_is_told_with_the_stack_that_it_left(a_client: Watched) -> None:
    a_client.client.request("crash")
    a_client.poll_until_idle()
    ((_, message, details),) = a_client.of("failed")
    assert "crashed" in message
    assert "Fatal Python error" in details and details == a_client.client.last_error_report


def test_garbage_on_the_pipe_is_named_and_the_process_ended(make_client: Callable[..., Watched]) -> None:
    garbage = "sys.stdin.readline()\nprint('Intel MKL WARNING: ' + 'x' * 5000, flush=True)\ntime.sleep(60)"
    watched = make_client(a_script(garbage))
    job = watched.client.request("detect")
    watched.poll_until(lambda: watched.of("started"))
    worker = watched.client.worker_pid
    watched.poll_until_idle()
    ((failed_job, message, _),) = watched.of("failed")
    assert failed_job == job and "nobody can read" in message and "Intel MKL WARNING" in message
    assert len(message) < 500
    assert watched.of("stopped") == [(message,)] and not watched.client.is_running
    assert worker is not None


def test_endless_garbage_is_not_gathered(make_client: Callable[..., Watched]) -> None:
    watched = make_client(a_script("while True: sys.stdout.write('x' * 1000)"))
    watched.client.request("detect")
    watched.poll_until_idle()
    ((_, message, _),) = watched.of("failed")
    assert "nobody can read" in message and len(message) < 500


def test_a_worker_that_greets_and_fails_is_not_started_for_ever(make_client: Callable[..., Watched]) -> None:
    watched = make_client(["-c", a_hello() + "sys.stdout.write('garbage\\n' * 100); sys.stdout.flush()"])
    watched.client.start()
    time.sleep(1.0)  # the greeting and the garbage come together
    watched.client.request("detect")
    watched.client.request("detect")
    watched.poll_until_idle()
    assert len(watched.of("failed")) == 2 and len(watched.of("started")) <= 2


def test_words_before_the_hello_are_kept_for_the_report(make_client: Callable[..., Watched]) -> None:
    watched = make_client(["-c", "print('a launcher speaks')\n" + a_hello() + "input()"])
    watched.client.start()
    watched.poll_until(lambda: watched.of("started"))
    assert watched.client.last_error_report == "a launcher speaks"


@pytest.mark.parametrize("beats", [False, True], ids=["silent", "deaf"])
def test_a_worker_that_hangs_is_noticed(make_client: Callable[..., Watched], beats: bool) -> None:
    idle = encode(Heartbeat(None)) if beats else b""  # it lives, but never heard of the job
    code = f"while True:\n sys.stdout.buffer.write({idle!r}); sys.stdout.flush(); time.sleep(0.1)"
    watched = make_client(a_script(code), hang_after_s=20 if beats else 1)
    job = watched.client.request("detect")
    watched.poll_until(lambda: watched.of("started"))
    worker = watched.client.worker_pid
    watched.poll_until_idle()
    ((failed_job, message, _),) = watched.of("failed")
    assert failed_job == job and ("does not hear" if beats else "not answered for 1 s") in message
    assert not watched.client.is_running
    watched.poll_until(lambda: not is_alive(worker), 5)


def test_a_worker_that_never_greets_is_noticed(make_client: Callable[..., Watched]) -> None:
    watched = make_client(["-c", "import time; time.sleep(60)"], hang_after_s=0.3)
    watched.client.request("detect")
    watched.poll_until_idle()
    assert "not answered" in watched.of("failed")[0][1]


def test_a_gui_that_stood_still_does_not_take_its_worker_for_dead(make_client: Callable[..., Watched]) -> None:
    watched = make_client(hang_after_s=1.5)
    watched.begin("slow", seconds=2.2)
    time.sleep(2)  # a modal dialog of Slicer, or a computer that slept
    watched.poll_until_idle()
    assert watched.of("failed") == [] and len(watched.of("finished")) == 1


@pytest.mark.parametrize(("protocol", "library"), [(PROTOCOL_VERSION + 1, __version__), (PROTOCOL_VERSION, "0.0.1")])
def test_a_worker_of_another_version_is_refused(
    make_client: Callable[..., Watched], protocol: int, library: str
) -> None:
    watched = make_client(["-c", a_hello(protocol, library) + "input()"])
    jobs = [watched.client.request("detect"), watched.client.request("detect")]
    watched.poll_until_idle()
    assert [job for job, _, _ in watched.of("failed")] == jobs  # none would fare better
    assert library in watched.of("failed")[0][1] and "version" in watched.of("failed")[0][1]
    assert watched.of("started") == []


def test_an_engine_that_cannot_start_says_why(make_client: Callable[..., Watched]) -> None:
    watched = make_client(executable="/no/such/PythonSlicer")
    watched.client.request("detect")
    watched.poll_until_idle()
    assert "/no/such/PythonSlicer" in watched.of("failed")[0][1]
    watched = make_client(["-c", "raise SystemExit('numpy is broken')"])
    watched.client.request("detect")
    watched.poll_until_idle()
    message = watched.of("failed")[0][1]
    assert "could not be started" in message and "exit code 1" in message and "numpy is broken" in message


def test_without_torch_detection_fails_plainly_and_the_rest_works(
    make_client: Callable[..., Watched], an_xray: Image
) -> None:
    watched = make_client([str(WORKER), "no-torch"])
    watched.client.detect(an_xray, "head-19")
    watched.poll_until_idle()
    assert "PyTorch is not installed" in watched.of("failed")[0][1]
    assert watched.do("models")["models"]
    assert len(watched.of("started")) == 1  # the same worker


def test_the_environment_is_the_one_that_is_given(make_client: Callable[..., Watched]) -> None:
    code = "import os; assert 'MEDLANDMARK_TEST' in os.environ; os._exit(17)"
    for environment, expected in (({**os.environ, "MEDLANDMARK_TEST": "1"}, "17"), (dict(os.environ), "exit code 1")):
        watched = make_client(["-c", code], environment=environment)
        watched.client.request("echo")
        watched.poll_until_idle()
        assert expected in watched.of("failed")[0][1]
