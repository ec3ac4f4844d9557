"""`medlandmark demo`: the embedded model on a real image that comes along with a dependency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ImageError
from . import options
from .console import complain, out, plain_errors, shown
from .detect import detect_with_bar, open_detector
from .progress import counting_bar
from .tables import landmark_table, measurement_table

DEMO_FILE = "examples_ybr_color.dcm"
DEMO_SCHEME = "a4c-4"

HELP = """Detect landmarks in a real echocardiogram, with nothing to download.

The image is an apical four-chamber cine that ships with pydicom. All files of 'medlandmark detect --figure' are
written, and the lesson that it holds about calibration is told.
"""


def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="Folder for the results.")] = Path(
        "medlandmark-demo"
    ),
    frame: options.FrameOption = "0",
    verbose: options.VerboseOption = False,
) -> None:
    """The command; HELP is what the user reads."""
    frames = options.frames(frame)
    with plain_errors(verbose):
        from ..export import write_outputs
        from ..image import read_image

        path = demo_image()
        image = read_image(path)
        with counting_bar() as bar:
            detector = open_detector(DEMO_SCHEME, None)
            detection = detect_with_bar(detector, image, frames, None, bar)
            output.mkdir(parents=True, exist_ok=True)
            written = write_outputs(detection, output, path.stem, with_figure=True)
        console, result = out(), detection.frames[0]
        print(f"Image: {shown(path)}")
        size = "{} x {} px".format(*image.size)
        print(f"{image.modality} cine, {image.frame_count} frames of {size}; model {detection.model.id}")
        console.print(landmark_table(result.landmarks))
        console.print(measurement_table(result.measurements))
        if image.calibration.kind == "none":
            print(f"Why px and not mm: {image.calibration.source}")
        print("Results:")
        for target in written:
            print(f"  {shown(target)}")
        for note in detection.notes:
            complain(note)


def demo_image() -> Path:
    """The cine in pydicom's own installation. Raises ImageError where it was left out."""
    from pydicom.data import get_testdata_file

    found = get_testdata_file(DEMO_FILE, download=False)
    if not found:
        raise ImageError(
            f"pydicom is installed without its example {DEMO_FILE}; try: pip install --force-reinstall pydicom"
        )
    return Path(found)
