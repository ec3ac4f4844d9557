"""An image on its way to the worker, what is left of it there, and the detection that comes back."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from watched_client import WORKER, Watched, a_client, an_xray, make_client

from MedLandmarkLib.engine.image_exchange import image_fields, image_from_fields, write_pixels
from MedLandmarkLib.errors import EngineError
from MedLandmarkLib.image import Calibration, Image
from MedLandmarkLib.image.display import Display, HighByte, LookupTable, Window

__all__ = ["a_client", "an_xray", "make_client"]

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
