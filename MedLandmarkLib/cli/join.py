"""`medlandmark models join`: several small models in one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import plain_errors, shown
from .options import by_scheme

HELP = """Join small models into one, in which each scheme is found by the model that does it best.

MODELS are ids or model folders of family lite. A scheme that several of them know is taken from the last: name the
joint model first and those adapted to one dataset after it. Where that is not the best one, say so with --take.

    medlandmark models join runs/both runs/joint/model runs/fetal/model --id mine
"""


def join_command(
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder of the new model.", file_okay=False)],
    models: Annotated[list[str], typer.Argument(metavar="MODELS...", help="Ids or folders, at least two.")],
    model_id: Annotated[str, typer.Option("--id", help="Id of the new model.")],
    take: Annotated[
        list[str] | None,
        typer.Option(metavar="SCHEME=MODEL", help="Which of MODELS finds a scheme; may be given several times."),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep the weights in 16 bits: half the size.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where an error arose.")] = False,
) -> None:
    """The command; HELP is what the user reads."""
    from ..training.joining import join_models

    with plain_errors(verbose):
        taken = by_scheme(take, "--take", "MODEL")
        card = join_models(output, models, model_id, taken=taken, half=half)
    typer.echo(f"{shown(output)}: {', '.join(card.schemes)}; {card.size_bytes / 1e6:.1f} MB")
