"""`medlandmark models calibrate`: what makes a model's confidence mean something."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import complain, plain_errors
from .options import by_scheme
from .progress import progress_bar

HELP = """Fit the confidence of a trained model, and its check for pictures of the wrong kind.

FOLDER is a model folder (card.json and its weights), as training leaves it. Each dataset is the one that the model
learned the scheme from. Detection runs as it will for users in cases of split "train": in those that the training held
out, as they are and varied as other hospitals would have them, and in some that it learned from. Written are the
card's `confidence` entries, and a small file for each scheme beside it. Training ends with this by itself; give the
command again when detection has changed.

    medlandmark models calibrate runs/mine/model data/ceph=head-19 data/echo=a4c-4

With --views the model looks at each picture several times, a little nearer or moved, and takes the mean: fewer errors,
and as many times the seconds.

A model that in the end learned from the held-out cases too is too sure in them. --twin names, for a scheme, the folder
of one trained alike that did not, and was calibrated: its probabilities are taken over.
"""


def calibrate_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="The model's folder.")],
    tasks: Annotated[
        list[str], typer.Argument(metavar="DATASET=SCHEME...", help="Datasets, each with its scheme, as for train.")
    ],
    holdout: Annotated[
        float | None,
        typer.Option(min=0.0, max=0.9, help="Share of the subjects held out; else as the card's recipe says."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the training; else as the card's recipe says.")] = None,
    rater: Annotated[str | None, typer.Option(help="Whose readings count; usually the mean of all readers.")] = None,
    views: Annotated[
        list[str] | None,
        typer.Option(metavar="SCHEME=N", help="Looks at each picture from now on, 1 to 4; may be given several times."),
    ] = None,
    twin: Annotated[
        list[str] | None,
        typer.Option(metavar="SCHEME=FOLDER", help="Whose probabilities to take over; may be given several times."),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where an error arose.")] = False,
) -> None:
    from ..training.calibrate_model import calibrate_model, holdout_of
    from ..training.tasks import TaskRequest

    with plain_errors(verbose):
        requests = [TaskRequest.parse(text) for text in tasks]
        if holdout is None or seed is None:
            told_holdout, told_seed = holdout_of(folder)
            holdout, seed = told_holdout if holdout is None else holdout, told_seed if seed is None else seed
        numbers = by_scheme(views, "--views", "N", str.isdigit)
        looks = {scheme: int(number) for scheme, number in numbers.items()}
        twins = {scheme: Path(place) for scheme, place in by_scheme(twin, "--twin", "FOLDER").items()}
        with progress_bar("Calibrating") as progress:
            notes = calibrate_model(
                folder, requests, holdout=holdout, seed=seed, rater=rater, views=looks, twins=twins, progress=progress
            )
        for note in notes:
            complain(note)
    typer.echo(f"The confidence of {folder} was fitted anew.")
