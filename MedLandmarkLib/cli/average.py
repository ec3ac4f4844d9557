"""`medlandmark models average`: the mean of several trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import plain_errors, shown

HELP = """Average small models that were trained alike: as quick as one of them, and steadier than any.

MODELS are ids or model folders of family lite that began with the same weights and learned the same data with other
seeds. Calibrate the mean afterwards: its confidence is its own.

    medlandmark models average runs/mean runs/seed0/model runs/seed1/model --id mean
"""


def average_command(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder of the new model.", file_okay=False)],
    models: Annotated[list[str], typer.Argument(metavar="MODELS...", help="Ids or folders, at least two.")],
    model_id: Annotated[str, typer.Option("--id", help="Id of the new model.")],
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where an error arose.")] = False,
) -> None:
    """The command; HELP is what the user reads."""
    from ..training.averaging import average_models

    with plain_errors(verbose):
        card = average_models(output, models, model_id)
    typer.echo(f"{shown(output)}: the mean of {len(models)} models, {', '.join(card.schemes)}")
