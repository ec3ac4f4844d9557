"""Importing and loading models, with the small reference models as the user's files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from model_files import BASE, EVEN_BASE, HEAD, UNIVERSAL, AlteredFile, ReferenceImport
from safetensors.torch import save_file

from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models import importing, store
from MedLandmarkLib.models.checkpoint import read_tensors
from MedLandmarkLib.models.folder import file_sha256, models_folder
from MedLandmarkLib.resources import resource_path


@pytest.mark.parametrize(("name", "keypoints"), [(UNIVERSAL, 88), (HEAD, 19)])
@pytest.mark.parametrize("base", [BASE, EVEN_BASE])
def test_an_adapter_with_its_base_becomes_a_ready_network(
    an_import: ReferenceImport, the_weights: Path, name: str, keypoints: int, base: str
) -> None:
    (card,) = an_import(name, base=base)
    loaded = store.load_model("tiny")
    assert loaded.sha256 == card.sha256 == file_sha256(models_folder() / "tiny" / "model.safetensors")
    assert not loaded.network.training
    assert all(p.dtype == torch.float32 and not p.requires_grad and not p.is_meta for p in loaded.network.parameters())
    adapter, plain = read_tensors(the_weights / name), read_tensors(the_weights / base)
    place = "layers.1.attn.proj"
    down = adapter[f"backbone.module.{place}.lora_down.weight"]
    up = adapter[f"backbone.module.{place}.lora_up.weight"]
    merged = loaded.network.state_dict()[f"backbone.{place}.weight"]
    assert torch.allclose(merged, plain[f"{place}.weight"] + up @ down, atol=1e-6)
    assert not torch.allclose(merged, plain[f"{place}.weight"], atol=1e-3)
    assert loaded.network.state_dict()["head.final_layer.weight"].shape[0] == keypoints


@pytest.mark.parametrize("base", [BASE, EVEN_BASE])
def test_a_loaded_network_has_the_position_embeddings_that_the_reference_used(
    an_import: ReferenceImport, the_golden_folder: Path, base: str
) -> None:
    an_import(UNIVERSAL, base=base)
    positions = store.load_model("tiny").network.state_dict()["backbone.pos_embed"][0, ::24]
    recorded = np.load(the_golden_folder / "cases" / "intermediates_portrait_color8.npz")["pos_embed_in_use_s24"]
    assert np.abs(positions.numpy() - recorded).max() < 1e-6


def test_the_universal_model_answers_its_four_schemes(an_import: ReferenceImport) -> None:
    (card,) = an_import(UNIVERSAL)
    assert {scheme: (c.first, c.stop) for scheme, c in card.schemes.items()} == {
        "head-19": (0, 19),
        "chest-6": (19, 25),
        "hand-37": (25, 62),
        "leg-26": (62, 88),
    }
    assert card.input.size_wh == (768, 1024)
    assert card.input.heatmap_size_wh == (192, 256)


def test_the_folder_of_a_model_describes_itself(an_import: ReferenceImport) -> None:
    an_import(HEAD)
    data = json.loads((models_folder() / "tiny" / "card.json").read_text(encoding="utf-8"))
    schema = json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]}).validate(data)
    assert data["version"] == "best_EPE_epoch_200"
    assert data["architecture"]["heads"] == 4
    assert data["weights"]["imported_from"] == "best_EPE_epoch_200.pth"
    assert data["licence"]["spdx"] == "NOASSERTION", "the file does not say, so neither do we"


def test_the_identity_of_a_model_covers_its_base(an_import: ReferenceImport) -> None:
    (one,) = an_import(HEAD, model_id="one", base=BASE)
    (two,) = an_import(HEAD, model_id="two", base=EVEN_BASE)
    (again,) = an_import(HEAD, model_id="again", base=BASE)
    assert one.sha256 != two.sha256
    assert one.sha256 == again.sha256


def test_a_base_is_stored_once_for_all_its_models(an_import: ReferenceImport) -> None:
    an_import(HEAD, model_id="one")
    an_import(UNIVERSAL, model_id="two")
    assert len(list((models_folder() / "bases").iterdir())) == 1


def test_a_base_among_the_files_serves_the_others(an_import: ReferenceImport) -> None:
    cards = an_import(HEAD, BASE, base=None)
    assert [card.id for card in cards] == ["tiny"]
    assert store.load_model("tiny").card.schemes.keys() == {"head-19"}


def test_an_installed_base_serves_later_imports(an_import: ReferenceImport, monkeypatch: pytest.MonkeyPatch) -> None:
    an_import(BASE, model_id="sapiens-0.3b", base=None)
    an_import(HEAD, base=None)
    assert store.load_model("tiny").card.weights.base_sha256 == store.find_model("sapiens-0.3b").sha256
    with pytest.raises(ModelError, match="base: it detects nothing"):
        store.load_model("sapiens-0.3b")


def test_a_whole_checkpoint_needs_no_base(an_import: ReferenceImport, the_weights: Path, tmp_path: Path) -> None:
    an_import(HEAD, model_id="adapted")
    whole = store.load_model("adapted").network.state_dict()
    whole["backbone.pos_embed"] = read_tensors(the_weights / BASE)["pos_embed"]
    whole["backbone.cls_token"] = torch.zeros(1, 1, 64)
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in whole.items()}}, tmp_path / "whole.pth")
    an_import(tmp_path / "whole.pth", base=None)
    loaded = store.load_model("tiny").network.state_dict()
    assert all(
        torch.equal(loaded[name], tensor) for name, tensor in store.load_model("adapted").network.state_dict().items()
    )
    assert store.find_model("tiny").weights.base_sha256 is None


def test_safetensors_and_half_precision_are_taken_and_computed_in_float32(
    an_import: ReferenceImport, the_weights: Path, tmp_path: Path
) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        half = {name: tensor.to(dtype) for name, tensor in read_tensors(the_weights / HEAD).items()}
        save_file(half, tmp_path / f"{dtype}.safetensors")
        name = str(dtype).split(".")[1]
        an_import(tmp_path / f"{dtype}.safetensors", model_id=name)
        network = store.load_model(name).network
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
        assert torch.equal(network.state_dict()["head.final_layer.bias"], half["head.final_layer.bias"].float())


def test_an_archive_of_several_models_is_named_by_channels(
    an_import: ReferenceImport, the_weights: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "checkpoints.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(the_weights / UNIVERSAL, "some/where/best_EPE_epoch_199.pth")
        archive.write(the_weights / HEAD, "Kopf/best_EPE_epoch_190.pth")
    cards = an_import(tmp_path / "checkpoints.zip", model_id="mine")
    assert {card.id: card.version for card in cards} == {
        "mine": "best_EPE_epoch_199",
        "mine-head": "best_EPE_epoch_190",
    }
    assert store.load_model("mine-head").card.weights.imported_from == "checkpoints.zip/Kopf/best_EPE_epoch_190.pth"


def test_released_files_get_the_ids_and_cards_of_the_catalogue(
    an_import: ReferenceImport, the_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_is_default", lambda architecture: True)  # as if the small backbone were the 0.3b
    with zipfile.ZipFile(tmp_path / "checkpoints.zip", "w") as archive:
        archive.write(the_weights / UNIVERSAL, "checkpoints/med_sapien/best_EPE_epoch_199.pth")
        archive.write(the_weights / HEAD, "checkpoints/med_sapien/head/best_EPE_epoch_200.pth")
    an_import(BASE, model_id=None, base=None)
    cards = an_import(tmp_path / "checkpoints.zip", model_id=None, base=None)
    assert [card.id for card in cards] == ["medsapiens", "medsapiens-head"]
    assert cards[1].citation == store.find_model("medsapiens-head").citation != ""
    assert cards[1].licence.noncommercial
    with pytest.raises(ModelError, match="'medsapiens-hand' has 37"):
        an_import(HEAD, model_id="medsapiens-hand", base=None)


def test_a_scheme_says_what_four_channels_mean(an_import: ReferenceImport, an_altered_file: AlteredFile) -> None:
    def four(tensors: dict) -> dict:
        return {
            **tensors,
            **{f"head.final_layer.{part}": tensors[f"head.final_layer.{part}"][:4] for part in ("weight", "bias")},
        }

    path = an_altered_file(HEAD, four)
    with pytest.raises(ModelError, match=r"4 channels.*--scheme.*a4c-4.*fetal-head-4.*plax-4"):
        an_import(path)
    (card,) = an_import(path, scheme="plax-4")
    assert (card.channels("plax-4").first, card.channels("plax-4").stop) == (0, 4)
