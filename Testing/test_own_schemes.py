"""Landmarks that a user thought of: their scheme, how it is known, and how it travels with its model."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from doubles import write_picture
from teaching_doubles import write_model
from typer.testing import CliRunner

from MedLandmarkLib.cli import app
from MedLandmarkLib.detection import LandmarkDetector
from MedLandmarkLib.errors import ModelError, SchemeError
from MedLandmarkLib.image import read_image
from MedLandmarkLib.models import store
from MedLandmarkLib.models.folder import is_model_folder, models_folder
from MedLandmarkLib.models.own_scheme import keep_scheme, scheme_known_to
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.scheme import list_schemes, load_scheme, own_scheme, write_scheme

NAMES = ("tip of the beak", "Auge", "尾")


@pytest.fixture
def a_model_folder(tmp_path: Path) -> Path:
    """A model of three landmarks that nobody else knows, as a teaching leaves it."""
    scheme, content = own_scheme(NAMES, "bird")
    folder = write_model(tmp_path / "run" / "model", "bird", scheme.id, len(scheme))
    write_scheme(content, folder / "scheme.json")
    return folder


@pytest.fixture
def a_zip(a_model_folder: Path, tmp_path: Path) -> Path:
    return zipped(tmp_path / "bird.zip", {f"bird/{path.name}": path.read_bytes() for path in a_model_folder.iterdir()})


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# --- the scheme ---


def test_a_scheme_of_names_obeys_the_json_schema_and_claims_nothing() -> None:
    scheme, content = own_scheme(NAMES, "My Bird_1")
    schema = json.loads(resource_path("Scheme-schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(content)
    assert scheme.id == "my-bird-1"
    assert scheme.names == NAMES
    assert scheme.measurements == ()
    assert {landmark.definition for landmark in scheme.landmarks} == {"As annotated in the template."}
    assert "No source" in scheme.sdr_reason


@pytest.mark.parametrize("names", [("a", "a"), ("",), (" a",), ("a\nb",), ("x" * 201,), ()])
def test_names_that_cannot_be_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(SchemeError):
        own_scheme(names, "mine")


def test_an_id_without_letters_is_refused() -> None:
    with pytest.raises(SchemeError, match="no letter or digit"):
        own_scheme(NAMES, "---")


def test_a_scheme_that_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    scheme, content = own_scheme(NAMES, "bird")
    written = write_scheme(content, tmp_path / "scheme.json")
    assert load_scheme(tmp_path / "scheme.json") == written
    assert written.names == scheme.names
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["scheme.json"]


# --- where it is known ---


def test_the_scheme_of_an_installed_model_is_known_by_its_id_until_the_model_goes(a_model_folder: Path) -> None:
    with pytest.raises(SchemeError, match="no scheme 'bird'"):
        load_scheme("bird")
    store.import_model([a_model_folder])
    assert load_scheme("bird").names == NAMES
    assert [scheme.id for scheme in list_schemes()].count("bird") == 1
    with pytest.raises(SchemeError, match=r"did you mean 'bird'.*Of installed models: bird"):
        load_scheme("birt")
    store.delete_model("bird")
    assert "bird" not in [scheme.id for scheme in list_schemes()]


def test_a_shipped_scheme_is_never_replaced(a_home: Path) -> None:
    shipped = load_scheme("a4c-4")
    _scheme, content = own_scheme(NAMES, "a4c-4")
    (a_home / "models" / "rogue").mkdir(parents=True)
    write_scheme(content, a_home / "models" / "rogue" / "scheme.json")
    assert load_scheme("a4c-4") == shipped
    assert len([scheme for scheme in list_schemes() if scheme.id == "a4c-4"]) == 1


def test_a_damaged_scheme_of_one_model_hides_no_other(a_model_folder: Path, a_home: Path) -> None:
    store.import_model([a_model_folder])
    (a_home / "models" / "broken").mkdir()
    (a_home / "models" / "broken" / "scheme.json").write_text("{", encoding="utf-8")
    assert load_scheme("bird").names == NAMES


def test_a_model_folder_given_by_its_path_brings_its_scheme(a_model_folder: Path, tmp_path: Path) -> None:
    assert scheme_known_to("bird", str(a_model_folder)).names == NAMES
    detector = LandmarkDetector("bird", str(a_model_folder), device="cpu")
    found = detector.detect(read_image(write_picture(tmp_path / "a.png")))
    assert found.frames[0].landmarks.names == NAMES
    with pytest.raises(SchemeError):
        scheme_known_to("fish", str(a_model_folder))


def test_the_command_lists_and_detects_the_users_own_landmarks(a_model_folder: Path, tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.png")
    by_path = ("detect", picture, "--scheme", "bird", "--model", a_model_folder, "--output", tmp_path / "one")
    assert invoke(*by_path).exit_code == 0
    assert invoke("models", "import", a_model_folder).exit_code == 0
    assert "bird" in invoke("schemes", "list").stdout
    assert NAMES[0] in invoke("schemes", "show", "bird").stdout
    assert invoke("detect", picture, "--scheme", "bird", "--output", tmp_path / "two").exit_code == 0
    written = [json.loads((tmp_path / name / "a.landmarks.json").read_text("utf-8")) for name in ("one", "two")]
    assert [[item["name"] for item in one["frames"][0]["landmarks"]] for one in written] == [list(NAMES)] * 2
    np.testing.assert_array_equal(*[[item["ijk"] for item in one["frames"][0]["landmarks"]] for one in written])


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_shipped_scheme_is_not_copied_beside_a_model(tmp_path: Path) -> None:
    keep_scheme(tmp_path, load_scheme("a4c-4"))
    assert list(tmp_path.glob("scheme.json")) == []


# --- sharing a model ---


def test_a_zip_of_a_model_is_installed_whole(a_zip: Path, a_model_folder: Path) -> None:
    assert is_model_folder(a_zip)
    (card,) = store.import_model([a_zip])
    assert card.id == "bird"
    installed = models_folder() / "bird"
    assert {path.name for path in installed.iterdir()} == {"card.json", "model.safetensors", "scheme.json"}
    weights = "model.safetensors"
    assert (installed / weights).read_bytes() == (a_model_folder / weights).read_bytes()
    assert all(check.is_right for check in store.verify_model("bird"))


def test_the_card_alone_stands_for_its_folder_and_another_id_may_be_given(a_model_folder: Path) -> None:
    (card,) = store.import_model([a_model_folder / "card.json"], "robin")
    assert card.id == "robin"
    assert json.loads((models_folder() / "robin" / "card.json").read_text("utf-8"))["id"] == "robin"


def test_nothing_but_the_parts_of_a_model_is_taken(a_model_folder: Path) -> None:
    (a_model_folder / "notes.txt").write_text("private", encoding="utf-8")
    (a_model_folder / "run.sh").write_text("#!/bin/sh", encoding="utf-8")
    (a_model_folder / "samples").mkdir()
    store.import_model([a_model_folder])
    names = {path.name for path in (models_folder() / "bird").iterdir()}
    assert names == {"card.json", "model.safetensors", "scheme.json"}


def test_an_installed_model_is_replaced_only_when_asked(a_zip: Path) -> None:
    store.import_model([a_zip])
    with pytest.raises(ModelError, match="already installed"):
        store.import_model([a_zip])
    store.import_model([a_zip], force=True)
    assert load_scheme("bird").names == NAMES


def test_a_model_cannot_take_the_place_of_the_embedded_one(a_zip: Path) -> None:
    with pytest.raises(ModelError, match="part of MedLandmark"):
        store.import_model([a_zip], "lite", force=True)


def test_two_models_may_not_mean_other_landmarks_by_one_id(a_model_folder: Path, tmp_path: Path) -> None:
    store.import_model([a_model_folder])
    _scheme, content = own_scheme(("x", "y", "z"), "bird")
    other = tmp_path / "other"
    shutil.copytree(a_model_folder, other)
    write_scheme(content, other / "scheme.json")
    with pytest.raises(ModelError, match="other landmarks than the scheme of the installed model 'bird'"):
        store.import_model([other], "raven")
    assert load_scheme("bird").names == NAMES


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "card.json").write_text(json.dumps(card | changes), encoding="utf-8")


def spoil_weights(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 255
    (folder / "model.safetensors").write_bytes(data)


def name_weights_elsewhere(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["weights"]["file"] = "../../bird.safetensors"
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


def take_a_shipped_id(folder: Path) -> None:
    write_scheme(own_scheme(NAMES, "a4c-4")[1], folder / "scheme.json")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no scheme": (lambda folder: (folder / "scheme.json").unlink(), "neither ships with MedLandmark nor lies beside"),
    "a damaged scheme": (lambda folder: (folder / "scheme.json").write_text("{"), "its scheme cannot be used"),
    "a scheme by a shipped id": (take_a_shipped_id, "is that of a scheme of MedLandmark"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "is not in it; give the whole folder"),
    "changed weights": (spoil_weights, "not the file that its card tells of"),
    "weights elsewhere": (name_weights_elsewhere, "not beside the card"),
    "a damaged card": (lambda folder: (folder / "card.json").write_text("{"), "cannot be read"),
    "another network": (lambda folder: change_card(folder, architecture={"keypoints": 9}), "do not fit"),
    "an unknown family": (lambda folder: change_card(folder, family="magic"), "family 'magic'"),
    "other channels": (
        lambda folder: change_card(folder, schemes={"bird": {"first": 0, "stop": 2}}), "2 channels for scheme 'bird'"
    ),
    "an id that leads away": (lambda folder: change_card(folder, id="../evil"), "cannot be a model's id"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_model_is_named_and_leaves_nothing_behind(fault: str, a_model_folder: Path) -> None:
    spoil, message = FAULTS[fault]
    spoil(a_model_folder)
    with pytest.raises(ModelError, match=message):
        store.import_model([a_model_folder])
    assert not models_folder().exists() or list(models_folder().iterdir()) == []


@pytest.mark.parametrize("name", ["../evil.safetensors", "/etc/evil", "bird/../../evil", "C:\\evil", "bird\\..\\..\\x"])
def test_an_archive_that_leads_outside_is_not_unpacked(name: str, a_model_folder: Path, tmp_path: Path) -> None:
    members = {f"bird/{path.name}": path.read_bytes() for path in a_model_folder.iterdir()}
    with pytest.raises(ModelError, match="leads outside the archive"):
        store.import_model([zipped(tmp_path / "evil.zip", members | {name: b"x"})])
    assert not list(tmp_path.rglob("*evil*"))[1:]
    assert not models_folder().exists()


def test_an_archive_with_a_link_is_not_unpacked(a_zip: Path) -> None:
    link = zipfile.ZipInfo("bird/model.safetensors.lnk")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(a_zip, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelError, match="leads outside"):
        store.import_model([a_zip])


def test_an_archive_that_grows_out_of_proportion_is_not_unpacked(a_model_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(a_model_folder / "card.json", "card.json")
        archive.writestr("model.safetensors", bytes(20_000_000))
    with pytest.raises(ModelError, match="would grow"):
        store.import_model([path])


def test_a_truncated_archive_is_named(a_zip: Path) -> None:
    a_zip.write_bytes(a_zip.read_bytes()[:-3000])
    with pytest.raises(ModelError, match=r"bird\.zip"):
        store.import_model([a_zip])


def test_two_models_in_one_archive_are_refused(a_model_folder: Path, tmp_path: Path) -> None:
    card = (a_model_folder / "card.json").read_bytes()
    with pytest.raises(ModelError, match="holds 2 models"):
        store.import_model([zipped(tmp_path / "two.zip", {"a/card.json": card, "b/card.json": card})])


def test_a_model_folder_is_imported_by_itself(a_model_folder: Path) -> None:
    with pytest.raises(ModelError, match="by itself"):
        store.import_model([a_model_folder], scheme="bird")
