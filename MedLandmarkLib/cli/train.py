"""`medlandmark train`: from folders of annotated images to a model of one's own."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from .console import plain_errors
from .interrupt import StopOnInterrupt
from .progress import progress_bar

HELP = """Train one network on all the given datasets together, or adapt a trained one to them.

Only the cases of split "train" are read. A share of their subjects is held out to watch the error, to choose the best
epoch and to calibrate the confidence. Ctrl-C stops after a whole step; calling again with the same --output continues
there, also after a kill or a full disk.

From the beginning: medlandmark train data/ceph=head-19 data/echo=a4c-4@385x289 --output runs/joint --id joint

Lightly adapted to one dataset: medlandmark train data/ceph=head-19 --from runs/joint/model --adapt norms --output
runs/adapted --id adapted

MedSapiens with LoRA: medlandmark train data/ceph=head-19 --backbone sapiens-0.3b --from medsapiens --output runs/lora
--id mine
"""


def train_command(
    tasks: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER=SCHEME...",
            help="Datasets to learn from, each with its scheme; FOLDER=SCHEME@WIDTHxHEIGHT sets the canvas in px.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the run: checkpoints, log, and at the end the model.")],
    model_id: Annotated[str, typer.Option("--id", help="Id of the trained model.")] = "custom",
    backbone: Annotated[
        str | None,
        typer.Option(help="lite, sapiens-0.3b, -0.6b, -1b, -2b, or sapiens for the size of --from. Usually lite."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="Begin with this model's weights (id or folder), not the plain backbone's."
        ),
    ] = None,
    adapt: Annotated[
        str | None,
        typer.Option(
            help="What is learned: full, head, norms (normalisations and the last layer) or, for Sapiens, lora (and "
            "the head). Usually full for lite and lora for Sapiens."
        ),
    ] = None,
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="JSON file with other settings than the usual ones.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes through the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images that go through the network at once.")] = None,
    accumulate: Annotated[
        int | None, typer.Option(min=1, help="Batches to a step, on each device; for GPUs with little memory.")
    ] = None,
    checkpoint_gradients: Annotated[
        bool | None,
        typer.Option("--checkpoint-gradients", help="Sapiens: a third slower, with a fraction of the memory."),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = None,
    devices: Annotated[
        int | None, typer.Option(min=1, help="GPUs to use (or CPU processes); under torchrun leave it out.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="End after so many validations without a smaller error.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between checkpoints; usually one after every epoch.")
    ] = None,
    cases_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="Images of each dataset in a pass, at most; others come another time.")
    ] = None,
    rater: Annotated[
        str | None, typer.Option(help="Whose readings to learn from; usually the mean of all readers.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random; the same seed gives the same model.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where an error arose.")] = False,
) -> None:
    asked = {
        "backbone": backbone, "start": start, "adapt": adapt, "epochs": epochs, "batch_size": batch_size,
        "accumulate": accumulate, "checkpoint_gradients": checkpoint_gradients, "precision": precision,
        "patience": patience, "checkpoint_every": checkpoint_every, "cases_per_epoch": cases_per_epoch, "seed": seed,
    }  # fmt: skip
    asked = {name: value for name, value in asked.items() if value is not None}
    with plain_errors(verbose):
        from ..training.devices import is_first_process
        from ..training.recipe import Recipe
        from ..training.run import train
        from ..training.tasks import TaskRequest

        is_first = is_first_process()
        with progress_bar("Training") if is_first else nullcontext() as progress:
            folder = train(
                [TaskRequest.parse(text) for text in tasks],
                output,
                Recipe.from_file(recipe_file, **asked) if recipe_file else Recipe.usual(**asked),
                model_id=model_id,
                rater=rater,
                devices=devices,
                progress=progress,
                should_stop=StopOnInterrupt(),
            )
    if is_first:
        typer.echo(f"Model written to {folder}. Use it with: medlandmark detect IMAGE --scheme SCHEME --model {folder}")
