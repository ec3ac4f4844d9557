"""`medlandmark detect`: landmarks in images, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..models.choice import choose_model
from . import options
from .clip import detect_clip_with_bar, open_clip, report_clip
from .console import complain, out, plain_errors, shown
from .each_image import for_each_image, images_among, refuse_to_overwrite
from .inputs import output_stems
from .tables import counted, landmark_table, measurement_table

if TYPE_CHECKING:
    from rich.progress import Progress

    from ..detection import Detection, LandmarkDetector
    from ..detection.atlas import AtlasDetector
    from ..detection.volume import VolumeDetector

HELP = """Find landmarks in images and write them to files.

For each image: STEM.mrk.json (opens in 3D Slicer), STEM.csv, STEM.landmarks.json (for programs), and STEM.png with
--figure. An image that cannot be read is named on stderr and the others are done all the same.

With --frame all, a clip (multi-frame DICOM, AVI, MP4, NRRD sequence) is followed through time where the scheme measures
beats (a4c-4, plax-4): also STEM.summary.json and STEM.curves.csv, STEM.curves.png with --figure, and a moving picture
with --overlay.

    medlandmark detect ceph.png --scheme head-19 --spacing 0.1 --figure --output results

    medlandmark detect loop.dcm --scheme a4c-4 --frame all --figure --overlay gif --output results
"""


def detect_command(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Image files, or folders of them.", show_default=False)
    ],
    scheme: options.SchemeOption,
    output: options.OutputOption,
    model: options.ModelOption = None,
    device: options.DeviceOption = "auto",
    precision: options.PrecisionOption = options.Precision.FP32,
    flip: options.FlipOption = None,
    spacing: Annotated[
        str | None,
        typer.Option(metavar="MM", help="Pixel spacing that you know: mm, or x,y. Goes before the file's own."),
    ] = None,
    ruler: Annotated[
        str | None,
        typer.Option(metavar="X1,Y1,X2,Y2,MM", help="Calibrate by a line in the image, in px, of known length in mm."),
    ] = None,
    frame: options.FrameOption = "0",
    slice_index: Annotated[
        int | None, typer.Option("--slice", min=0, help="Of a volume: the stored slice, from 0.", show_default=False)
    ] = None,
    figure: options.FigureOption = False,
    overlay: options.OverlayOption = None,
    quiet: options.QuietOption = False,
    verbose: options.VerboseOption = False,
) -> None:
    """The command; HELP is what the user reads."""
    spacing_mm, ruler_line, frames = options.spacing_mm(spacing), options.ruler(ruler), options.frames(frame)
    if spacing_mm and ruler_line:
        raise typer.BadParameter("--spacing and --ruler both calibrate: give one of them")
    with plain_errors(verbose):
        from ..export import output_paths, write_outputs
        from ..export.clip_outputs import clip_output_paths, write_clip_outputs
        from ..image import read_image

        images = images_among(inputs)
        stems, is_single = output_stems(images), len(images) == 1
        outputs = [path for stem in stems.values() for path in output_paths(output, stem, figure)]
        outputs += [path for stem in stems.values() for path in clip_output_paths(output, stem, figure, overlay, True)]
        refuse_to_overwrite(images, outputs)
        detector = open_detector(scheme, model, device, precision.value, flip, None if slice_index is None else False)
        output.mkdir(parents=True, exist_ok=True)

        def detect_in(path: Path, bar: Progress) -> None:
            clip = open_clip(path, frames, detector.scheme, spacing_mm, ruler_line)
            if clip is not None:
                followed = detect_clip_with_bar(detector, clip, bar)
                written = write_clip_outputs(followed, output, stems[path], figure, overlay)
                report_clip(followed, path, written, quiet, is_single)
                return
            image = read_image(path, spacing_mm=spacing_mm, ruler=ruler_line)
            detection = detect_with_bar(detector, image, frames, slice_index, bar)
            report(detection, path, write_outputs(detection, output, stems[path], figure), quiet, is_single)

        for_each_image(images, detect_in, verbose)


def open_detector(
    scheme: str,
    model: str | None,
    device: str = "auto",
    precision: str = "fp32",
    flip: bool | None = None,
    whole_volumes: bool | None = False,
) -> LandmarkDetector | VolumeDetector | AtlasDetector:
    """The detector for a scheme, with its model loaded. Raises SchemeError, ModelError.

    whole_volumes: whether all of a volume is to be searched, and not a slice; None: if the model was made for volumes.
    """
    from ..models.own_scheme import scheme_known_to

    definition = scheme_known_to(scheme, model)
    model = choose_model(definition, model)
    from ..detection import LandmarkDetector, open_volume_detector
    from ..detection.opening import is_for_volumes

    if whole_volumes is None:
        whole_volumes = is_for_volumes(model)
    if whole_volumes:
        return open_volume_detector(definition, model, device=device, precision=precision, flip=flip)
    return LandmarkDetector(definition, model, device=device, precision=precision, flip=flip)


def detect_with_bar(
    detector: LandmarkDetector | VolumeDetector | AtlasDetector,
    image: object,
    frames: object,
    slice_index: int | None,
    bar: Progress,
) -> Detection:
    """Detect in one image; a long one (a cine, a volume) shows a second bar."""
    from ..detection.atlas import AtlasDetector
    from ..detection.volume import VolumeDetector

    task = bar.add_task("", total=100, visible=False)

    def advance(fraction: float, text: str) -> None:
        bar.update(task, completed=round(100 * fraction), description=text, visible=True)

    try:
        if isinstance(detector, (VolumeDetector, AtlasDetector)):
            frame = frames[0] if frames != "all" and image.frame_count > 1 else None
            return detector.detect(image, frame=frame, progress=advance)
        return detector.detect(image, frames=frames, slice_index=slice_index, progress=advance)
    finally:
        bar.remove_task(task)


def report(detection: Detection, path: Path, written: list[Path], quiet: bool, is_single: bool) -> None:
    """Say what was found: in tables for a single image, in a line for one of many; notes go to stderr."""
    for note in detection.notes:
        complain(note, path)
    if quiet:
        return
    console, first = out(), detection.frames[0]
    if not is_single:
        print(f"{shown(path)}: {counted(first.landmarks)} -> {shown(written[0])}")
        return
    console.print(landmark_table(first.landmarks))
    if first.measurements:
        console.print(measurement_table(first.measurements))
    if len(detection.frames) > 1:
        print(f"{len(detection.frames)} frames; the table shows the first, the files hold all.")
    for target in written:
        print(shown(target))
