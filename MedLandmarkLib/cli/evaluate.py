"""`medlandmark evaluate`: predictions against reference points."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..dataset import Case, LandmarkDataset, read_dataset
from ..errors import DatasetError, ModelError, SchemeError
from ..evaluation import ALL_RATERS, evaluate_dataset, report_record
from ..export.evaluation_page import WORST_IMAGES, write_evaluation_page
from ..export.files import written_whole
from ..export.landmarks_json import LANDMARKS_SUFFIX, read_landmarks_json
from ..landmark import LandmarkSet
from ..scheme import load_scheme
from . import options
from .console import SOME_FAILED, complain, complain_of, out, plain_errors
from .detect import open_detector
from .evaluation_report import print_report
from .progress import counting_bar

HELP = """Measure how far landmarks lie from reference points.

With two arguments: files of 'medlandmark detect' against a dataset. Each STEM.landmarks.json belongs to the case whose
id or image has the name STEM.

    medlandmark evaluate results/ datasets/ceph --rater mean

With one argument: detect in the images of a dataset, then compare.

    medlandmark evaluate datasets/ceph --scheme head-19 --split val --exclude "Soft tissue pogonion"

A dataset is a folder with dataset.json, cases.csv (image, size, spacing, split) and landmarks.csv (case, rater,
landmark, x, y in pixels). Reported are the mean radial error with its standard deviation over points and over images,
the median, the 95th percentile and the success detection rate (SDR) at the scheme's radii, over all and per landmark,
and how far the scheme's measurements are off. --html adds intervals, charts, calibration and the worst images.

    medlandmark evaluate datasets/ceph --scheme head-19 --rater all --html page.html --json figures.json
"""


def evaluate_command(
    source: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS|DATASET", help="Folder or file of predictions, or the dataset.")
    ],
    reference: Annotated[
        Path | None,
        typer.Argument(metavar="REFERENCE", help="The dataset folder, or its landmarks.csv.", show_default=False),
    ] = None,
    scheme: Annotated[
        str | None, typer.Option("--scheme", "-s", help="Scheme; else that of the predictions.", show_default=False)
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Only the cases of this split of cases.csv.", show_default=False)
    ] = None,
    rater: Annotated[
        str | None,
        typer.Option(
            help="Whose points to compare with; else 'mean', or the only rater. 'all': each of them and their mean.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="LANDMARK", help="Leave this landmark out of the total; it is reported apart."),
    ] = None,
    case_value: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Compare this measurement with a column of cases.csv as well."),
    ] = None,
    model: options.ModelOption = None,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = options.Precision.FP32,
    flip: options.FlipOption = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, metavar="FILE", help="Write all figures as JSON.")
    ] = None,
    html_path: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, metavar="FILE", help="Write all figures as one page.")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="How many of the worst images the page shows.")] = WORST_IMAGES,
    verbose: options.VerboseOption = False,
) -> None:
    """The command; HELP is what the user reads."""
    if reference is None and scheme is None:
        raise typer.BadParameter("name the landmarks to detect with --scheme, or give predictions and a reference")
    with plain_errors(verbose):
        dataset = read_dataset(_dataset_folder(reference or source))
        cases = dataset.split(split) if split is not None else dataset.cases
        if rater != ALL_RATERS:
            dataset.reference_rater(rater)  # before the images are read, so that a wrong name is told at once
        columns = _case_values(case_value or ())
        if reference is None:
            detector = open_detector(scheme, model, device, precision.value, flip)
            predictions, failures = _detected(detector, cases, verbose)
            definition, model_id = detector.scheme, detector.model.card.id
        else:
            scheme_id, predictions, failures = _read_predictions(source, dataset, cases, verbose)
            definition, model_id = load_scheme(scheme or scheme_id), None
        report = evaluate_dataset(dataset, predictions, definition, rater, exclude or (), columns, split, model_id)
        if json_path is not None:
            json_path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(json_path) as temporary:
                text = json.dumps(report_record(report), indent=1, ensure_ascii=False)
                temporary.write_text(text + "\n", encoding="utf-8")
        if html_path is not None:
            html_path.parent.mkdir(parents=True, exist_ok=True)
            write_evaluation_page(report, html_path, worst)
        print_report(out(), report)
        if failures:
            raise typer.Exit(SOME_FAILED)


def _case_values(texts: Iterable[str]) -> dict[str, str]:
    """Measurement -> column, of "NAME=COLUMN"."""
    values = {}
    for text in texts:
        name, equals, column = text.rpartition("=")
        if not equals or not name or not column:
            raise typer.BadParameter(f"'{text}' must be NAME=COLUMN, such as HC=hc_reference_mm")
        values[name.strip()] = column.strip()
    return values


def _dataset_folder(path: Path) -> Path:
    return path.parent if path.suffix.lower() == ".csv" else path


def _detected(detector: object, cases: Iterable[Case], verbose: bool) -> tuple[dict[str, LandmarkSet], int]:
    """Landmarks by case, and how many images failed."""
    from ..image import read_image

    predictions, failures = {}, 0
    with counting_bar() as bar:
        for case in bar.track(list(cases), description="Detecting"):
            try:
                # The spacing of cases.csv serves for the errors only, so that detection sees what a user's image holds.
                predictions[case.id] = detector.detect(read_image(case.image_path)).frames[0].landmarks
            except (ModelError, SchemeError):
                raise
            except Exception as error:  # one image must not stop the others
                complain_of(error, case.image_path, verbose)
                failures += 1
    return predictions, failures


def _read_predictions(
    source: Path, dataset: LandmarkDataset, cases: Iterable[Case], verbose: bool
) -> tuple[str, dict[str, LandmarkSet], int]:
    """The scheme, the first frame's landmarks by case, and how many files failed. Raises DatasetError."""
    files = sorted(source.glob(f"*{LANDMARKS_SUFFIX}")) if source.is_dir() else [source]
    if not files:
        raise DatasetError(f"{source}: holds no file named *{LANDMARKS_SUFFIX}.")
    by_stem = _cases_by_stem(cases)
    known = _cases_by_stem(dataset)
    schemes: dict[str, Path] = {}
    predictions: dict[str, LandmarkSet] = {}
    failures, foreign = 0, []
    for path in files:
        stem = path.name.removesuffix(LANDMARKS_SUFFIX)
        if stem not in by_stem:
            foreign += [path.name] if stem not in known else []
            continue
        try:
            scheme_id, sets = read_landmarks_json(path)
        except Exception as error:  # one file must not stop the others
            complain_of(error, path, verbose)
            failures += 1
            continue
        schemes.setdefault(scheme_id, path)
        predictions[by_stem[stem].id] = sets[0]
    if foreign:
        complain(f"{len(foreign)} files belong to no case and were left out, such as {foreign[0]}", source)
    if len(schemes) > 1:
        raise DatasetError(f"The predictions are of several schemes: {', '.join(schemes)}. Evaluate one at a time.")
    if not predictions:
        example = dataset.cases[0].id
        raise DatasetError(f"{source}: no file is named after a case of {dataset.folder}, such as {example}.")
    without = sum(case.id not in predictions for case in cases)
    if without:
        complain(f"{without} cases have no prediction and are not counted", source)
    return next(iter(schemes)), predictions, failures


def _cases_by_stem(cases: Iterable[Case]) -> Mapping[str, Case]:
    """Cases by the name of their image, and by their id, which goes before it."""
    from .inputs import image_stem

    cases = list(cases)
    return {**{image_stem(case.image_path): case for case in cases}, **{case.id: case for case in cases}}
