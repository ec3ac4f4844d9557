"""Teaching in the engine: what the request says, what comes back, and what a cancel leaves."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import write_picture
from teaching_doubles import TeachDouble, put_in_place, write_model

from MedLandmarkLib.engine.detector_shelf import DetectorShelf
from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.pictures_exchange import pictures_fields, write_all_pixels, write_pictures
from MedLandmarkLib.engine.protocol import Progress, decode, encode
from MedLandmarkLib.engine.teach_client import TeachClient
from MedLandmarkLib.engine.teach_jobs import keep_job, propose_job, teach_job
from MedLandmarkLib.engine.teach_request import TeachJob
from MedLandmarkLib.errors import DatasetError, DetectionCancelled, EngineError, ImageError, ModelError
from MedLandmarkLib.image import Calibration, Image, read_image
from MedLandmarkLib.image.display import Display, Window
from MedLandmarkLib.models import store
from MedLandmarkLib.scheme import load_scheme, own_scheme, write_scheme

TESTING = Path(__file__).resolve().parent
POINTS = {"beak": (10.0, 20.5), "eye": (30.25, 12.0)}
PATIENCE_S = 120.0


def an_image(seed: int = 0, spacing: float | None = None, **more: Any) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (1, 1, 80, 60, 1), dtype=np.uint8)
    if spacing is None:
        return Image(pixels, np.eye(4), Calibration("none", "the test"), **more)
    matrix = np.diag((-spacing, -spacing, 1.0, 1.0))
    return Image(pixels, matrix, Calibration("calibrated", "the test", (spacing, spacing)), **more)


@pytest.fixture
def a_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        write_picture(folder / f"p{number}.png", seed=number)
    (folder / "p2.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def a_teacher(monkeypatch: pytest.MonkeyPatch) -> TeachDouble:
    double = TeachDouble()
    put_in_place(double, monkeypatch.setitem)
    return double


class Told(JobContext):
    """What a job reported; it is asked to stop once `stop_at` of it is done."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.said: list[tuple] = []
        super().__init__(lambda *news: self.said.append(news), lambda: bool(self.said) and self.said[-1][0] >= stop_at)


def fields(pictures: Path, **changes: Any) -> dict[str, Any]:
    template = {"image": str(pictures / "p0.png"), "points": {name: list(xy) for name, xy in POINTS.items()}}
    asked = {"model_id": "bird", "templates": [template], "images": [str(pictures)], "names": list(POINTS)}
    return TeachJob.from_fields(asked | changes).to_fields()


# --- the job ---


def test_a_teaching_ends_with_an_installed_model_and_says_what_it_did(a_teacher, a_folder, a_home) -> None:
    told = Told()
    result = teach_job(DetectorShelf(), fields(a_folder), told)
    assert result | {"folder": ""} == {
        "model_id": "bird", "scheme": "bird", "folder": "", "remarks": [], "estimate": 1.25, "unit": "px",
        "complete": True, "set_aside": [{"name": "p2.png", "reason": result["set_aside"][0]["reason"]}],
    }  # fmt: skip
    assert Path(result["folder"]) == a_home / "models" / "bird"
    assert load_scheme("bird").names == tuple(POINTS)
    assert store.model_card("bird").schemes.keys() == {"bird"}
    assert a_teacher.folder == a_home / "runs" / "bird"
    np.testing.assert_array_equal(a_teacher.request.templates[0].picture_xy, list(POINTS.values()))
    details = [news[2] for news in told.said if len(news) == 3]
    assert details[0] == {"phase": "instant", "estimate": None, "unit": "px"}
    assert details[-1] == {"phase": "fusion", "estimate": 1.25, "unit": "px"}
    fractions = [news[0] for news in told.said]
    assert fractions == sorted(fractions)


def test_the_same_request_again_replaces_its_own_model_and_no_other(a_teacher, a_folder, a_home, tmp_path) -> None:
    teach_job(DetectorShelf(), fields(a_folder), Told())
    teach_job(DetectorShelf(), fields(a_folder), Told())
    scheme, content = own_scheme(("x",), "fish")
    write_scheme(content, write_model(tmp_path / "fish", "fish", scheme.id, 1) / "scheme.json")
    store.import_model([tmp_path / "fish"])
    with pytest.raises(ModelError, match="There is a model 'fish' already"):
        teach_job(DetectorShelf(), fields(a_folder, model_id="fish"), Told())
    with pytest.raises(ModelError, match="There is a model 'lite' already"):
        teach_job(DetectorShelf(), fields(a_folder, model_id="lite"), Told())


def test_a_model_need_not_be_installed(a_teacher, a_folder, a_home, tmp_path) -> None:
    result = teach_job(DetectorShelf(), fields(a_folder, install=False, folder=str(tmp_path / "run")), Told())
    assert Path(result["folder"]) == tmp_path / "run" / "model"
    assert (tmp_path / "run" / "model" / "scheme.json").is_file()
    assert not (a_home / "models").exists()


def test_a_shipped_scheme_stays_the_shipped_one(a_teacher, a_folder, a_home) -> None:
    template = {"image": str(a_folder / "p0.png"), "points": {"Sella": [1, 2]}}
    result = teach_job(DetectorShelf(), fields(a_folder, names=None, scheme="head-19", templates=[template]), Told())
    assert result["scheme"] == "head-19"
    assert not (a_home / "models" / "bird" / "scheme.json").exists()
    assert a_teacher.request.taught == ("Sella",)


def test_a_cancel_keeps_the_best_model_where_there_is_one(a_teacher, a_folder, a_home) -> None:
    context = Told(stop_at=0.7)
    result = teach_job(DetectorShelf(), fields(a_folder), context)
    assert result["complete"] is False
    assert context.keeps_result
    assert store.model_card("bird").id == "bird"
    with pytest.raises(DetectionCancelled):
        teach_job(DetectorShelf(), fields(a_folder, model_id="other"), Told(stop_at=0.1))
    assert not (a_home / "models" / "other").exists()


def test_the_model_of_a_teaching_that_was_killed_is_still_kept(a_teacher, a_folder, a_home) -> None:
    with pytest.raises(DetectionCancelled):
        keep_job(DetectorShelf(), {"model_id": "bird"}, Told())
    teach_job(DetectorShelf(), fields(a_folder), Told())
    store.delete_model("bird")
    kept = keep_job(DetectorShelf(), {"model_id": "bird"}, Told())
    assert (kept["model_id"], kept["scheme"], kept["complete"]) == ("bird", "bird", False)
    assert load_scheme("bird").names == tuple(POINTS)


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "an unknown field": ({"colour": 1}, EngineError, "colour"),
    "both scheme and names": ({"scheme": "head-19"}, EngineError, "names instead"),
    "a point that is none": (
        {"templates": [{"image": "a.png", "points": {"beak": [1]}}]}, EngineError, "an image with its points"
    ),
    "a method": ({"method": "magic"}, DatasetError, "magic"),
    "an id": ({"model_id": "../x"}, ModelError, "cannot be a model's id"),
    "no landmark": ({"templates": [{"image": "a.png", "points": {}}]}, DatasetError, "no annotated landmark"),
    "no template": ({"templates": []}, DatasetError, "annotate"),
    "an empty place": ({"images": []}, DatasetError, "no unannotated image"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_is_refused(what: str, a_teacher, a_folder: Path) -> None:
    changes, kind, message = WRONG[what]
    asked = {key: value for key, value in fields(a_folder).items() if value is not None}
    with pytest.raises((kind, DatasetError), match=message):
        teach_job(DetectorShelf(), asked | changes, Told())
    assert a_teacher.request is None


def test_a_landmark_that_the_scheme_lacks_is_refused(a_teacher, a_folder: Path) -> None:
    from MedLandmarkLib.errors import SchemeError

    with pytest.raises(SchemeError, match="has no landmark 'beak'"):
        teach_job(DetectorShelf(), fields(a_folder, names=None, scheme="head-19"), Told())


def test_the_image_to_annotate_is_proposed_also_among_those_of_a_scene(a_teacher, a_folder, tmp_path) -> None:
    images = [("the long name of a node", an_image()), ("b", an_image(1))]
    pixel_file = tmp_path / "pixels.npy"
    write_all_pixels(images, pixel_file, lambda: False)
    sent = [str(a_folder), *pictures_fields(images, pixel_file)]
    result = propose_job({"images": sent, "count": 2}, Told())
    first, second = result["proposals"]
    assert (first["name"], first["number"], first["path"]) == ("the long name of a node", 1, None)
    assert (second["name"], second["number"], second["path"]) == ("p0.png", None, str(a_folder / "p0.png"))
    assert [item["name"] for item in result["set_aside"]] == ["p2.png"]


# --- pixels ---


def test_images_of_a_scene_become_files_with_the_same_picture_and_pixel_size(tmp_path: Path) -> None:
    colour = np.random.default_rng(3).integers(0, 256, (1, 1, 30, 40, 3), dtype=np.uint8)
    deep = (np.arange(2400).reshape(1, 1, 60, 40, 1) * 20).astype(np.uint16)
    none = Calibration("none", "the test")
    images = [
        ("plain", an_image(0)),
        ("plain", an_image(1, spacing=0.25)),
        ("a/b: ü", Image(colour, np.eye(4), none)),
        ("deep", Image(deep, np.eye(4), none, display=Display(Window(20000, 30000), inverted=True))),
    ]
    pixel_file = tmp_path / "pixels.npy"
    write_all_pixels(images, pixel_file, lambda: False)
    files = write_pictures(pictures_fields(images, pixel_file), tmp_path / "out")
    assert len({path.name.casefold() for path in files.values()}) == 4
    for number, (_name, image) in enumerate(images):
        read = read_image(files[number])
        np.testing.assert_array_equal(read.display_rgb(), image.display_rgb())
        assert read.calibration.spacing_mm == image.calibration.spacing_mm
    before = {path: path.stat().st_mtime_ns for path in files.values()}
    time.sleep(0.01)
    write_pictures(pictures_fields(images, pixel_file), tmp_path / "out")
    assert {path: path.stat().st_mtime_ns for path in files.values()} == before, "what is the same is left alone"


def test_a_volume_of_the_scene_and_a_lost_pixel_file_are_refused(tmp_path: Path) -> None:
    pixel_file = tmp_path / "pixels.npy"
    volume = Image(np.zeros((1, 4, 30, 40, 1), np.uint8), np.eye(4), Calibration("none", "x"))
    write_all_pixels([("brain", volume)], pixel_file, lambda: False)
    with pytest.raises(DatasetError, match="'brain' is a volume"):
        write_pictures(pictures_fields([("brain", volume)], pixel_file), tmp_path / "out")
    pixel_file.write_bytes(pixel_file.read_bytes()[:500])
    with pytest.raises(ImageError, match="cannot be read"):
        write_pictures(pictures_fields([("a", an_image())], pixel_file), tmp_path / "out")


# --- with a worker ---


class Watched:
    """A client of a worker with a stand-in for the teaching, and all that its signals said."""

    def __init__(self, step_s: float) -> None:
        path = os.pathsep.join((str(TESTING.parent), str(TESTING)))
        environment = {**os.environ, "MEDLANDMARK_TEST_STEP_S": str(step_s), "PYTHONPATH": path}
        self.client = TeachClient(sys.executable, [str(TESTING / "teaching_worker.py")], environment)
        self.said: list[tuple] = []
        for name in ("progress", "detailed", "finished", "failed", "cancelled", "stopped"):
            getattr(self.client, name).connect(lambda *values, name=name: self.said.append((name, *values)))

    def of(self, name: str) -> list[tuple]:
        return [news[1:] for news in self.said if news[0] == name]

    def poll_until(self, condition: Callable[[], object]) -> float:
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < PATIENCE_S, self.said
            self.client.poll()
            time.sleep(0.005)
        return time.monotonic() - began

    def has_reached(self, fraction: float) -> bool:
        return any(news[1] >= fraction for news in self.of("progress"))

    def wait_for_the_end(self) -> None:
        self.poll_until(lambda: not self.client.is_busy)


@pytest.fixture
def make_client() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(step_s: float = 0.02) -> Watched:
        made.append(Watched(step_s))
        return made[-1]

    yield make
    for watched in made:
        watched.client.stop()


def test_images_of_a_scene_are_taught_and_the_model_detects(make_client, a_home: Path, a_folder: Path) -> None:
    watched = make_client()
    job = watched.client.teach(
        [(("ceph", an_image(0, 0.1)), POINTS)], [str(a_folder), ("other", an_image(1))], "bird", names=tuple(POINTS)
    )
    watched.wait_for_the_end()
    ((ended, result),) = watched.of("finished")
    assert ended == job
    assert result["complete"] is True
    assert [item["name"] for item in result["set_aside"]] == ["p2.png"]
    details = [news[1] for news in watched.of("detailed")]
    assert details[-1]["unit"] == "px" and details[-1]["estimate"] < 2
    detection = watched.client.detect(str(a_folder / "p1.png"), "bird", "bird", device="cpu")
    watched.wait_for_the_end()
    assert watched.of("finished")[-1][0] == detection, watched.said[-1]
    assert [item["name"] for item in watched.of("finished")[-1][1]["frames"][0]["landmarks"]] == list(POINTS)


def test_the_file_that_an_annotated_image_was_loaded_from_is_not_learned_from_again(a_teacher, a_folder, tmp_path):
    images = [("ceph", read_image(a_folder / "p0.png"))]
    pixel_file = tmp_path / "pixels.npy"
    write_all_pixels(images, pixel_file, lambda: False)
    template = {"image": pictures_fields(images, pixel_file)[0], "points": {"beak": [1, 2]}}
    teach_job(DetectorShelf(), fields(a_folder, templates=[template]), Told())
    assert sorted(path.name for path in a_teacher.request.image_paths) == ["p1.png", "p2.png", "p3.png"]


def test_a_cancel_brings_the_best_so_far_and_none_before_there_is_one(make_client, a_home, a_folder) -> None:
    watched = make_client(0.15)
    annotated = [(str(a_folder / "p0.png"), POINTS)]
    job = watched.client.teach(annotated, [str(a_folder)], "bird", names=tuple(POINTS))
    watched.poll_until(lambda: watched.has_reached(0.6))
    watched.client.cancel(job)
    watched.wait_for_the_end()
    ((_job, result),) = watched.of("finished")
    assert result["complete"] is False
    assert store.model_card("bird").id == "bird"
    watched.said.clear()
    job = watched.client.teach(annotated, [str(a_folder)], "early", names=tuple(POINTS))
    watched.poll_until(lambda: watched.of("detailed"))
    watched.client.cancel(job)
    assert watched.poll_until(lambda: not watched.client.is_busy) < 1.0
    assert watched.of("cancelled") == [(job,)]
    assert not (a_home / "models" / "early").exists()


def test_a_second_cancel_waits_for_nothing(make_client, a_home: Path, a_folder: Path) -> None:
    watched = make_client(30.0)
    job = watched.client.teach([(str(a_folder / "p0.png"), POINTS)], [str(a_folder)], "bird", names=tuple(POINTS))
    watched.poll_until(lambda: watched.of("detailed"))
    watched.client.cancel(job)
    for _ in range(20):
        watched.client.poll()
    assert watched.client.is_busy, "it may still bring its best"
    watched.client.cancel(job)
    assert watched.poll_until(lambda: not watched.client.is_busy) < 1.0
    assert watched.of("cancelled") == [(job,)]


def test_progress_with_details_goes_through_the_protocol() -> None:
    news = Progress(3, 0.5, "text", {"phase": "fusion", "estimate": None, "unit": "mm"})
    assert decode(encode(news)) == news
    assert decode(encode(Progress(3, 0.5, "text"))).details == {}
    with pytest.raises(EngineError):
        decode(b'{"type":"progress","id":1,"fraction":0.5,"text":"t","details":[1]}\n')
