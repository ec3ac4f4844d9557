"""Files that are no model, or not this one: refused by name, and nothing stays behind."""

from __future__ import annotations

import errno
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from model_files import BASE, EVEN_BASE, HEAD, UNIVERSAL, AlteredFile, ReferenceImport, everything_in

from MedLandmarkLib.errors import MedLandmarkError, ModelError
from MedLandmarkLib.models import folder as folder_module
from MedLandmarkLib.models import importing, store
from MedLandmarkLib.models.folder import models_folder


def _lost(name: str) -> Callable[[dict], dict]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def _reshaped(name: str, shape: tuple[int, ...]) -> Callable[[dict], dict]:
    return lambda tensors: {**tensors, name: torch.zeros(shape)}


QKV = "backbone.module.layers.1.attn.qkv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_lost("head.conv_layers.3.bias"), r"1 of \d+ tensors are missing: head\.conv_layers\.3\.bias"),
        (_lost("head.final_layer.weight"), r"head\.final_layer\.weight' is missing"),
        (_lost(f"{QKV}.lora_up.weight"), r"lora_up\.weight"),
        (lambda t: _lost(f"{QKV}.lora_up.weight")(_lost(f"{QKV}.lora_down.weight")(t)), "2 tensors are missing"),
        (_reshaped(f"{QKV}.lora_up.weight", (100, 4)), r"\(100, 4\).*another base"),
        (_reshaped(f"{QKV}.lora_down.weight", (4, 128)), r"\(4, 128\).*another base"),
        (_reshaped("head.deconv_layers.0.weight", (32, 48, 4, 4)), r"\(32, 48, 4, 4\).*\(64, 48, 4, 4\)"),
        (_reshaped("head.final_layer.bias", (7,)), r"final_layer\.bias.*\(7,\).*\(19,\)"),
        (lambda t: {**t, "head.extra.weight": torch.zeros(1)}, r"no place.*head\.extra\.weight"),
        (lambda t: {k: v for k, v in t.items() if not k.startswith("head.")}, "no heatmap head"),
        (lambda t: {k: v for k, v in t.items() if k.startswith("head.")}, "neither LoRA"),
        (lambda t: {f"x.{k}": v for k, v in t.items() if "lora" not in k}, "not those of a Sapiens network"),
        (_reshaped("head.final_layer.weight", (19, 48)), r"\(19, 48\).*4 dimensions"),
        (lambda t: {**t, "head.final_layer.bias": torch.full((19,), float("nan"))}, "not numbers"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name_and_leaves_nothing(
    an_import: ReferenceImport, an_altered_file: AlteredFile, change: Callable, message: str, a_home: Path
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        an_import(an_altered_file(HEAD, change))
    assert str(caught.value).startswith("altered.pth")
    assert everything_in(a_home) <= {"models"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_lost("layers.2.ln2.bias"), r"1 of \d+ tensors are missing: backbone\.layers\.2\.ln2\.bias"),
        (_reshaped("layers.0.attn.proj.weight", (64, 32)), r"layers\.0\.attn\.proj\.weight.*\(64, 32\).*\(64, 64\)"),
        (_reshaped("pos_embed", (1, 4000, 64)), r"pos_embed.*\(1, 4000, 64\).*4096"),
        (lambda t: {k: v for k, v in t.items() if not k.startswith("layers.1.")}, r"layers \[0, 2\]"),
        (lambda t: {**t, "layers.0.ln3.weight": torch.zeros(1)}, r"no place.*ln3"),
    ],
)
def test_a_base_that_does_not_fit_is_refused_by_name(
    an_import: ReferenceImport, an_altered_file: AlteredFile, change: Callable, message: str, a_home: Path
) -> None:
    path = an_altered_file(BASE, change, "strange_base.pth")
    with pytest.raises(ModelError, match=message) as caught:
        an_import(HEAD, base=path)
    assert "strange_base.pth" in str(caught.value)
    assert everything_in(a_home) <= {"models"}


def test_an_adapter_without_a_base_says_how_to_get_one(an_import: ReferenceImport) -> None:
    with pytest.raises(ModelError, match=r"models download sapiens-0\.3b --accept-license.*--base"):
        an_import(HEAD, base=None)


def test_a_checkpoint_given_as_base_is_told_apart(an_import: ReferenceImport) -> None:
    with pytest.raises(ModelError, match="no base but an adapter"):
        an_import(HEAD, base=UNIVERSAL)
    with pytest.raises(ModelError, match="both bases"):
        an_import(HEAD, EVEN_BASE, base=BASE)


def test_heads_that_nobody_stated_are_asked_for(an_import: ReferenceImport) -> None:
    with pytest.raises(ModelError, match=r"--architecture"):
        an_import(HEAD, architecture=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[4]", "no JSON object"),
        ('{"head": 4}', "head is not understood"),
        ('{"heads": 5}', "5 attention heads"),
        ('{"heads": "4"}', "'heads' is '4'"),
        ('{"heads": 4, "input_size_wh": [768]}', "input_size_wh"),
    ],
)
def test_a_wrong_architecture_file_is_explained(
    an_import: ReferenceImport, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        an_import(HEAD, architecture=path)


@pytest.mark.parametrize(("name", "scheme"), [(HEAD, "hand-37"), (UNIVERSAL, "head-19")])
def test_a_scheme_with_another_number_of_landmarks_is_refused(
    an_import: ReferenceImport, name: str, scheme: str
) -> None:
    with pytest.raises(ModelError, match=rf"\d+ channels, but scheme '{scheme}' has \d+ landmarks"):
        an_import(name, scheme=scheme)


def test_an_unknown_scheme_is_refused(an_import: ReferenceImport) -> None:
    with pytest.raises(MedLandmarkError, match="no-such-scheme"):
        an_import(HEAD, scheme="no-such-scheme")


def test_files_of_another_size_need_a_name(an_import: ReferenceImport) -> None:
    with pytest.raises(ModelError, match="--id NAME"):
        an_import(HEAD, model_id=None)
    with pytest.raises(ModelError, match="--id NAME"):
        an_import(BASE, model_id=None, base=None)


def test_two_models_of_one_name_are_not_imported_together(an_import: ReferenceImport) -> None:
    with pytest.raises(ModelError, match="both become 'tiny-head'"):
        an_import(HEAD, HEAD)


PATHS = ["../evil", "a/b", "a\\b", "", ".", "..", ".hidden", "a."]
NOT_FOLDER_NAMES = [*PATHS, "Upper", "x" * 65, "bases", "downloads", "con", "nul.x", "a b", "é"]


@pytest.mark.parametrize("model_id", NOT_FOLDER_NAMES)
def test_an_id_that_is_no_folder_name_is_refused_everywhere(
    an_import: ReferenceImport, model_id: str, a_home: Path
) -> None:
    with pytest.raises(ModelError, match="cannot be a model's id"):
        an_import(HEAD, model_id=model_id)
    for function in (store.load_model, store.delete_model, store.verify_model, store.find_model):
        with pytest.raises(ModelError, match="cannot be a model's id"):
            function(model_id)
    assert not a_home.exists()


def test_a_taken_id_is_kept_unless_forced(an_import: ReferenceImport) -> None:
    (first,) = an_import(HEAD)
    with pytest.raises(ModelError, match=r"already installed.*--force"):
        an_import(UNIVERSAL)
    assert store.load_model("tiny").sha256 == first.sha256
    (second,) = an_import(UNIVERSAL, force=True)
    assert store.load_model("tiny").sha256 == second.sha256 != first.sha256


def test_replacing_a_model_keeps_the_base_that_it_and_others_use(an_import: ReferenceImport) -> None:
    an_import(HEAD)
    an_import(HEAD, force=True)
    assert store.load_model("tiny")
    an_import(BASE, model_id="sapiens-0.3b", base=None, force=True)
    an_import(EVEN_BASE, model_id="sapiens-0.3b", base=None, force=True)
    assert store.load_model("tiny")
    an_import(HEAD, base=EVEN_BASE, force=True)
    assert len(list((models_folder() / "bases").iterdir())) == 1, "the base that nobody uses any more is gone"


def test_what_a_killed_import_left_is_removed_a_day_later(an_import: ReferenceImport) -> None:
    old, fresh = models_folder() / ".staging-old", models_folder() / ".staging-fresh"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    an_import(HEAD)
    assert not old.exists()
    assert fresh.exists()


@pytest.mark.parametrize("model_id", ["base.safetensors", "models", "model.safetensors"])
def test_an_id_that_sounds_like_a_file_is_only_a_name(an_import: ReferenceImport, model_id: str) -> None:
    an_import(HEAD, model_id=model_id)
    assert store.load_model(model_id).card.id == model_id


def test_a_member_of_an_archive_is_named_as_the_user_knows_it(an_import: ReferenceImport, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("head/best.pth", b"<html>quota")
    with pytest.raises(ModelError, match=r"c\.zip/head/best\.pth is a web page"):
        an_import(tmp_path / "c.zip")


def test_a_full_disk_is_explained_and_nothing_is_half_installed(
    an_import: ReferenceImport, monkeypatch: pytest.MonkeyPatch, a_home: Path
) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(importing, "write_tensors", full)
        with pytest.raises(ModelError, match="No room left"):
            an_import(HEAD)
    nearly_full = shutil.disk_usage(a_home.parent)._replace(free=1000)
    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda _: nearly_full)
    with pytest.raises(ModelError, match=r"are needed in .* 0\.00 GB are free"):
        an_import(HEAD)
    assert everything_in(a_home) <= {"models"}


def test_a_home_that_cannot_be_written_is_explained(
    an_import: ReferenceImport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("MEDLANDMARK_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"Cannot write in .*MEDLANDMARK_HOME"):
        an_import(HEAD)
