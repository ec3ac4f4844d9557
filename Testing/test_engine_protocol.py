"""The engine's protocol in one process: messages and their lines, signals, exit codes in words, requests refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from MedLandmarkLib import __version__
from MedLandmarkLib.engine.detect_request import DetectRequest
from MedLandmarkLib.engine.process_end import describe_end
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
    check_hello,
    decode,
    encode,
)
from MedLandmarkLib.engine.signal import Signal
from MedLandmarkLib.errors import EngineError

MESSAGES = [
    Hello(1, "0.1.0", 42, ("detect", "système")),
    Request(1, "detect", {"image": "Röntgen/ü.png"}, ("a.npy",)),
    Cancel(3), Ping(), Pong(), Shutdown(), Heartbeat(None), Heartbeat(4),
    Progress(1, 0.25, "Lade Modell"), Frames(2, [{"frame": 0}]), Result(2, {"a": [1.5, None]}),
    Failure(None, "ImageError", "no\nimage", "trace"), Cancelled(5),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_its_line(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line) == message


def test_progress_with_details_goes_through_the_protocol() -> None:
    news = Progress(3, 0.5, "text", {"phase": "fusion", "estimate": None, "unit": "mm"})
    assert decode(encode(news)) == news
    assert decode(encode(Progress(3, 0.5, "text"))).details == {}
    with pytest.raises(EngineError):
        decode(b'{"type":"progress","id":1,"fraction":0.5,"text":"t","details":[1]}\n')


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b"Traceback (most recent call last):\n", "Traceback"),
        (b"\xff\xfe\x00garbage\n", "xff"),
        (b"[1, 2]\n", "list"),
        (b'{"type": "dance"}\n', "dance"),
        (b'{"id": 1}\n', "None"),
        (b'{"type": "progress", "id": 1, "fraction": 1.5, "text": ""}\n', "fraction"),
        (b'{"type": "progress", "id": 1, "fraction": NaN, "text": ""}\n', "NaN"),
        (b'{"type": "progress", "id": true, "fraction": 0.5, "text": ""}\n', "id"),
        (b'{"type": "progress", "id": 1}\n', "fraction, text"),
        (b'{"type": "cancel", "id": 1, "hurry": 2}\n', "hurry"),
        (b'{"type": "request", "id": -1, "kind": "detect"}\n', "id"),
        (b"[" * 100_000, "["),
    ],
)
def test_what_is_no_message_is_refused_and_named(line: bytes, named: str) -> None:
    with pytest.raises(EngineError, match=r"no message of the engine") as refused:
        decode(line)
    assert named in str(refused.value)
    assert len(str(refused.value)) < 400


@given(st.binary(max_size=200))
def test_no_line_does_worse_than_an_engine_error(line: bytes) -> None:
    try:
        decode(line)
    except EngineError as error:
        assert str(error).isprintable()


def test_a_message_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(EngineError, match="result"):
        encode(Result(1, {"value": float("nan")}))


def test_a_hello_of_another_version_can_be_read_and_is_refused_with_both_versions() -> None:
    newer = decode(b'{"type":"hello","protocol":9,"library":"9.1","pid":1,"colour":"blue"}\n')
    with pytest.raises(EngineError, match=rf"newer.*9\.1.*{__version__}"):
        check_hello(newer, __version__)
    with pytest.raises(EngineError, match="older"):
        check_hello(Hello(0, "0.0.1", 1), __version__)
    with pytest.raises(EngineError, match="another"):
        check_hello(Hello(PROTOCOL_VERSION, "0.0.1", 1), __version__)
    check_hello(Hello(PROTOCOL_VERSION, __version__, 1), __version__)


def test_a_signal_reaches_every_slot_though_one_raises() -> None:
    signal, heard = Signal("job"), []

    def breaks(job: int) -> None:
        raise KeyError(job)

    signal.connect(breaks)
    signal.connect(heard.append)
    signal.connect(heard.append)  # once is enough
    with pytest.raises(KeyError):
        signal.emit(3)
    signal.disconnect(breaks)
    signal.emit(4)
    assert heard == [3, 4]
    with pytest.raises(ValueError, match="not connected"):
        signal.disconnect(breaks)
    with pytest.raises(TypeError, match="job"):
        signal.emit()


@pytest.mark.parametrize(
    ("exit_code", "report", "words"),
    [
        (-9, [], "lack of memory"),
        (137, [], "lack of memory"),
        (-11, [], "crashed"),
        (0xC0000005, [], "access violation"),
        (-1073741819, [], "access violation"),
        (0xC000012D, [], "lack of memory"),
        (1, ["error: [python-real] exit abnormally - Report the problem."], "lack of memory"),
        (1, [], "exit code 1"),
        (0, [], "nobody asked"),
        (-15, [], "from outside"),
    ],
)
def test_an_exit_code_is_told_in_words(exit_code: int, report: list[str], words: str) -> None:
    assert words in describe_end(exit_code, report)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("precision", "fp8"), ("flip", 1), ("frames", "some"), ("frames", (-1,)), ("frames", ()), ("frames", (0.5,)),
        ("slice_index", -2), ("scheme", ""), ("image", None), ("model", 3),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused_with_its_field(name: str, value: object) -> None:
    fields = {"image": "a.png", "scheme": "head-19", name: value}
    with pytest.raises(EngineError, match=name):
        DetectRequest(**fields)
