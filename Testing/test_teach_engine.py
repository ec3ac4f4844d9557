"""The engine's job of teaching: what the request says, what comes back, and what a cancel leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from teach_inputs import POINTS, a_folder, an_image
from teaching_doubles import write_model

from MedLandmarkLib.engine.detector_shelf import DetectorShelf
from MedLandmarkLib.engine.jobs import JobContext
from MedLandmarkLib.engine.pictures_exchange import pictures_fields, write_all_pixels
from MedLandmarkLib.engine.teach_jobs import keep_job, propose_job, teach_job
from MedLandmarkLib.engine.teach_request import TeachJob
from MedLandmarkLib.errors import DatasetError, DetectionCancelled, EngineError, ModelError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models import store
from MedLandmarkLib.scheme import load_scheme, own_scheme, write_scheme

__all__ = ["a_folder"]


class Told(JobContext):
    """What a job reported; it is asked to stop once `stop_at` of it is done."""

    def __init__(self, stop_at: float = 2.0) -> None:
        self.said: list[tuple] = []
        super().__init__(lambda *news: self.said.append(news), lambda: bool(self.said) and self.said[-1][0] >= stop_at)


def fields(pictures: Path, **changes: Any) -> dict[str, Any]:
    template = {"image": str(pictures / "p0.png"), "points": {name: list(xy) for name, xy in POINTS.items()}}
    asked = {"model_id": "bird", "templates": [template], "images": [str(pictures)], "names": list(POINTS)}
    return TeachJob.from_fields(asked | changes).to_fields()


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


def test_the_file_that_an_annotated_image_was_loaded_from_is_not_learned_from_again(a_teacher, a_folder, tmp_path):
    images = [("ceph", read_image(a_folder / "p0.png"))]
    pixel_file = tmp_path / "pixels.npy"
    write_all_pixels(images, pixel_file, lambda: False)
    template = {"image": pictures_fields(images, pixel_file)[0], "points": {"beak": [1, 2]}}
    teach_job(DetectorShelf(), fields(a_folder, templates=[template]), Told())
    assert sorted(path.name for path in a_teacher.request.image_paths) == ["p1.png", "p2.png", "p3.png"]


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
