"""`medlandmark demo`: the embedded model on a real image that comes along with a dependency."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ImageError
from . import options
from .clip import clip_line, detect_clip_with_bar, value_table
from .console import complain, out, plain_errors, shown
from .detect import open_detector
from .progress import counting_bar
from .tables import landmark_table

DEMO_FILE = "examples_ybr_color.dcm"
DEMO_SCHEME = "a4c-4"

HELP = """Follow landmarks through a real echocardiogram, with nothing to download.

The clip is an apical four-chamber cine of 30 frames that ships with pydicom. All files of 'medlandmark detect --frame
all --figure --overlay gif' are written, and the first frame as a picture; the lesson that it holds about calibration is
told.
"""


def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="Folder for the results.")] = Path(
        "medlandmark-demo"
    ),
    verbose: options.VerboseOption = False,
) -> None:
    """The command; HELP is what the user reads."""
    with plain_errors(verbose):
        from ..export import write_figure
        from ..export.clip_outputs import write_clip_outputs
        from ..image.clip_reading import read_clip

        path = demo_image()
        clip = read_clip(path)
        with counting_bar() as bar:
            detector = open_detector(DEMO_SCHEME, None)
            detection = detect_clip_with_bar(detector, clip, bar)
            output.mkdir(parents=True, exist_ok=True)
            written = write_clip_outputs(detection, output, path.stem, with_figure=True, overlay="gif")
            written.append(output / f"{path.stem}.png")
            write_figure(detection.of_frame(0), written[-1])
        console, result = out(), detection.frames[0]
        print(f"Clip: {shown(path)}")
        size = "{} x {} px".format(*clip.size_wh)
        print(f"{clip.modality} cine of {size}; model {detection.model.id}; {clip_line(detection)}")
        console.print(landmark_table(result.landmarks))
        console.print(value_table(detection.measurement))
        if clip.calibration.kind == "none":
            print(f"Why px and not mm: {clip.calibration.source}")
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
