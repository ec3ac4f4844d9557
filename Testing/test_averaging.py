"""The mean of models that were trained alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import write_model
from typer.testing import CliRunner

from MedLandmarkLib.cli.application import app
from MedLandmarkLib.errors import ModelError
from MedLandmarkLib.models.catalogue import SchemeChannels, read_card
from MedLandmarkLib.models.store import load_model
from MedLandmarkLib.training.averaging import average_models

ECHO = {"a4c-4": SchemeChannels(0, 4, (97, 65))}


def test_every_weight_is_the_mean_and_nothing_is_said_that_was_not_measured(tmp_path: Path) -> None:
    models = [str(write_model(tmp_path / name, ECHO, seed)) + "/" for seed, name in enumerate(("one", "two"))]
    result = CliRunner().invoke(app, ["models", "average", str(tmp_path / "mean"), *models, "--id", "mean"])
    assert result.exit_code == 0, result.output
    states = [load_model(model).network.state_dict() for model in (*models, f"{tmp_path / 'mean'}/")]
    for name, mean in states[2].items():
        torch.testing.assert_close(mean, (states[0][name] + states[1][name]) / 2)
    card = read_card(tmp_path / "mean/card.json")
    assert (card.id, card.confidence, card.accuracy) == ("mean", None, ())
    assert card.training["recipe"].startswith("mean of 2 trainings")


def test_what_both_have_stays_bit_for_bit(tmp_path: Path) -> None:
    models = [str(write_model(tmp_path / name, ECHO, seed=3)) + "/" for name in ("one", "two", "three")]
    average_models(tmp_path / "mean", models, "mean")
    mean, one = (load_model(model).network.state_dict() for model in (f"{tmp_path / 'mean'}/", models[0]))
    assert all(torch.equal(mean[name], tensor) for name, tensor in one.items())


def test_models_of_different_kinds_have_no_mean(tmp_path: Path) -> None:
    one = f"{write_model(tmp_path / 'one', ECHO, seed=0)}/"
    other = f"{write_model(tmp_path / 'other', {'fetal-head-4': SchemeChannels(0, 4)}, seed=0)}/"
    for models, words in (
        ([one], "at least two"),
        ([one, other], "'one' and 'other' differ in schemes"),
        ([one, "afids"], "only lite networks"),
    ):
        with pytest.raises(ModelError, match=words):
            average_models(tmp_path / "mean", models, "mean")
    assert not (tmp_path / "mean").exists()
    with pytest.raises(ModelError, match="is not empty"):
        average_models(tmp_path / "one", [one, one], "mean")
