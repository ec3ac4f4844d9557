"""Listing, verifying and deleting models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from model_files import BASE, HEAD, UNIVERSAL, ReferenceImport, everything_in

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models import store
from MedLandmarkLib.models.folder import base_path, models_folder


def test_what_is_installed_is_listed_and_what_is_not_says_how(an_import: ReferenceImport) -> None:
    an_import(HEAD)
    assert "tiny" in [card.id for card in store.installed_models()]
    assert "medsapiens" not in [card.id for card in store.installed_models()]
    assert {"tiny", "medsapiens"} <= {card.id for card in store.known_models()}
    with pytest.raises(ModelError, match="models download medsapiens --accept-license"):
        store.load_model("medsapiens")
    with pytest.raises(ModelError, match=r"no model 'nothing'.*tiny"):
        store.load_model("nothing")


def test_verify_finds_a_changed_byte_in_the_model_and_in_its_base(an_import: ReferenceImport) -> None:
    (card,) = an_import(HEAD)
    assert [check.is_right for check in store.verify_model("tiny")] == [True, True]
    for number, path in enumerate(
        (models_folder() / "tiny" / "model.safetensors", base_path(card.weights.base_sha256))
    ):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        checks = store.verify_model("tiny")
        assert not checks[number].is_right
        assert checks[number].path == path
    path.unlink()
    assert store.verify_model("tiny")[1].found is None
    with pytest.raises(ModelError, match=r"lost .*bases"):
        store.load_model("tiny")


def test_a_base_goes_with_the_last_model_that_needs_it(an_import: ReferenceImport) -> None:
    an_import(HEAD, model_id="one")
    an_import(UNIVERSAL, model_id="two")
    store.delete_model("one")
    assert store.load_model("two").card.id == "two"
    assert store.delete_model("two") > 1_000_000
    assert everything_in(models_folder()) == {"bases"}


def test_a_base_that_others_need_is_kept_unless_forced(an_import: ReferenceImport) -> None:
    an_import(BASE, model_id="sapiens-0.3b", base=None)
    an_import(HEAD, base=None)
    with pytest.raises(ModelError, match=r"needed by tiny.*--force"):
        store.delete_model("sapiens-0.3b")
    assert store.load_model("tiny")
    store.delete_model("sapiens-0.3b", force=True)
    with pytest.raises(ModelError, match="lost"):
        store.load_model("tiny")
    assert "tiny" not in [card.id for card in store.installed_models()]


def test_deleting_never_leaves_the_models_folder(an_import: ReferenceImport, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("x", encoding="utf-8")
    models_folder().mkdir(parents=True)
    os.symlink(precious, models_folder() / "link")
    store.delete_model("link")
    assert (precious / "thesis.txt").exists()
    assert not (models_folder() / "link").exists()
    with pytest.raises(ModelError, match="not installed"):
        store.delete_model("medsapiens")


def test_a_card_that_points_out_of_its_folder_is_refused(an_import: ReferenceImport, tmp_path: Path) -> None:
    an_import(HEAD)
    path = models_folder() / "tiny" / "card.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"model.safetensors"', '"../../x.safetensors"'), encoding="utf-8"
    )
    with pytest.raises(ModelError, match="not beside the card"):
        store.load_model("tiny")


def test_a_damaged_card_harms_no_other_model_and_can_be_deleted(an_import: ReferenceImport) -> None:
    an_import(HEAD)
    an_import(UNIVERSAL, model_id="other")
    (models_folder() / "tiny" / "card.json").write_text("{", encoding="utf-8")
    assert "other" in [card.id for card in store.installed_models()]
    assert list(store.damaged_models()) == ["tiny"]
    with pytest.raises(ModelError, match=r"card\.json"):
        store.load_model("tiny")
    store.delete_model("tiny")
    assert store.damaged_models() == {}


def test_stored_weights_that_do_not_fit_their_card_are_refused(an_import: ReferenceImport) -> None:
    an_import(HEAD)
    path = models_folder() / "tiny" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="damaged"):
        store.load_model("tiny")


def test_listing_models_needs_no_torch(a_home: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from MedLandmarkLib.models import store; store.known_models(); "
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    root = Path(__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


def test_without_a_home_models_lie_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLANDMARK_HOME")
    from platformdirs import user_data_dir

    assert models_folder() == Path(user_data_dir("MedLandmark", appauthor=False)) / "models"
