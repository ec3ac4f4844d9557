"""What the commands that work through image files share: which there are, and going on past one that fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import ImageError, ModelError, SchemeError
from ..image.finding import gather_images
from .console import NOTHING_DONE, SOME_FAILED, complain, complain_of
from .progress import counting_bar

if TYPE_CHECKING:
    from rich.progress import Progress


def images_among(inputs: Sequence[Path]) -> list[Path]:
    """The image files among the inputs and in their folders; what is left out is told. Exits where there is none."""
    images, remarks = gather_images(inputs)
    for remark in remarks:
        complain(remark)
    if not images:
        complain("there is no image to work on")
        raise typer.Exit(NOTHING_DONE)
    return images


def refuse_to_overwrite(images: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Raises ImageError where a result would take the place of an input: a.png beside --figure in its own folder."""
    inputs = {path.resolve() for path in images}
    for path in outputs:
        if path.resolve() in inputs:
            raise ImageError(f"{path} is an input and would be overwritten; choose another --output folder.")


def for_each_image(images: Sequence[Path], work: Callable[[Path, Progress], None], verbose: bool) -> None:
    """Do the work for each image, with the bar it may add rows to; one that fails is named and the others are done.

    Raises ModelError and SchemeError at once, as they are true of every image. Exits with SOME_FAILED at the end.
    """
    failures = 0
    with counting_bar() as bar:
        for path in bar.track(images, description="Detecting"):
            try:
                work(path, bar)
            except (ModelError, SchemeError):
                raise
            except Exception as error:  # one image must not stop the others
                complain_of(error, path, verbose)
                failures += 1
    if failures:
        if len(images) > 1:
            complain(f"{failures} of {len(images)} images failed")
        raise typer.Exit(SOME_FAILED)
