"""The engine's client with real worker processes: what a GUI sees when all goes well, and when the worker does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from MedLandmarkLib import __version__
from MedLandmarkLib.engine import EngineClient
from MedLandmarkLib.engine.image_exchange import image_fields, image_from_fields, write_pixels
from MedLandmarkLib.engine.protocol import PROTOCOL_VERSION, Heartbeat, encode
from MedLandmarkLib.errors import EngineError
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.image.display import Display, HighByte, LookupTable, Window

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


_SHIFT = Display(HighByte(8))
_WINDOW = Display(Window(100.0, 50.5, "LINEAR_EXACT"), inverted=True)
_TABLE = Display(LookupTable(3, np.array([0, 7, 4095], np.uint16)))


@pytest.mark.parametrize(
    ("layout", "display"),
    [("plain", _SHIFT), ("plain", _WINDOW), ("plain", _TABLE), ("strided", _SHIFT), ("big-endian", _SHIFT),
     ("float", _WINDOW)],
)  # fmt: skip
def test_an_image_arrives_as_it_was_sent(an_xray: Image, tmp_path: Path, display: Display, layout: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 60000, (3, 4, 20, 30, 3)).astype(np.uint16)
    pixels = {
        "plain": pixels,
        "strided": pixels[:, ::2, :, ::-1],
        "big-endian": pixels.astype(">u2"),
        "float": pixels / 7,
    }[layout]
    sent = Image(pixels, an_xray.ijk_to_ras, Calibration("none", "no header"), None, "US", (0.0, 0.5, 1.0), (), display)
    write_pixels(sent.pixels, tmp_path / "pixels.npy", lambda: False)
    came = image_from_fields(image_fields(sent, tmp_path / "pixels.npy"))
    assert came.pixels.dtype == sent.pixels.dtype
    np.testing.assert_array_equal(came.pixels, sent.pixels)
    np.testing.assert_array_equal(came.ijk_to_ras, sent.ijk_to_ras)
    assert (came.calibration, came.path, came.modality) == (sent.calibration, sent.path, sent.modality)
    assert (came.frame_times_s, came.warnings) == (sent.frame_times_s, sent.warnings)
    np.testing.assert_array_equal(came.display_rgb(2, 1), sent.display_rgb(2, 1))


def test_what_is_no_image_is_refused_at_once(a_client: Watched, an_xray: Image) -> None:
    with pytest.raises(EngineError, match="ndarray"):
        a_client.client.detect(np.zeros((4, 4)), "head-19")
    with pytest.raises(EngineError, match="precision"):
        a_client.client.detect("a.png", "head-19", precision="fp8")
    assert not a_client.client.is_busy and not a_client.client.is_running


@pytest.mark.parametrize("ending", ["failure", "cancel", "kill"])
def test_a_temporary_file_goes_with_its_job(make_client: Callable[..., Watched], an_xray: Image, ending: str) -> None:
    a_client = make_client([str(WORKER), "no-torch"])
    folder = a_client.client._files.path_for(0).parent
    first = a_client.begin("stubborn", seconds=0.5 if ending == "failure" else 30)
    job = a_client.client.detect(an_xray, "head-19")
    a_client.poll_until(lambda: list(folder.glob("*.npy")))
    if ending == "cancel":
        a_client.client.cancel(job)
        a_client.client.cancel(first)
    if ending == "kill":
        os.kill(a_client.client.worker_pid, signal.SIGKILL)
    a_client.poll_until_idle()
    assert list(folder.iterdir()) == []
    assert len(a_client.of("failed")) == {"failure": 1, "cancel": 0, "kill": 2}[ending]


def test_pixels_that_cannot_be_written_are_a_plain_failure(a_client: Watched, an_xray: Image) -> None:
    folder = a_client.client._files.path_for(0).parent
    (folder / "1.npy").mkdir()
    job = a_client.client.detect(an_xray, "head-19")
    a_client.poll_until_idle()
    ((failed_job, message, _),) = a_client.of("failed")
    assert failed_job == job and "could not be handed to the engine" in message
    (folder / "1.npy").rmdir()


@pytest.fixture(scope="session")
def a_model_home(the_golden_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that holds the small reference model "tiny", which knows head-19."""
    from MedLandmarkLib.models import store

    home = tmp_path_factory.mktemp("home")
    architecture = home / "architecture.json"
    architecture.write_text('{"heads": 4, "patch_padding": 2, "input_size_wh": [768, 1024]}', encoding="utf-8")
    weights = the_golden_folder / "weights"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLANDMARK_HOME", str(home))
        store.import_model(
            [weights / "head" / "best_EPE_epoch_200.pth"],
            "tiny",
            base=weights / "sapiens_tiny_epoch_1600_clean.pth",
            scheme="head-19",
            architecture=architecture,
        )
    return home


def test_a_detection_by_the_engine_is_the_librarys_own(
    make_client: Callable[..., Watched],
    a_model_home: Path,
    the_golden_folder: Path,
    an_xray: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    from MedLandmarkLib.detection import LandmarkDetector
    from MedLandmarkLib.export.landmarks_json import landmarks_document
    from MedLandmarkLib.image import read_image

    monkeypatch.setenv("MEDLANDMARK_HOME", str(a_model_home))
    picture = the_golden_folder / "images" / "small_color8.png"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the worker, so that sums come in the same order
    watched = make_client(environment={**os.environ, "OMP_NUM_THREADS": "1"})
    settings = {"device": "cpu", "flip": False}
    jobs = [
        watched.client.detect(picture, "head-19", "tiny", **settings),
        watched.client.detect(an_xray, "head-19", "tiny", **settings),
    ]
    watched.poll_until_idle()
    assert watched.of("failed") == []
    detector = LandmarkDetector("head-19", "tiny", **settings)
    finished = dict(watched.of("finished"))
    for job, image in zip(jobs, (read_image(picture), an_xray), strict=True):
        assert_same(finished[job], landmarks_document(detector.detect(image)))
    torch.set_num_threads(threads)
    for job in jobs:
        fractions = [fraction for number, fraction, _ in watched.of("progress") if number == job]
        assert fractions[0] == 0 and fractions[-1] == 1 and fractions == sorted(fractions)
    texts = {job: {text for number, _, text in watched.of("progress") if number == job} for job in jobs}
    assert "Loading model tiny" in texts[jobs[0]]
    assert "Loading model tiny" not in texts[jobs[1]]  # it is loaded


def assert_same(one: object, other: object) -> None:
    """Equal documents, but for the last bits of sums that two processes may order differently."""
    assert type(one) is type(other) or {type(one), type(other)} <= {int, float}
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_same(mine, its)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-3)
    else:
        assert one == other


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
