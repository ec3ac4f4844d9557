"""The settings of a training: what they do, and what is refused before the first step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from networks import embedded_member
from training_files import log_rows, write_bars
from typer.testing import CliRunner

from MedLandmarkLib.cli.application import app
from MedLandmarkLib.errors import DatasetError, ModelError
from MedLandmarkLib.models.lite import LiteNetwork
from MedLandmarkLib.models.lite_set import common_stages
from MedLandmarkLib.training.average import RunningAverage, learned_tensors
from MedLandmarkLib.training.backbones import choose_backbone
from MedLandmarkLib.training.batches import Batches
from MedLandmarkLib.training.canvases import Canvases, Task
from MedLandmarkLib.training.devices import launched_fabric
from MedLandmarkLib.training.fitting import Fitting
from MedLandmarkLib.training.optimizer import build_optimizer, set_learning_rates
from MedLandmarkLib.training.pace import Pace
from MedLandmarkLib.training.recipe import Recipe
from MedLandmarkLib.training.run import train
from MedLandmarkLib.training.tasks import TaskRequest, plan_tasks


@pytest.fixture
def a_task() -> Task:
    return Task("a4c-4", ("a", "b", "c", "d"), (), "reader", slice(0, 4), (65, 65), 1.05)


@pytest.fixture
def canvases(a_task: Task) -> Canvases:
    generator = torch.Generator().manual_seed(1)
    pictures = torch.randint(0, 256, (6, 1, 65, 65), dtype=torch.uint8, generator=generator)
    return Canvases(a_task, pictures, torch.rand(6, 4, 2, generator=generator) * 64, torch.ones(6))


def a_fitting(canvases: Canvases, folder: Path, recipe: Recipe, validation: bool = False) -> Fitting:
    torch.manual_seed(0)
    backbone = choose_backbone(recipe)
    return Fitting(
        backbone.network([canvases.task]), [canvases], recipe, folder, mean=(124, 116, 104), std=(58, 57, 57),
        layers_from_end=backbone.layers_from_end, validation=[canvases] if validation else [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("backbone", "resnet", "one of lite, sapiens, sapiens-0.3b"),
        ("adapt", "prompt", "one of full, lora"),
        ("lora_qkv_rank", 0, "lora_qkv_rank is 0"),
        ("lora_proj_rank", -2, "lora_proj_rank is -2"),
        ("accumulate", 0, "at least 1"),
        ("patience", 0, "at least 1, or null"),
        ("checkpoint_every", 1.5, "checkpoint_every is 1.5"),
        ("epochs", "ten", "epochs is 'ten'"),
        ("layer_decay", 0.0, "above 0 and at most 1"),
        ("ema_decay", 1.0, "ema_decay is 1.0"),
        ("precision", "8-bit", "one of 32-true"),
        ("loss", "l1", "one of cross_entropy, squared_error"),
        ("augmentation", "wild", "one of none, mild"),
        ("augmentation", {"head-19": "wild"}, "one of none, mild"),
        ("augmentation", 3, "one of none, mild"),
        ("learning_rate", float("nan"), "learning_rate is nan"),
        ("frozen_stages", [7], "whole numbers from 0 to 6"),
        ("frozen_stages", "56", "whole numbers from 0 to 6"),
        ("frozen_stages", 5, "whole numbers from 0 to 6"),
        ("frozen_stages", [5, 6], "unless a trained lite model is begun with"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(setting: str, value: object, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        Recipe.usual(**{"backbone": "sapiens", setting: value})


def test_each_scheme_may_have_its_own_augmentation(canvases: Canvases) -> None:
    recipe = Recipe(augmentation={canvases.task.scheme_id: "bent", "fetal-head-4": "any-pose"})
    assert Batches([canvases], recipe).augmentations[0].recipe.name == "bent"
    assert Batches([canvases], Recipe(augmentation="varied")).augmentations[0].recipe.name == "varied"
    assert (recipe.augmentation_of("fetal-head-4"), recipe.augmentation_of("hand-37")) == ("any-pose", "mild")


def test_a_recipe_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    for text, words in (("[1]", "not a list"), ("{", "cannot be read as JSON")):
        (tmp_path / "recipe.json").write_text(text)
        with pytest.raises(DatasetError, match=words):
            Recipe.from_file(tmp_path / "recipe.json")


def test_the_usual_settings_follow_the_backbone_and_the_command_line_goes_first(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"backbone": "sapiens-1b", "epochs": 9, "seed": 3}))
    recipe = Recipe.from_file(tmp_path / "recipe.json", epochs=4)
    assert (recipe.loss, recipe.sigma, recipe.adapt, recipe.start) == ("squared_error", 3.0, "lora", "sapiens-1b")
    assert (recipe.epochs, recipe.seed, recipe.layer_decay, recipe.learning_rate) == (4, 3, 0.85, 5e-4)


@pytest.mark.parametrize(
    ("adapt", "learned"),
    [("full", ("trunk.", "decoder.", "final.")), ("norms", (".norm.", "final.")), ("head", ("decoder.", "final."))],
)
def test_an_adaptation_of_lite_changes_what_it_names_and_nothing_else(
    canvases: Canvases, tmp_path: Path, adapt: str, learned: tuple[str, ...]
) -> None:
    recipe = Recipe(start="lite", adapt=adapt, epochs=1, batch_size=3, warmup_steps=0, learning_rate=1e-2)
    fitting = a_fitting(canvases, tmp_path, recipe)
    before = {name: tensor.clone() for name, tensor in fitting.network.state_dict().items()}
    source, own = embedded_member("a4c-4")
    assert torch.equal(before["final.weight"], source.final.weight[own])
    after = fitting.run().state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed and all(any(part in name for part in learned) for name in changed)
    for part in learned:
        assert any(part in name for name in changed)
    assert any("running_mean" in name for name in changed)


def test_frozen_stages_stay_as_they_are_and_all_else_learns(canvases: Canvases, tmp_path: Path) -> None:
    recipe = Recipe(start="lite", frozen_stages=[5, 6], epochs=1, batch_size=3, warmup_steps=0, learning_rate=1e-2)
    fitting = a_fitting(canvases, tmp_path, recipe)
    before = {name: tensor.clone() for name, tensor in fitting.network.state_dict().items()}
    trained = fitting.run()
    changed = {name for name, tensor in trained.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not any(name.startswith(("trunk.stages.5.", "trunk.stages.6.")) for name in changed)
    assert {name for name in before if name.startswith("trunk.stages.4.")} <= changed
    assert common_stages(trained, embedded_member("a4c-4")[0]) == [5, 6]
    assert Recipe(**json.loads(json.dumps(recipe.as_dict()))) == recipe  # or a run would not be resumed


def test_lite_is_adapted_only_from_a_trained_model() -> None:
    with pytest.raises(DatasetError, match="--from MODEL"):
        choose_backbone(Recipe(adapt="norms"))
    with pytest.raises(DatasetError, match="norms, head or full"):
        choose_backbone(Recipe(adapt="lora", start="lite"))


def test_a_scheme_that_the_model_learned_keeps_its_canvas() -> None:
    backbone = choose_backbone(Recipe(adapt="head", start="lite"))
    assert backbone.canvas_wh("a4c-4", None, ()) == (385, 289)
    assert backbone.canvas_wh("a4c-4", (300, 200), ()) == (289, 193)


def test_a_model_whose_scheme_has_other_landmarks_is_refused() -> None:
    task = Task("head-19", ("a", "b"), (), "reader", slice(0, 2), (65, 65), 1.05)
    with pytest.raises(ModelError, match="learned scheme 'head-19' with 19 landmarks; it has 2 here"):
        choose_backbone(Recipe(adapt="norms", start="lite")).network([task])


def test_layers_learn_slower_the_further_they_are_from_the_trunks_end() -> None:
    recipe = Recipe(layer_decay=0.5, trunk_learning_rate=1.0, learning_rate=3.0)
    network = LiteNetwork(1)
    optimizer = build_optimizer(network, recipe, choose_backbone(recipe).layers_from_end)
    rate_of = {id(p): group["peak_lr"] for group in optimizer.param_groups for p in group["params"]}
    rates = {name: rate_of[id(parameter)] for name, parameter in network.named_parameters()}
    assert rates["trunk.stem.convolution.weight"] == 0.5**8
    assert rates["trunk.stages.0.0.project.convolution.weight"] == 0.5**7
    assert rates["trunk.stages.6.0.project.convolution.weight"] == 0.5
    assert rates["final.weight"] == rates["decoder.refine.convolution.weight"] == 3.0
    decay_of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {decay_of[id(p)] for p in network.parameters() if p.ndim == 1} == {0.0}
    assert {decay_of[id(p)] for p in network.parameters() if p.ndim > 1} == {recipe.weight_decay}


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    optimizer = build_optimizer(torch.nn.Linear(2, 2), Recipe(learning_rate=2.0), lambda name: None)
    rates = [set_learning_rates(optimizer, step, 100, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.2) and rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[9] == pytest.approx(2.0, rel=0.05)
    assert rates[100] == pytest.approx(0.0, abs=1e-12)


def test_the_average_follows_what_is_learned_and_changes_places_with_it() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False))
    network[1].requires_grad_(False)
    torch.nn.init.constant_(network[0].weight, 1.0)
    average = RunningAverage(network, decay=0.75)
    assert set(average.tensors) == set(learned_tensors(network)) == {"0.weight"}
    torch.nn.init.constant_(network[0].weight, 5.0)
    average.update()
    with average.in_place():
        assert network[0].weight.item() == 2.0
    assert network[0].weight.item() == 5.0


def test_turns_of_a_step_make_up_one_step_of_all_their_images(canvases: Canvases, tmp_path: Path) -> None:
    """Normalisations differ by what they are shown together; with their statistics fixed a step is the same."""
    results = []
    for batch_size, turns in ((4, 1), (2, 2)):
        recipe = Recipe(
            start="lite", adapt="head", batch_size=batch_size, accumulate=turns, augmentation="none", warmup_steps=0,
            gradient_clip=1e9, learning_rate=1e-4,
        )  # fmt: skip
        network = choose_backbone(recipe).network([canvases.task])
        for norm in network.norms:
            norm.requires_grad_(False)
        fitting = Fitting(network, [canvases], recipe, tmp_path, mean=(124, 116, 104), std=(58, 57, 57))
        before = network.final.weight.detach().clone()
        fitting._train_on(0, torch.arange(4), Pace())
        results.append(network.final.weight.detach() - before)
    assert results[0].abs().max() > 5e-5
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-6)


def test_a_step_is_shared_among_processes_by_its_images(canvases: Canvases) -> None:
    batches = Batches([canvases], Recipe(batch_size=2), portions=4)
    cases = torch.arange(6)
    first, second = (batches.share(0, cases, process, 2) for process in (0, 1))
    assert [p.cases.tolist() for p in first + second] == [[0, 1], [4], [2, 3], [5]]
    assert sum(p.weight for p in first + second) == pytest.approx(1.0)
    lonely = batches.share(0, torch.tensor([3]), 1, 2)
    assert [(p.cases.tolist(), p.weight) for p in lonely] == [([3], 0.0)] * 2


def test_the_best_epoch_is_kept_and_patience_ends_the_run(
    canvases: Canvases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([9.0, 4.0, 6.0, 5.0, 1.0])
    recipe = Recipe(start="lite", epochs=5, batch_size=6, validate_every=1, patience=2)
    fitting = a_fitting(canvases, tmp_path, recipe, validation=True)
    kept = []

    def validate() -> dict[str, float]:
        kept.append({name: tensor.clone() for name, tensor in fitting.average.tensors.items()})
        return {"a4c-4": next(errors)}

    monkeypatch.setattr(fitting, "validate", validate)
    network = fitting.run()
    assert fitting.step == 4 and fitting.best == {"epoch": 2, "error": pytest.approx(4.0), "validations since": 2}
    assert all(torch.equal(tensor, kept[1][name]) for name, tensor in learned_tensors(network).items())
    rows = log_rows(tmp_path)
    assert [row["best epoch"] for row in rows] == ["1", "2", "2", "2"]
    assert all(float(row["learning rate"]) > 0 and float(row["images per s"]) > 0 for row in rows)
    assert all(0 < float(row["waiting for data"]) < 1 for row in rows)
    again = a_fitting(canvases, tmp_path, recipe, validation=True).run()
    assert all(torch.equal(tensor, kept[1][name]) for name, tensor in learned_tensors(again).items())


def test_two_datasets_of_a_scheme_share_its_channels(tmp_path: Path) -> None:
    one, two = write_bars(tmp_path / "one", 4), write_bars(tmp_path / "two", 4, seed=1)
    backbone = choose_backbone(Recipe())
    requests = [TaskRequest(one, "fetal-head-4", (97, 97)), TaskRequest(two, "fetal-head-4")]
    tasks = plan_tasks(requests, backbone)
    assert [task.channels for task in tasks] == [slice(0, 4)] * 2
    assert [task.canvas_wh for task in tasks] == [(97, 97)] * 2
    assert backbone.network(tasks).domains == [(0, 4)]
    with pytest.raises(DatasetError, match="asked for twice"):
        plan_tasks([requests[0], TaskRequest(one, "fetal-head-4")], backbone)
    with pytest.raises(DatasetError, match="has 97x97 px already"):
        plan_tasks([requests[0], TaskRequest(two, "fetal-head-4", (129, 97))], backbone)
    folder = train(requests, tmp_path / "run", Recipe(epochs=1, batch_size=2, holdout=0.4), model_id="bars")
    assert list(json.loads((folder / "card.json").read_text())["schemes"]) == ["fetal-head-4"]


def test_devices_that_are_not_there_are_named() -> None:
    if torch.cuda.is_available():
        with pytest.raises(DatasetError, match="cannot run on 64 devices"):
            launched_fabric("32-true", 64)
    with pytest.raises(DatasetError, match="torchrun started 2"), pytest.MonkeyPatch.context() as environment:
        environment.setenv("TORCHELASTIC_RUN_ID", "1")
        environment.setenv("LOCAL_WORLD_SIZE", "2")
        launched_fabric("32-true", 3)


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    dataset = write_bars(tmp_path / "bars", 2)
    for options, words in (
        (["--backbone", "resnet"], "backbone is 'resnet'"),
        (["--adapt", "lora"], "LoRA adapts the Sapiens backbones"),
        (["--backbone", "sapiens-0.6b"], "no model 'sapiens-0.6b'"),
        (["--id", "A B"], "cannot be a model's id"),
    ):
        command = ["train", f"{dataset}=fetal-head-4", "--output", str(tmp_path / "run"), *options]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2 and words in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
