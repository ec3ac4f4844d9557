"""Several small networks in one model: each scheme is found as by the model that it came from."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from small_models import write_model
from typer.testing import CliRunner

from MedLandmarkLib.cli.application import app
from MedLandmarkLib.detection import LandmarkDetector
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.catalogue import SchemeChannels, View, read_card
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.lite_set import LiteSet
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.models.tensors import TensorFile, write_tensors
from MedLandmarkLib.resources import resource_path
from MedLandmarkLib.training.initial_weights import load_trained_weights
from MedLandmarkLib.training.joining import join_models


@pytest.fixture
def a_joint_model(tmp_path: Path) -> Path:
    schemes = {"a4c-4": SchemeChannels(0, 4, (97, 65)), "fetal-head-4": SchemeChannels(4, 8)}
    return write_model(tmp_path / "joint", schemes, seed=1)


@pytest.fixture
def an_adapted_model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "adapted", {"fetal-head-4": SchemeChannels(0, 4, (65, 97), (View(0.9),))}, seed=2)


def found_by(model: Path, scheme: str) -> np.ndarray:
    picture = np.random.default_rng(5).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    return LandmarkDetector(scheme, f"{model}/", device="cpu").peaks([picture])[0].picture_xy


@pytest.mark.parametrize("half", [False, True])
def test_each_scheme_is_found_as_by_the_last_model_that_knows_it(
    a_joint_model: Path, an_adapted_model: Path, tmp_path: Path, half: bool
) -> None:
    together = tmp_path / "both"
    card = join_models(together, [f"{a_joint_model}/", f"{an_adapted_model}/"], "both", half=half)
    schema = json.loads(resource_path("Model-schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator({**schema["$defs"]["card"], "$defs": schema["$defs"]})
    validator.validate(json.loads((together / "card.json").read_text()))
    assert card.channels("fetal-head-4") == SchemeChannels(4, 8, (65, 97), (View(0.9),))
    assert [member["domains"] for member in card.architecture["members"]] == [[[0, 4]], [[0, 4]]]
    assert card.channels("a4c-4").input_size_wh == (97, 65)
    if not half:
        np.testing.assert_allclose(found_by(together, "a4c-4"), found_by(a_joint_model, "a4c-4"), atol=1e-6)
        np.testing.assert_allclose(
            found_by(together, "fetal-head-4"), found_by(an_adapted_model, "fetal-head-4"), atol=1e-6
        )
    else:
        assert card.size_bytes < 0.6 * sum(
            (folder / "model.safetensors").stat().st_size for folder in (a_joint_model, an_adapted_model)
        )
        whole, halved = load_model(f"{a_joint_model}/").network, load_model(f"{together}/").network.members[0]
        assert torch.allclose(whole.trunk.stem.convolution.weight, halved.trunk.stem.convolution.weight, atol=1e-3)
        assert torch.equal(whole.trunk.stem.norm.running_var[:1], halved.trunk.stem.norm.running_var)  # of a4c-4 alone


def test_a_scheme_may_be_taken_from_another_than_the_last(
    a_joint_model: Path, an_adapted_model: Path, tmp_path: Path
) -> None:
    models = [f"{an_adapted_model}/", f"{a_joint_model}/"]
    command = ["models", "join", str(tmp_path / "both"), *models, "--id", "both", "--take"]
    result = CliRunner().invoke(app, [*command, f"fetal-head-4={an_adapted_model}/"])
    assert result.exit_code == 0, result.output
    both = read_card(tmp_path / "both/card.json")
    assert both.channels("fetal-head-4") == SchemeChannels(0, 4, (65, 97), (View(0.9),))
    assert both.channels("a4c-4").first == 4
    for wrong, words in (
        ("a4c-4", "is not SCHEME=MODEL"),
        ("a4c-4=lite", "is to be taken from 'lite', which is not among the models"),
        (f"a4c-4={an_adapted_model}/", "a4c-4"),
    ):
        result = CliRunner().invoke(
            app, ["models", "join", str(tmp_path / "new"), *models, "--id", "n", "--take", wrong]
        )
        assert result.exit_code != 0 and words in " ".join(result.output.split())
        assert not (tmp_path / "new").exists()


def test_a_training_can_start_from_the_member_that_knows_its_scheme(
    a_joint_model: Path, an_adapted_model: Path, tmp_path: Path
) -> None:
    join_models(tmp_path / "both", [f"{a_joint_model}/", f"{an_adapted_model}/"], "both")
    network = LiteNetwork(4)
    load_trained_weights(network, {"fetal-head-4": slice(0, 4)}, f"{tmp_path / 'both'}/")
    adapted = load_model(f"{an_adapted_model}/").network
    assert torch.equal(network.final.weight, adapted.final.weight)
    assert torch.equal(network.trunk.stem.convolution.weight, adapted.trunk.stem.convolution.weight)


def test_channels_of_two_members_at_once_are_refused() -> None:
    together = LiteSet([{"keypoints": 3}, {"keypoints": 2}])
    network, own = together.member(slice(3, 5))
    assert network is together.members[1] and own == slice(0, 2)
    with pytest.raises(ValueError, match="not those of one member"):
        together.member(slice(2, 4))


def with_stages_of(other: Path, folder: Path, stages: tuple[int, ...]) -> Path:
    """A model whose trunk has another's convolutions in some stages."""
    tensors, source = TensorFile(folder / "model.safetensors").mapped(), TensorFile(other / "model.safetensors")
    for name in tensors:
        if name.startswith(tuple(f"trunk.stages.{stage}." for stage in stages)) and "convolution" in name:
            tensors[name] = source.read(name)
    (folder / "model.safetensors").unlink()
    sha256 = write_tensors(folder / "model.safetensors", tensors)
    card = json.loads((folder / "card.json").read_text())
    card["weights"]["sha256"] = sha256
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_what_members_have_in_common_is_stored_and_held_once(
    a_joint_model: Path, an_adapted_model: Path, tmp_path: Path
) -> None:
    with_stages_of(a_joint_model, an_adapted_model, (5, 6))
    models = [f"{a_joint_model}/", f"{an_adapted_model}/"]
    together = tmp_path / "both"
    card = join_models(together, models, "both")
    assert card.architecture["shared"] == [{"member": 1, "of": 0, "stages": [5, 6]}]
    network = load_model(f"{together}/").network
    held = sum(parameter.numel() for parameter in network.parameters())
    alone = [sum(p.numel() for p in load_model(model).network.parameters()) for model in models]
    alone[0] -= 4 * 65  # channels of fetal-head-4, which the other model finds
    layers = [layer for stage in (5, 6) for layer in network.members[0].trunk.stages[stage].modules()]
    shared = sum(layer.convolution.weight.numel() for layer in layers if hasattr(layer, "convolution"))
    assert shared > 2_000_000 and held == sum(alone) - shared
    apart = sum((folder / "model.safetensors").stat().st_size for folder in (a_joint_model, an_adapted_model))
    assert card.size_bytes < apart - 3 * shared
    # asked in turns: that one network has its normalisation multiplied in must not change the other's weights
    for _ in range(2):
        for scheme, model in (("fetal-head-4", an_adapted_model), ("a4c-4", a_joint_model)):
            np.testing.assert_allclose(found_by(together, scheme), found_by(model, scheme), atol=1e-6)
    loaded, picture = load_model(f"{together}/"), np.random.default_rng(5).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    detectors = [LandmarkDetector(scheme, loaded, device="cpu") for scheme in ("fetal-head-4", "a4c-4")]
    for detector, model in zip(detectors, (an_adapted_model, a_joint_model), strict=True):
        found = detector.peaks([picture])[0].picture_xy
        np.testing.assert_allclose(found, found_by(model, detector.scheme.id), atol=1e-6)


def test_a_joined_model_takes_in_a_further_one(a_joint_model: Path, an_adapted_model: Path, tmp_path: Path) -> None:
    both = tmp_path / "both"
    join_models(both, [f"{a_joint_model}/", f"{an_adapted_model}/"], "both")
    third = write_model(tmp_path / "third", {"a4c-4": SchemeChannels(0, 4, (97, 65))}, seed=9)
    with_stages_of(an_adapted_model, third, (6,))
    card = join_models(tmp_path / "three", [f"{both}/", f"{third}/"], "three")
    assert card.architecture["shared"] == [{"member": 1, "of": 0, "stages": [6]}]
    assert card.channels("a4c-4").first == 4 and card.channels("fetal-head-4").first == 0
    for scheme, model in (("fetal-head-4", an_adapted_model), ("a4c-4", third)):
        np.testing.assert_allclose(found_by(tmp_path / "three", scheme), found_by(model, scheme), atol=1e-6)


def test_a_member_shares_with_an_earlier_one_only() -> None:
    with pytest.raises(ValueError, match="it must be a later one"):
        LiteSet([{"keypoints": 3}, {"keypoints": 2}], [{"member": 0, "of": 1, "stages": [6]}])


def test_models_that_take_pictures_otherwise_or_of_another_family_are_not_joined(
    a_joint_model: Path, tmp_path: Path
) -> None:
    other = write_model(tmp_path / "other", {"head-19": SchemeChannels(0, 19)}, seed=4, padding=1.3)
    with pytest.raises(ModelError, match="'other' takes its pictures otherwise than 'joint'"):
        join_models(tmp_path / "new", [f"{a_joint_model}/", f"{other}/"], "new")
    with pytest.raises(ModelError, match="only lite networks"):
        join_models(tmp_path / "new", ["afids", f"{a_joint_model}/"], "new")
    with pytest.raises(ModelError, match="is not empty"):
        join_models(a_joint_model, [f"{a_joint_model}/", f"{a_joint_model}/"], "both")
    with pytest.raises(ModelError, match="cannot be a model's id"):
        join_models(tmp_path / "new", [f"{a_joint_model}/", f"{a_joint_model}/"], "No Good")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ModelError, match="at least two"):
        join_models(tmp_path / "new", [f"{a_joint_model}/"], "new")


def test_the_command_names_the_schemes_and_the_size(
    a_joint_model: Path, an_adapted_model: Path, tmp_path: Path
) -> None:
    models = [f"{a_joint_model}/", f"{an_adapted_model}/"]
    result = CliRunner().invoke(app, ["models", "join", str(tmp_path / "both"), *models, "--id", "both"])
    assert result.exit_code == 0, result.output
    assert "a4c-4, fetal-head-4" in result.output and "MB" in result.output
