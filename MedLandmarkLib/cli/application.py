"""The commands of `medlandmark`, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from . import average, calibrate, demo, detect, evaluate, join, measure, teach, train, volume
from .console import EXIT_CODES
from .dataset import dataset_app
from .models import models_app
from .schemes import schemes_app

app = typer.Typer(
    name="medlandmark",
    help="Anatomical landmarks in medical images: radiographs, ultrasound, slices of volumes.\n\nBegin with: "
    "medlandmark demo\n\nNot a medical device: every landmark is to be checked by a person who can judge it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(f"medlandmark {__version__}")
        raise typer.Exit()


@app.callback()
def _shared(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options before the command."""


app.command("detect", help=detect.HELP, epilog=EXIT_CODES)(detect.detect_command)
app.command("volume", help=volume.HELP, epilog=EXIT_CODES)(volume.volume_command)
app.command("demo", help=demo.HELP)(demo.demo_command)
app.command("measure", help=measure.HELP, epilog=EXIT_CODES)(measure.measure_command)
app.command("evaluate", help=evaluate.HELP, epilog=EXIT_CODES)(evaluate.evaluate_command)
app.command("train", help=train.HELP, epilog=EXIT_CODES)(train.train_command)
app.command("teach", help=teach.HELP, epilog=EXIT_CODES)(teach.teach_command)
models_app.command("join", help=join.HELP, epilog=EXIT_CODES)(join.join_command)
models_app.command("average", help=average.HELP, epilog=EXIT_CODES)(average.average_command)
models_app.command("calibrate", help=calibrate.HELP, epilog=EXIT_CODES)(calibrate.calibrate_command)
app.add_typer(schemes_app, name="schemes")
app.add_typer(models_app, name="models")
app.add_typer(dataset_app, name="dataset")
