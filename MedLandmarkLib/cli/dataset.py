"""`medlandmark dataset`: what is wrong with a dataset, and making one from markups."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ..dataset.building import CHECKED, write_dataset
from ..dataset.checking import DatasetReport, check_dataset
from ..dataset.finding import ERROR
from ..dataset.from_markups import find_pairs, read_annotated
from ..dataset.report_pages import MOST_CELLS, summary, write_page, write_sheet
from ..errors import DatasetError
from ..landmark import Status
from ..scheme import load_scheme
from . import options
from .console import EXIT_CODES, SOME_FAILED, out, plain_errors
from .progress import progress_bar

dataset_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Check folders of annotated images, and make them from 3D Slicer's markups.",
)

CHECK_HELP = """Look for mistakes in a dataset before a model learns from them.

    medlandmark dataset check datasets/ceph --scheme head-19 --html report.html

    medlandmark dataset check "annotations/leg_coco_*.json" --images images/ --figure sheet.png

Found are, as errors: files and numbers that cannot be read, images that are missing, broken or of another size or
spacing than stated, landmarks outside their image, exchanged landmarks, wrong units (mm for px, a spacing off by 10),
a subject or an image in two splits, a split without cases. As warnings: landmarks far from their usual place, mirrored
or turned readings, several landmarks on one place, images without a spacing among others with one.

The dataset is a folder with dataset.json, cases.csv and landmarks.csv, or COCO keypoint files: one .json, a pattern in
quotes for its splits, or a folder of them.
"""


@dataset_app.command("check", help=CHECK_HELP, epilog=EXIT_CODES.replace("some inputs failed", "errors were found"))
def check_command(
    path: Annotated[
        Path, typer.Argument(metavar="FOLDER|FILE.json", help="The dataset: a folder, or COCO keypoint files.")
    ],
    scheme: Annotated[
        str | None,
        typer.Option("--scheme", "-s", help="The scheme that the landmarks belong to.", show_default=False),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder of the images, where COCO files are not beside them."),
    ] = None,
    html_path: Annotated[
        Path | None,
        typer.Option("--html", dir_okay=False, metavar="FILE", help="Write one page: findings and contact sheet."),
    ] = None,
    figure_path: Annotated[
        Path | None,
        typer.Option("--figure", dir_okay=False, metavar="FILE.png", help="Write the contact sheet alone."),
    ] = None,
    most: Annotated[int, typer.Option("--cells", min=1, max=600, help="Images on the contact sheet.")] = MOST_CELLS,
    as_json: options.JsonOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """The command; CHECK_HELP is what the user reads."""
    with plain_errors(verbose):
        definition = load_scheme(scheme) if scheme is not None else None
        with progress_bar("Checking") as progress:
            report = check_dataset(path, definition, images=images, progress=progress)
        for target, write in ((html_path, write_page), (figure_path, write_sheet)):
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                write(report, target, most)
        if as_json:
            print(json.dumps(report.as_record(), indent=1, ensure_ascii=False))
        else:
            _print(report)
        if report.errors:
            raise typer.Exit(SOME_FAILED)


FROM_SCENE_HELP = """Make a dataset from images and the points that were set in them in 3D Slicer.

    medlandmark dataset from-scene annotated/ --output datasets/mine --scheme head-19

    medlandmark dataset from-scene --pair a.dcm=a_landmarks.mrk.json --pair b.dcm=b.mrk.json --output datasets/mine

The folder holds images and, under the same name, the markups that Slicer saved: a.png and a.mrk.json. Points count that
a person placed, accepted or moved; predictions that nobody looked at, doubtful and missing ones are left out unless
--include asks for them. Images are copied unchanged, with everything that their headers say of a patient.
"""


@dataset_app.command("from-scene", help=FROM_SCENE_HELP)
def from_scene_command(
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="The new dataset folder.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", file_okay=False, help="Images and markups of the same names.")
    ] = None,
    pair: Annotated[
        list[str] | None, typer.Option("--pair", metavar="IMAGE=MARKUPS", help="An image and its markups; repeat it.")
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option("--scheme", "-s", help="The scheme of the points; else every label counts.", show_default=False),
    ] = None,
    include: Annotated[
        list[Status] | None,
        typer.Option("--include", help="Take points of this status, too: predicted or doubtful.", show_default=False),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(metavar="MM|X,Y", help="Pixel size that images without one were calibrated with in Slicer."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject-pattern", metavar="REGEX",
            help="What of a file's name tells the person, as its first group: '(p\\d+)_.*'. Else each image is one.",
        ),
    ] = None,
    validation_share: Annotated[
        float, typer.Option("--val", min=0.0, max=0.9, help="Share of the subjects for split val; the rest is train.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing of subjects.")] = 0,
    rater: Annotated[str, typer.Option(help="Who set the points.")] = "annotated",
    verbose: options.VerboseOption = False,
) -> None:  # fmt: skip
    """The command; FROM_SCENE_HELP is what the user reads."""
    if (folder is None) == (not pair):
        raise typer.BadParameter("give a folder of images and markups, or pairs with --pair IMAGE=MARKUPS")
    size_mm = options.spacing_mm(spacing)
    pairs = [_pair(text) for text in pair or ()]
    subject_of = _subject_finder(subject) if subject is not None else None
    with plain_errors(verbose):
        definition = load_scheme(scheme) if scheme is not None else None
        annotated = read_annotated(
            pairs or find_pairs(folder), definition, spacing_mm=size_mm, subject_of=subject_of, rater=rater
        )
        statuses = CHECKED | frozenset(include or ())
        made = write_dataset(
            output, annotated, scheme=definition, validation_share=validation_share, seed=seed, statuses=statuses
        )
        left_out = sum(item.status not in statuses for one in annotated for item in one.landmarks)
        count = sum(len(one.landmarks) for one in annotated) - left_out
        typer.echo(f"Wrote {made}: {len(annotated)} images, {count} landmarks, {left_out} left out by their status.")
        typer.echo(f"Check it: medlandmark dataset check {made}{f' --scheme {scheme}' if scheme else ''}")


def _pair(text: str) -> tuple[Path, Path]:
    image, separator, markups = text.rpartition("=")
    if not separator or not image or not markups:
        raise typer.BadParameter(f"'{text}' is not a pair: give IMAGE=MARKUPS, such as a.dcm=a.mrk.json")
    return Path(image), Path(markups)


def _subject_finder(pattern: str) -> Callable[[Path], str]:
    try:
        compiled = re.compile(pattern)
    except re.error as failure:
        raise typer.BadParameter(f"'{pattern}' is not a regular expression ({failure})") from failure
    if not compiled.groups:
        raise typer.BadParameter(f"'{pattern}' has no group in brackets that tells the person")

    def subject_of(path: Path) -> str:
        match = compiled.match(path.name)
        if match is None or not match[1]:
            raise DatasetError(f"{path}: its name does not fit the subject pattern '{pattern}'.")
        return match[1]

    return subject_of


def _print(report: DatasetReport) -> None:
    console = out()
    if report.findings:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for heading in ("", "kind", "what", "what to do"):
            table.add_column(heading, overflow="fold", no_wrap=heading in ("", "kind"))
        for finding in report.findings:
            style = "red" if finding.severity == ERROR else "yellow"
            texts = (finding.severity, finding.kind, finding.what, finding.advice)
            table.add_row(*map(escape, texts), style=style)
        console.print(table)
    console.print(summary(report), markup=False)
    for note in report.notes:
        console.print(f"Note: {note}", markup=False)
