"""`medlandmark volume`: landmarks in CT, CBCT, micro-CT and MR volumes, in space or on planes cut through them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import plain_errors
from .detect import open_detector, report
from .each_image import for_each_image, images_among, refuse_to_overwrite
from .inputs import output_stems
from .volume_options import VolumeTask, directions_of, task_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..detection import Detection, LandmarkDetector
    from ..detection.atlas import AtlasDetector
    from ..detection.volume import VolumeDetector
    from ..image import Image

HELP = """Find landmarks in volumes and write them to files, in patient space.

Without more, the whole volume is searched: planes in three directions of the anatomy, however it lies in the scanner,
coarse first and then fine around each landmark. With --cephalogram, a lateral radiograph is computed from a head CT and
read, and each point is brought back with its uncertainty in depth. With --plane or --tooth, planes are cut and read.

    medlandmark volume mouse.nii.gz --scheme mouse-skull-45 --model runs/mouse/model --output results

    medlandmark volume head.nrrd --scheme head-19 --cephalogram --figure --output results

    medlandmark volume jaw.nrrd --scheme tooth-16 --model teeth --tooth 3,42,-20:4,38,-8 --output results
"""


def volume_command(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Volume files, or folders of them.", show_default=False)
    ],
    scheme: options.SchemeOption,
    output: options.OutputOption,
    model: options.ModelOption = None,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = options.Precision.FP32,
    flip: options.FlipOption = None,
    directions: Annotated[
        str, typer.Option(metavar="NAMES", help="Of the planes: some of sagittal,coronal,axial. Fewer are faster.")
    ] = "sagittal,coronal,axial",
    cephalogram: Annotated[
        bool, typer.Option("--cephalogram", help="Read a lateral radiograph computed from a head CT.")
    ] = False,
    plane: Annotated[
        str | None,
        typer.Option(
            metavar="PLANE", show_default=False,
            help="Read one plane: axial:120 (number along an anatomical axis), or three points X,Y,Z:X,Y,Z:X,Y,Z.",
        ),
    ] = None,
    tooth: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CROWN:APEX", show_default=False,
            help="Read the labiolingual plane of a tooth, from two points X,Y,Z:X,Y,Z (RAS). Once for each tooth.",
        ),
    ] = None,
    labial: Annotated[
        str, typer.Option(metavar="X,Y,Z", help="With --tooth: the direction from the teeth to the lip, RAS.")
    ] = "0,1,0",
    pixel: Annotated[
        float | None, typer.Option(min=0.001, help="With --plane: mm per pixel; else the finest of the volume.")
    ] = None,
    frame: Annotated[
        int | None, typer.Option(min=0, help="Of volumes taken one after the other: which, from 0.", show_default=False)
    ] = None,
    figure: Annotated[
        bool, typer.Option("--figure", help="Also draw STEM.png: plane, radiograph, or cuts through each point.")
    ] = False,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:  # fmt: skip
    """The command; HELP is what the user reads."""
    task = task_of(cephalogram, plane, tooth or [], labial, pixel)
    chosen = directions_of(directions)
    with plain_errors(verbose):
        from ..export import write_outputs
        from ..image import read_image

        images = images_among(inputs)
        stems = output_stems(images)
        refuse_to_overwrite(images, [path for stem in stems.values() for path in _outputs(output, stem, task, figure)])
        detector = open_detector(scheme, model, device, precision.value, flip, task.kind == "whole")
        output.mkdir(parents=True, exist_ok=True)

        def detect_in(path: Path, bar: Progress) -> None:
            for suffix, detection in _detections(detector, read_image(path), task, chosen, frame, bar):
                written = write_outputs(detection, output, stems[path] + suffix, figure)
                report(detection, path, written, quiet, is_single=len(images) == 1)

        for_each_image(images, detect_in, verbose)


def _detections(
    detector: VolumeDetector | AtlasDetector | LandmarkDetector,
    image: Image,
    task: VolumeTask,
    directions: tuple[str, ...],
    frame: int | None,
    bar: Progress,
) -> list[tuple[str, Detection]]:
    """What is added to the name of the files, and the detection, of each plane."""
    row = bar.add_task("", total=100, visible=False)

    def advance(fraction: float, text: str) -> None:
        bar.update(row, completed=round(100 * fraction), description=text, visible=True)

    try:
        if task.kind == "whole":
            return [("", detector.detect(image, frame=frame, directions=directions, progress=advance))]
        from ..detection.volume.check import require_volume

        frame = require_volume(image, frame)
        if task.kind == "cephalogram":
            from ..detection.projection import detect_in_projection, lateral_cephalogram

            projection, midsagittal = lateral_cephalogram(image, frame=frame)
            return [("", detect_in_projection(detector, image, projection, midsagittal, frame=frame, progress=advance))]
        planes = task.planes(image)
        return [
            (
                f"-{number}" if len(planes) > 1 else "",
                detector.detect(image, frames=(frame,), plane=plane, progress=advance),
            )
            for number, plane in enumerate(planes, 1)
        ]
    finally:
        bar.remove_task(row)


def _outputs(output: Path, stem: str, task: VolumeTask, figure: bool) -> list[Path]:
    from ..export import output_paths

    suffixes = [f"-{number}" for number in range(1, len(task.teeth) + 1)] if len(task.teeth) > 1 else [""]
    return [path for suffix in suffixes for path in output_paths(output, stem + suffix, figure)]
