"""The reference's points through the command line: `models import`, then `detect`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from MedLandmarkLib.cli import app

ARCHITECTURE = {"heads": 4, "patch_padding": 2, "input_size_wh": [768, 1024]}
IMAGES = ("small_color8", "odd_grey16")


def call(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def a_models_folder(the_golden_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both reference models, imported as a user would."""
    home = tmp_path_factory.mktemp("home")
    architecture = home / "architecture.json"
    architecture.write_text(json.dumps(ARCHITECTURE))
    weights = the_golden_folder / "weights"
    base = ("--base", weights / "sapiens_tiny_epoch_1600_clean.pth", "--architecture", architecture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLANDMARK_HOME", str(home))
        call("models", "import", weights / "best_EPE_epoch_199.pth", "--id", "universal", *base)
        call("models", "import", weights / "head" / "best_EPE_epoch_200.pth", "--id", "head", *base)
    return home


@pytest.mark.parametrize("flip", ["flip", "noflip"])
@pytest.mark.parametrize("model", ["universal", "head"])
def test_the_command_gives_the_references_points(
    model: str,
    flip: str,
    a_models_folder: Path,
    the_golden_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDLANDMARK_HOME", str(a_models_folder))
    images = [the_golden_folder / "images" / f"{name}.png" for name in IMAGES]
    switch = "--flip" if flip == "flip" else "--no-flip"
    options = ("--scheme", "head-19", "--model", model, "--device", "cpu", switch)
    call("detect", *images, *options, "--output", tmp_path)
    for name in IMAGES:
        data = json.loads((tmp_path / f"{name}.landmarks.json").read_text(encoding="utf-8"))
        landmarks = data["frames"][0]["landmarks"]
        case = np.load(the_golden_folder / "cases" / f"{model}__{name}.npz")
        points = np.array([landmark["ijk"][:2] for landmark in landmarks])
        errors = np.linalg.norm(points - case[f"keypoints_{flip}"][:19], axis=1)
        noise = np.linalg.norm(case[f"kp_f64net_{flip}"] - case[f"keypoints_{flip}"], axis=1)[:19]
        is_steady = case[f"peak_gap_{flip}"][:19] >= 1e-4
        assert np.median(errors) < 1e-3
        assert np.all((errors < np.maximum(0.02, 10 * noise))[is_steady])
        scores = np.array([landmark["score"] for landmark in landmarks])
        np.testing.assert_allclose(scores, case[f"scores_{flip}"][:19], atol=5e-5)
