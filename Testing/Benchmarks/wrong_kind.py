"""Whether confidence means something: wrong-kind pictures that are flagged, right ones that are not, and calibration.

python Testing/Benchmarks/wrong_kind.py [--model lite] [--scheme head-19 ...] [--most 130]

Needs the public datasets ($MEDLANDMARK_DATA, else ../shared/data).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import typer
from table import datasets_folder, print_table

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY / "Testing"))

from wrong_kinds import DATASETS, wrong_kind_pictures  # noqa: E402

from MedLandmarkLib.dataset import Case, read_dataset  # noqa: E402
from MedLandmarkLib.detection import LandmarkDetector  # noqa: E402
from MedLandmarkLib.detection.confidence import Judgement  # noqa: E402
from MedLandmarkLib.evaluation import expected_calibration_error, least_calibration_error  # noqa: E402
from MedLandmarkLib.image import read_image  # noqa: E402
from MedLandmarkLib.landmark import Status  # noqa: E402
from MedLandmarkLib.models.store import load_model  # noqa: E402
from MedLandmarkLib.training.observations import errors_of  # noqa: E402
from MedLandmarkLib.training.variation import varied_picture  # noqa: E402

COLUMNS = [
    "",
    "wrong kind flagged",
    "highest confidence there",
    "val pictures flagged",
    "varied val pictures flagged",
    "val landmarks right",
    "ECE on val",
    "ECE of a perfect model",
]


def main(
    model: str = typer.Option("lite", help="Id or folder of the model."),
    scheme: list[str] = typer.Option([], help="Schemes; default: all that the model knows and there are data for."),  # noqa: B008
    most: int = typer.Option(130, help="Validation pictures per scheme, at most."),
    wrong: bool = typer.Option(True, help="Whether to detect in the pictures of the wrong kind."),
) -> None:
    """Print the table. A picture is flagged where every landmark is doubtful or missing."""
    data = datasets_folder()
    loaded = load_model(model)
    names = scheme or [name for name in loaded.card.schemes if name in DATASETS]
    rows = [row_of(LandmarkDetector(name, loaded), data, most, wrong) for name in names]
    print_table(f"Model {loaded.card.id}, version {loaded.card.version}.", COLUMNS, rows)


def row_of(detector: LandmarkDetector, data: Path, most: int, wrong: bool) -> list[str]:
    scheme_id = detector.scheme.id
    dataset = read_dataset(data / DATASETS[scheme_id])
    cases = dataset.split("val")[:most]
    confidence, is_right, flagged, varied_flagged = [], [], 0, 0
    for number, case in enumerate(cases):
        picture = read_image(case.image_path).display_rgb()
        judgements, picture_xy = judged(detector, picture)
        flagged += is_flagged(judgements)
        varied_flagged += is_flagged(
            judged(detector, varied_picture(picture, np.random.default_rng([9, number]))[0])[0]
        )
        errors = known_errors(picture_xy, case, dataset.reference_rater(), detector)
        confidence += [judgements[k].confidence for k in errors]
        is_right += [error <= detector.scheme.tolerance for error in errors.values()]
    caught, highest = wrong_kinds_caught(detector, data) if wrong else ("not asked", "")
    figures = ["none", "none"] if None in confidence else calibration_figures(confidence, is_right)
    return [
        scheme_id, caught, highest, f"{flagged} of {len(cases)}", f"{varied_flagged} of {len(cases)}",
        f"{100 * np.mean(is_right):.1f} % of {len(is_right)}" if is_right else "none", *figures,
    ]  # fmt: skip


def judged(detector: LandmarkDetector, picture: np.ndarray) -> tuple[tuple[Judgement, ...], np.ndarray]:
    (peaks,) = detector.peaks([picture])
    limit_xy = np.array(picture.shape[1::-1]) - 0.5
    is_inside = np.all((peaks.picture_xy >= -0.5) & (peaks.picture_xy <= limit_xy), axis=1)
    return detector.confidence.judge(peaks, is_inside), peaks.picture_xy


def is_flagged(judgements: tuple[Judgement, ...]) -> bool:
    return all(item.status in (Status.DOUBTFUL, Status.MISSING) for item in judgements)


def known_errors(picture_xy: np.ndarray, case: Case, rater: str, detector: LandmarkDetector) -> dict[int, float]:
    """Errors by landmark number, of those that were read."""
    return {k: e for k, e in enumerate(errors_of(picture_xy, case, rater, detector.scheme)) if not np.isnan(e)}


def wrong_kinds_caught(detector: LandmarkDetector, data: Path) -> tuple[str, str]:
    caught, highest, pictures = 0, 0.0, wrong_kind_pictures(detector.scheme.id, data)
    for name, picture in pictures:
        judgements, _ = judged(detector, picture)
        highest = max([highest, *(item.confidence or 0.0 for item in judgements)])
        caught += is_flagged(judgements)
        if not is_flagged(judgements):
            sure = sum(item.status is Status.PREDICTED for item in judgements)
            print(f"{detector.scheme.id}: not flagged: {name} ({sure} of {len(judgements)} predicted)")
    return f"{caught} of {len(pictures)}", f"{highest:.2f}"


def calibration_figures(confidence: list[float], is_right: list[bool]) -> list[str]:
    return [f"{expected_calibration_error(confidence, is_right):.3f}", f"{least_calibration_error(confidence):.3f}"]


if __name__ == "__main__":
    typer.run(main)
