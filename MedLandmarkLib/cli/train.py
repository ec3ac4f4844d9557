"""`medlandmark train`: from folders of annotated images to a model of one's own."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .console import plain_errors
from .progress import progress_bar

HELP = """Train one small network on all the given datasets together.

Only the cases of split "train" are read. A share of their subjects is held out to watch the error and to calibrate the
confidence. Ctrl-C stops after a whole step; calling again with the same --output continues there.

Example: medlandmark train data/ceph=head-19 data/echo=a4c-4@385x289 --output runs/mine --id mine
"""


def train_command(
    tasks: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER=SCHEME...",
            help="Datasets to learn from, each with its scheme; FOLDER=SCHEME@WIDTHxHEIGHT sets the canvas in px.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, log, and at the end the model.")],
    model_id: Annotated[str, typer.Option("--id", help="Id of the trained model.")] = "custom",
    recipe_file: Annotated[
        Path | None, typer.Option("--recipe", help="JSON file with other settings than the usual ones.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes through the data.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Images in a step.")] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="MODEL", help="Begin with this model's weights (id or folder), not ImageNet's."),
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
    from ..training.recipe import Recipe
    from ..training.run import train
    from ..training.tasks import TaskRequest

    with plain_errors(verbose), progress_bar("Training") as progress:
        recipe = Recipe.from_file(recipe_file) if recipe_file else Recipe()
        asked = {
            "epochs": epochs, "batch_size": batch_size, "seed": seed, "start": start,
            "cases_per_epoch": cases_per_epoch,
        }  # fmt: skip
        recipe = replace(recipe, **{name: value for name, value in asked.items() if value is not None})
        folder = train(
            [TaskRequest.parse(text) for text in tasks],
            output,
            recipe,
            model_id=model_id,
            rater=rater,
            progress=progress,
            should_stop=_StopOnInterrupt(),
        )
    typer.echo(f"Model written to {folder}. Use it with: medlandmark detect IMAGE --scheme SCHEME --model {folder}")


class _StopOnInterrupt:
    """Answers yes once Ctrl-C was pressed, so that the run ends after a whole step and can be resumed."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGINT, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked
