"""`medlandmark teach`: a detector for one's own landmarks from one annotated image and many that are not."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from ..errors import DetectionCancelled, SchemeError
from ..oneshot.unannotated import plain_reason, require_enough, unannotated_images
from . import options
from .console import NOTHING_DONE, STOPPED, complain, out, plain_errors, shown
from .interrupt import StopOnInterrupt
from .progress import progress_bar
from .teach_inputs import Annotated as AnnotatedInputs
from .teach_inputs import find_scheme, read_templates
from .teach_volume import holds_volume, taught_from_volume

if TYPE_CHECKING:
    from ..oneshot.request import SetAside, TeachProgress, TeachResult
    from ..scheme import Scheme

HELP = """Learn landmarks from one annotated image, and many unannotated ones of the same kind.

    medlandmark teach images/ --propose 1

    medlandmark teach images/ --template a.png --points a.mrk.json --output runs/mine --id mine --install

    medlandmark teach --annotated datasets/ceph --count 5 --scheme head-19 --output runs/five

Points come as 3D Slicer's .mrk.json or as the .landmarks.json or .csv that detect writes; those that a model predicted
count once somebody accepted or edited them. Without --scheme the names of the points become a scheme of your own, which
travels with the model. Several pairs of --template and --points, or --annotated, teach from several images.

Unannotated images are files, folders, or dataset folders (their split "train"); no reading of them is ever opened.

Ctrl-C keeps the best model so far; the same command goes on from there.
"""


def teach_command(
    images: Annotated[
        list[Path] | None,
        typer.Argument(metavar="IMAGES...", help="Unannotated images: files or folders.", show_default=False),
    ] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", "-s", help="Which landmarks: an id or a scheme file.", show_default=False)
    ] = None,
    landmarks: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Make your own scheme of the names in this file of points.", dir_okay=False),
    ] = None,
    template: Annotated[
        list[Path] | None, typer.Option(metavar="IMAGE", help="An annotated image; may be given several times.")
    ] = None,
    points: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Its points: .mrk.json, .landmarks.json or .csv.", dir_okay=False),
    ] = None,
    annotated: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A dataset folder with annotated images.", file_okay=False)
    ] = None,
    cases: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Which cases of --annotated are used; else --count.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many cases of --annotated are used, drawn with --seed; usually 1.")
    ] = None,
    rater: Annotated[str | None, typer.Option(help="Whose readings in --annotated; usually the mean.")] = None,
    with_predicted: Annotated[
        bool, typer.Option("--with-predicted", help="Take predicted points of --points that nobody checked, too.")
    ] = False,
    method: Annotated[
        str, typer.Option(help="instant (no training), joint, specialists or fusion: from seconds to hours.")
    ] = "fusion",
    effort: Annotated[float, typer.Option(help="Factor on all training steps: 0.01 to 100.")] = 1.0,
    canvas: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Size that images are learned at, px; else it is chosen.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random; the same seed gives the same model.")] = 0,
    device: options.DeviceOption = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", file_okay=False, help="Folder of the run, and of the model in it.")
    ] = None,
    model_id: Annotated[
        str | None, typer.Option("--id", help="Id of the model, and of your own scheme; else the folder's name.")
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Put the finished model among the installed ones.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With --install: replace a model of the same id.")] = False,
    propose: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only name the N images that are most worth annotating.")
    ] = None,
    verbose: options.VerboseOption = False,
) -> None:
    """The command; HELP is what the user reads."""
    canvas_wh = _canvas_wh(canvas)
    if output is None and propose is None:
        raise typer.BadParameter("name the folder of the run with --output")
    case_ids = tuple(part.strip() for part in cases.split(",") if part.strip()) if cases else ()
    if (case_ids or count or rater) and annotated is None:
        raise typer.BadParameter("--cases, --count and --rater say which images of --annotated are used: give it, too")
    if case_ids and count:
        raise typer.BadParameter("--cases names the images and --count draws them: give one of the two")
    given = AnnotatedInputs(
        tuple(template or ()), tuple(points or ()), annotated, case_ids, count, rater, with_predicted
    )
    with plain_errors(verbose):
        unannotated, remarks = unannotated_images(images or ([annotated] if annotated is not None else []))
        for remark in remarks:
            complain(remark)
        if propose is not None:
            _propose(unannotated, propose)
            return
        from ..models.folder import checked_id
        from ..oneshot.own_landmarks import with_own_scheme
        from ..oneshot.request import TeachRequest, TeachSettings
        from ..scheme.own import scheme_id_from

        settings = TeachSettings(method, _network_canvas(canvas_wh), effort, seed)
        model_id = checked_id(model_id or scheme_id_from(output.resolve().name))
        definition = find_scheme(scheme, landmarks, given, model_id, output)
        if holds_volume(given):
            model = taught_from_volume(given, landmarks, definition, output, model_id)
            typer.echo(f"One volume was learned by heart, nothing else is needed. Model: {shown(model)}")
            _install(model, model_id, install, force)
            return
        templates = read_templates(given, landmarks, definition, seed)
        require_enough(templates, unannotated)
        request = TeachRequest(definition, templates, unannotated, model_id, settings)
        _tell_beginning(request)
        from ..oneshot.teaching import teach

        stop = StopOnInterrupt()
        try:
            with progress_bar("Teaching") as bar:
                result = teach(request, output, device=device, progress=_reporter(bar), should_stop=stop)
        except DetectionCancelled:
            complain(f"stopped before there was a model; the same command goes on from what is in {shown(output)}")
            raise typer.Exit(STOPPED) from None
        result = with_own_scheme(result, definition)
        _tell_result(result, definition)
        if not result.is_complete:
            complain("stopped; the model is the best so far, and the same command goes on from there")
            raise typer.Exit(STOPPED)
        _install(result.model, model_id, install, force)


def _install(model: Path, model_id: str, is_wanted: bool, force: bool) -> None:
    if is_wanted:
        from ..models.store import import_model

        (card,) = import_model([model], model_id, force=force)
        typer.echo(f"Installed {card.id}.")


def _canvas_wh(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{2,5})[xX×](\d{2,5})", text.strip())
    if match is None:
        raise typer.BadParameter(f"'{text}' is not a canvas: give WIDTHxHEIGHT in px, such as 512x640")
    return int(match[1]), int(match[2])


def _network_canvas(canvas_wh: tuple[int, int] | None) -> tuple[int, int] | None:
    """The nearest canvas that the network keeps aligned."""
    if canvas_wh is None:
        return None
    from ..models.lite import canvas_side

    return canvas_side(canvas_wh[0]), canvas_side(canvas_wh[1])


def _propose(images: tuple[Path, ...], count: int) -> None:
    """Name the images that are most worth annotating, best first."""
    from ..oneshot.choice import propose_template

    with progress_bar("Looking at the images") as bar:
        proposals = propose_template(images, count=count, progress=bar, should_stop=StopOnInterrupt())
    _tell_set_aside(getattr(proposals, "set_aside", ()))
    if not proposals:
        complain("none of the images can be proposed")
        raise typer.Exit(NOTHING_DONE)
    names = _short_names([proposal.path for proposal in proposals])
    rows = [(names[one.path], f"{one.typicality:.3f}", one.reason) for one in proposals]
    _print_table(("image", "typicality", "why"), rows)


def _tell_beginning(request: object) -> None:
    scheme, taught = request.scheme, request.taught
    typer.echo(
        f"Teaching {len(taught)} landmarks of scheme {scheme.id} from {len(request.templates)} annotated and "
        f"{len(request.image_paths)} other images ({request.settings.method})."
    )
    absent = [name for name in scheme.names if name not in taught]
    if absent:
        complain(f"not annotated, and so reported as missing: {', '.join(absent)}")


def _reporter(bar: Callable[[float, str], None]) -> Callable[[TeachProgress], None]:
    """What a teaching reports to: the bar; where that is not shown, a line for each phase."""
    is_shown, last = sys.stderr.isatty(), ""

    def report(progress: TeachProgress) -> None:
        nonlocal last
        text = progress.text
        if progress.estimate is not None:
            text += f" (views differ by {_number(progress.estimate, progress.unit)})"
        bar(progress.fraction, text)
        if not is_shown and progress.phase != last:
            last = progress.phase
            complain(f"{progress.phase}: {text}")

    return report


def _number(estimate: float, unit: str) -> str:
    return f"{estimate:.2f} {unit}" if unit == "mm" else f"{estimate:.1f} {unit}"


def _tell_set_aside(set_aside: tuple[SetAside, ...]) -> None:
    if not set_aside:
        return
    typer.echo("Not learned from:")
    names = _short_names([item.path for item in set_aside])
    _print_table(("file", "why"), [(names[item.path], plain_reason(item)) for item in set_aside])


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*headings, box=SIMPLE_HEAD)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*map(escape, row))
    out().print(table)


def _short_names(paths: Sequence[Path]) -> dict[Path, str]:
    """The files' names; with their folders where two have the same."""
    names = [path.name for path in paths]
    return {path: shown(path if names.count(path.name) > 1 else path.name) for path in paths}


def _tell_result(result: TeachResult, scheme: Scheme) -> None:
    from ..models.own_scheme import is_shipped

    _tell_set_aside(result.set_aside)
    if result.estimate is not None:
        typer.echo(
            f"Turned, shifted and scaled views of a picture differ by {_number(result.estimate, result.unit)}: the "
            "error is at least that. No reference was looked at."
        )
    try:
        name = scheme.id if is_shipped(scheme) else result.model / "scheme.json"
    except SchemeError:
        name = scheme.path
    typer.echo(f"Model: {shown(result.model)}")
    typer.echo(f"Use it: medlandmark detect IMAGE --scheme {shown(name)} --model {shown(result.model)} --output DIR")
