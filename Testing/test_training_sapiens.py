"""Fine-tuning a Sapiens network: what is learned, what is saved, and that nothing is lost on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_files import BASE, UNIVERSAL, ReferenceImport
from safetensors.torch import load_file
from training_files import log_rows, write_bars, write_excerpt

from MedLandmarkLib.detection import detect
from MedLandmarkLib.errors import DatasetError, ModelError
from MedLandmarkLib.models.checkpoint import read_tensors
from MedLandmarkLib.models.recognise import recognise
from MedLandmarkLib.models.store import import_model, load_model, model_card
from MedLandmarkLib.training.backbones import choose_backbone
from MedLandmarkLib.training.canvases import Task
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest

A_CANVAS = torch.linspace(-1.0, 1.0, 3 * 64 * 64).view(1, 3, 64, 64)


@pytest.fixture
def a_dataset(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "bars")


@pytest.fixture
def a_tiny_model(an_import: ReferenceImport) -> str:
    """A Sapiens of width 64 with LoRA, built on a base; it knows the four schemes of the universal model."""
    (card,) = an_import(UNIVERSAL)
    return card.id


def a_recipe(**changes: object) -> Recipe:
    usual = {"start": "tiny", "epochs": 2, "warmup_steps": 2, "holdout": 0.3, "learning_rate": 1e-2,
             "trunk_learning_rate": 1e-2}  # fmt: skip
    return Recipe.usual("sapiens", **{**usual, **changes})


def trained(dataset: Path, run: Path, recipe: Recipe) -> Path:
    return train([TaskRequest.parse(f"{dataset}=fetal-head-4@64x64")], run, recipe, model_id="bars")


def a_task(scheme_id: str = "fetal-head-4", count: int = 4) -> Task:
    return Task(scheme_id, ("a",) * count, (), "reader", slice(0, count), (64, 64), 1.25)


@pytest.mark.real_data
def test_a_lora_fine_tune_killed_in_the_middle_of_an_epoch_ends_as_if_it_had_not_been(
    a_tiny_model: str, the_data_folder: Path, tmp_path: Path
) -> None:
    dataset = write_excerpt(the_data_folder / "ceph_isbi", tmp_path / "ceph", 6)
    request = f"{dataset}=head-19@96x128"
    recipe = a_recipe(epochs=2, batch_size=1, checkpoint_every=2, holdout=0.2)
    straight = train([TaskRequest.parse(request)], tmp_path / "straight", recipe, model_id="ceph")
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "recipe.json").write_text(json.dumps(recipe.as_dict()))
    killed = _run(KILLED_AT_STEP_3, request, str(tmp_path / "killed"))
    assert killed.returncode == -9, killed.stderr
    assert torch.load(tmp_path / "killed/last.ckpt", weights_only=True)["step"] == 2
    resumed = train([TaskRequest.parse(request)], tmp_path / "killed", recipe, model_id="ceph")
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()
    losses = [[row["loss"] for row in log_rows(folder.parent)] for folder in (straight, resumed)]
    assert losses[0] == losses[1] and len(losses[0]) == 2
    landmarks = detect(dataset / "images/001.jpg", "head-19", str(resumed)).frames[0].landmarks
    assert len(landmarks) == 19


KILLED_AT_STEP_3 = """
import os, signal, sys
from pathlib import Path
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest

steps = []

def count(share, text):
    if text.startswith("Epoch"):
        steps.append(share)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

request, run = sys.argv[1:]
train([TaskRequest.parse(request)], Path(run), Recipe.from_file(run + "/recipe.json"), model_id="ceph", progress=count)
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    root = Path(__file__).resolve().parent.parent
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("adapt", ["lora", "norms", "head", "full"])
def test_a_trained_folder_predicts_as_the_trained_network(
    a_tiny_model: str, a_dataset: Path, tmp_path: Path, adapt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from MedLandmarkLib.training.fitting import Fitting

    fitted = []
    run = Fitting.run
    monkeypatch.setattr(Fitting, "run", lambda self, **more: fitted.append(run(self, **more)) or fitted[0])
    folder = trained(a_dataset, tmp_path / "run", a_recipe(adapt=adapt))
    with torch.inference_mode():
        expected = fitted[0](A_CANVAS)
        assert torch.equal(load_model(f"{folder}/").network(A_CANVAS), expected)
    begun = _begun(Recipe.usual("sapiens", start="tiny", adapt=adapt))
    assert (begun(A_CANVAS) - expected).abs().max() > 1e-3, "nothing was learned"
    card = model_card(f"{folder}/")
    assert card.weights.base_sha256 == (None if adapt == "full" else model_card(a_tiny_model).weights.base_sha256)


def _begun(recipe: Recipe) -> torch.nn.Module:
    torch.manual_seed(0)
    return choose_backbone(recipe).network([a_task()]).eval()


def test_only_lora_and_head_are_saved_and_the_reference_would_know_their_names(
    a_tiny_model: str, a_dataset: Path, tmp_path: Path, the_weights: Path
) -> None:
    folder = trained(a_dataset, tmp_path / "run", a_recipe())
    tensors = load_file(folder / "model.safetensors")
    reference = read_tensors(the_weights / UNIVERSAL)
    assert set(tensors) == set(reference)
    assert {n: t.shape for n, t in tensors.items() if "final" not in n} == {
        n: t.shape for n, t in reference.items() if "final" not in n
    }
    assert recognise("file", tensors).kind == "adapter"
    architecture = tmp_path / "square.json"
    architecture.write_text('{"heads": 4, "patch_padding": 2, "input_size_wh": [64, 64]}')
    file = folder / "model.safetensors"
    import_model([file], "again", base=the_weights / BASE, scheme="fetal-head-4", architecture=architecture)
    with torch.inference_mode():
        assert torch.equal(load_model("again").network(A_CANVAS), load_model(f"{folder}/").network(A_CANVAS))


@pytest.mark.parametrize(
    ("adapt", "learned"),
    [
        ("lora", ("lora_", "head.")),
        ("norms", (".ln1.", ".ln2.", "head.final_layer.")),
        ("head", ("head.",)),
        ("full", ("backbone.patch_embed", "backbone.layers", "backbone.ln1", "head.")),
    ],
)
def test_an_adaptation_learns_what_it_names(a_tiny_model: str, adapt: str, learned: tuple[str, ...]) -> None:
    network = _begun(a_recipe(adapt=adapt))
    learning = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    assert learning and all(any(part in name for part in learned) for name in learning)
    assert all(any(part in name for name in learning) for part in learned)


def test_training_begins_where_the_model_ended(a_tiny_model: str) -> None:
    network = choose_backbone(a_recipe()).network([a_task("head-19", 19)]).eval()
    source = load_model("tiny").network
    with torch.inference_mode():
        canvas = torch.rand(1, 3, 1024, 768)
        task = Task("head-19", ("a",) * 19, (), "reader", slice(0, 19), (768, 1024), 1.25)
        network = choose_backbone(a_recipe()).network([task]).eval()
        torch.testing.assert_close(network(canvas), source(canvas, slice(0, 19)), rtol=1e-4, atol=1e-4)


def test_training_can_begin_with_a_base_alone(
    an_import: ReferenceImport, a_dataset: Path, tmp_path: Path, the_weights: Path
) -> None:
    (base,) = an_import(BASE, model_id="tiny-base", base=None)
    folder = trained(a_dataset, tmp_path / "run", a_recipe(start="tiny-base", epochs=1, cases_per_epoch=2))
    card = model_card(f"{folder}/")
    assert (card.base, card.weights.base_sha256) == ("tiny-base", base.weights.base_sha256)
    with pytest.raises(ModelError, match="needs a head"):
        choose_backbone(a_recipe(start="tiny-base", adapt="norms"))


def test_activations_that_are_computed_twice_change_nothing(a_tiny_model: str) -> None:
    gradients = []
    for is_repeated in (False, True):
        network = _begun(a_recipe(checkpoint_gradients=is_repeated)).train()
        torch.manual_seed(3)
        network.logits(A_CANVAS).square().sum().backward()
        gradients.append({name: p.grad for name, p in network.named_parameters() if p.requires_grad})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


def test_two_processes_learn_as_one_with_twice_the_images(a_tiny_model: str, a_dataset: Path, tmp_path: Path) -> None:
    plain = a_recipe(augmentation="none", lora_dropout=0.0, batch_size=4, learning_rate=1e-3, epochs=1, ema_decay=0.0)
    one = load_file(trained(a_dataset, tmp_path / "one", plain) / "model.safetensors")
    two = load_file(_by_command(a_dataset, tmp_path / "two", replace(plain, batch_size=2), "--devices=2"))
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=0, atol=1e-5, msg=name)
    begun = choose_backbone(plain).stored(_begun(plain))
    assert max((one[name] - tensor).abs().max() for name, tensor in begun.items() if "final" not in name) > 1e-3


def test_a_process_does_what_one_process_does_in_its_turn(a_tiny_model: str, a_dataset: Path, tmp_path: Path) -> None:
    """With random changes and dropout: the second process' are those of the second turn."""
    varied = a_recipe(batch_size=2, learning_rate=1e-3, epochs=1, ema_decay=0.0)
    by_turns = load_file(trained(a_dataset, tmp_path / "turns", replace(varied, accumulate=2)) / "model.safetensors")
    together = load_file(_by_command(a_dataset, tmp_path / "together", varied, "--devices=2"))
    for name, tensor in by_turns.items():
        torch.testing.assert_close(together[name], tensor, rtol=0, atol=1e-5, msg=name)


def _by_command(dataset: Path, run: Path, recipe: Recipe, *options: str) -> Path:
    run.mkdir()
    (run / "asked.json").write_text(json.dumps(recipe.as_dict()))
    command = [sys.executable, "-m", "MedLandmarkLib", "train", f"{dataset}=fetal-head-4@64x64", f"--output={run}"]
    done = subprocess.run(
        [*command, f"--recipe={run / 'asked.json'}", "--id=bars", *options],
        cwd=Path(__file__).resolve().parent.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Model written") == 1
    return run / "model/model.safetensors"


def test_a_start_that_does_not_fit_is_refused(a_tiny_model: str, a_dataset: Path) -> None:
    for changes, error, words in (
        ({"backbone": "sapiens-0.3b"}, ModelError, "width 64 with 3 layers, not sapiens-0.3b"),
        ({"start": "lite"}, ModelError, "family 'lite-set'"),
        ({"start": "nowhere"}, ModelError, "no model 'nowhere'"),
        ({"start": "sapiens"}, DatasetError, "--from MODEL"),
        ({"loss": "cross_entropy"}, DatasetError, "squared_error"),
    ):
        with pytest.raises(error, match=words):
            choose_backbone(Recipe.usual(**{"backbone": "sapiens", "start": "tiny", **changes}))
    with pytest.raises(ModelError, match="not installed"):
        choose_backbone(Recipe.usual("sapiens-0.3b"))
    with pytest.raises(ModelError, match="Set lora_qkv_rank to 4"):
        choose_backbone(a_recipe(lora_qkv_rank=6)).network([a_task()])
    with pytest.raises(ModelError, match="learned scheme 'head-19' with 19 landmarks; it has 4 here"):
        choose_backbone(a_recipe()).network([a_task("head-19", 4)])


def test_a_base_that_is_gone_is_named(a_tiny_model: str, a_home: Path) -> None:
    (base,) = (a_home / "models/bases").iterdir()
    base.unlink()
    with pytest.raises(ModelError, match=f"lost .*{base.name}"):
        choose_backbone(a_recipe())


def test_datasets_of_two_canvases_are_refused(a_tiny_model: str, a_dataset: Path, tmp_path: Path) -> None:
    backbone = choose_backbone(a_recipe())
    assert backbone.canvas_wh("fetal-head-4", (70, 60), ()) == (64, 64)
    with pytest.raises(DatasetError, match="one canvas for all"):
        backbone.canvas_wh("a4c-4", (96, 64), ())
