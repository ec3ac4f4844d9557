"""The Slicer module as its user feels it: from the click to the fiducials, the load of the module, a drag.

    python Testing/Benchmarks/module.py [--repeats 10] [--threads N] [--engine-python PYTHON]

It needs slicer-core and PySide6 (extra `test`) here, and torch in the Python that runs the engine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTING = Path(__file__).resolve().parent.parent
ROOT = TESTING.parent
sys.path[:0] = [str(TESTING), str(ROOT)]

import numpy as np  # noqa: E402
from slicer_module import HOST, MODULE_FILE, OpenModule  # noqa: E402
from table import print_table, processor_name  # noqa: E402

import slicer  # noqa: E402, isort: skip

COLUMNS_ROWS = (1935, 2400)
MOVES = 60
IMPORT = f"""
import sys, time
sys.path[:0] = {[str(TESTING), str(ROOT)]!r}
from pathlib import Path
from SlicerHost import start
host = start()
began = time.perf_counter()
module = host.load_module(Path({str(MODULE_FILE)!r}))
loaded = time.perf_counter()
module.enter()
print(loaded - began, time.perf_counter() - loaded, "torch" in sys.modules)
"""


def radiograph() -> tuple[np.ndarray, str]:
    """A picture of 1935 x 2400 px: a cephalogram of the public set where it is, else waves; and which it is."""
    import SimpleITK as sitk

    folder = Path(os.environ.get("MEDLANDMARK_DATA") or ROOT.parent / "shared" / "data") / "ceph_isbi" / "images"
    if not folder.is_dir():
        rows, columns = np.mgrid[: COLUMNS_ROWS[1], : COLUMNS_ROWS[0]]
        return (90 + 60 * np.sin(rows / 93) + 60 * np.cos(columns / 71)).astype(np.uint8), "a synthetic picture"
    from MedLandmarkLib import read_image

    picture = sitk.GetImageFromArray(read_image(sorted(folder.iterdir())[0]).display_rgb()[..., 0])
    scale = [(size - 1) / (wanted - 1) for size, wanted in zip(picture.GetSize(), COLUMNS_ROWS, strict=True)]
    enlarged = sitk.Resample(picture, COLUMNS_ROWS, sitk.Transform(), sitk.sitkLinear, (0.0, 0.0), scale)
    return sitk.GetArrayFromImage(enlarged), "a cephalogram"


def shown(picture: np.ndarray) -> object:
    """The picture as a volume in the scene, as Slicer loads one."""
    volume = HOST.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "radiograph")
    slicer.util.updateVolumeFromArray(volume, picture[None])
    volume.SetIJKToRASDirections(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    volume.CreateDefaultDisplayNodes()
    return volume


def detections(module: OpenModule, repeats: int, scheme: str) -> dict[str, list[float]]:
    """Seconds of each of `repeats` warm detections, by what was timed; the longest stall of the event loop too."""
    module.panel.schemes.choose(scheme)
    HOST.app.processEvents()
    wall, own, stall = [], [], []
    for _ in range(repeats + 1):
        began, began_own = time.perf_counter(), time.process_time()
        module.ui.detectButton.click()
        click = time.perf_counter() - began
        stall.append(max(click, HOST.wait_until(lambda: not module.logic.isBusy, 600)))
        wall.append(time.perf_counter() - began)
        own.append(time.process_time() - began_own)
        assert module.result is not None, module.ui.statusLabel.text
        if len(wall) <= repeats:  # the last one stays
            module.ui.undoButton.click()
            HOST.run_for(0.2)
    return {"first": wall[:1], "wall": wall[1:], "own": own[1:], "stall": stall[1:]}


def sixty_landmarks(module: OpenModule, volume: object, folder: Path) -> None:
    """Put a result of 60 landmarks, with the measurements of `head-19`, under review."""
    from MedLandmarkLib.landmark import Landmark, LandmarkSet, Status
    from MedLandmarkLib.mrml import create_result
    from MedLandmarkLib.scheme import load_scheme

    content = json.loads((ROOT / "Resources" / "Schemes" / "head-19.json").read_text(encoding="utf-8"))
    more = range(60 - len(content["landmarks"]))
    content["id"] = "head-60"
    content["landmarks"] += [{"name": f"point {n}", "definition": f"Point {n}."} for n in more]
    (folder / "head-60.json").write_text(json.dumps(content), encoding="utf-8")
    scheme = load_scheme(folder / "head-60.json")
    found = {landmark.name: landmark.ijk for landmark in module.review.prediction}
    landmarks = tuple(
        Landmark(name, ijk=found.get(name) or (200.0 + 20 * n, 300.0 + 30 * n, 0.0), status=Status.PREDICTED,
                 confidence=0.9)
        for n, name in enumerate(scheme.names)
    )  # fmt: skip
    module.parameters.result = create_result(HOST.scene, volume, LandmarkSet(scheme.id, landmarks), scheme)
    HOST.run_for(0.2)


def drag(module: OpenModule) -> tuple[list[float], list[float]]:
    """Seconds of each move of the point under the mouse, by the clock and of the processor."""
    node, start = module.result, module.point(0)
    node.InvokeEvent(node.PointStartInteractionEvent)
    wall, own = [], []
    for step in range(1, MOVES + 1):
        began, began_own = time.perf_counter(), time.process_time()
        node.SetNthControlPointPositionWorld(0, *(start + [0.5 * step, 0.3 * step, 0.0]))
        own.append(time.process_time() - began_own)
        wall.append(time.perf_counter() - began)
    node.InvokeEvent(node.PointEndInteractionEvent)
    HOST.run_for(0.2)
    return wall, own


def loads(repeats: int) -> list[tuple[float, float]]:
    """Seconds to load the module's file, and to open its panel the first time, in fresh processes."""
    times = []
    for _ in range(repeats):
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        load, panel, has_torch = done.stdout.split()[-3:]
        assert has_torch == "False", "the module imported torch"
        times.append((float(load), float(panel)))
    return times


def main() -> None:
    """Print the table of the module on this machine."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="warm detections timed, after one to start the engine")
    parser.add_argument("--threads", type=int, default=0, help="threads of the engine; 0: as torch chooses")
    parser.add_argument("--scheme", default="head-19", help="a scheme of the embedded model")
    python = os.environ.get("MEDLANDMARK_PYTHON") or sys.executable
    parser.add_argument("--engine-python", default=python, help="the Python that runs the engine; it has torch")
    given = parser.parse_args()
    os.environ["MEDLANDMARK_PYTHON"] = given.engine_python

    from MedLandmarkLib.engine import EngineClient

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if given.threads:
        environment["OMP_NUM_THREADS"] = str(given.threads)
    rows = []

    def add(name: str, seconds: list[float], unit: str = "s") -> None:
        scale = 1000 if unit == "ms" else 1
        rows.append([f"{name}, {unit}", *(f"{scale * f(seconds):.3g}" for f in (statistics.median, min, max))])

    with tempfile.TemporaryDirectory(prefix="medlandmark-benchmark-") as folder:
        os.environ["MEDLANDMARK_HOME"] = environment["MEDLANDMARK_HOME"] = folder
        picture, what = radiograph()
        module = OpenModule(HOST, EngineClient(given.engine_python, environment=environment))
        try:
            volume = shown(picture)
            module.parameters.inputVolume = volume
            HOST.run_for(0.3)
            times = detections(module, given.repeats, given.scheme)
            add("first click to fiducials in the scene (starts the engine)", times["first"])
            add("click to fiducials in the scene, warm", times["wall"])
            add("longest stall of the event loop, views drawn by the processor", times["stall"], "ms")
            HOST.app.pauseRender()  # drawing is Slicer's part, and done by the processor here
            times = detections(module, given.repeats, given.scheme)
            HOST.app.resumeRender()
            add("click to fiducials, views not drawn, warm", times["wall"])
            add("of that the module's own processor time", times["own"])
            sixty_landmarks(module, volume, Path(folder))
            points, measurements = len(module.review.landmarks), len(module.review.measurements)
            for is_drawn in (False, True):
                module.ui.drawingsBox.setChecked(is_drawn)
                HOST.run_for(0.2)
                wall, own = drag(module)
                drawings = "with its" if is_drawn else "without its"
                what = f"{points} with {measurements} measurements, {drawings} lines and angles"
                add(f"move of one point among {what}, two more results shown", wall, "ms")
                add("of that processor time", own, "ms")
        finally:
            module.close()
        load = loads(3)
        add("loading the module, fresh process", [pair[0] for pair in load])
        add("opening its panel the first time", [pair[1] for pair in load])
    title = f"The Slicer module, lite, {given.scheme}, {what} of {COLUMNS_ROWS[0]} × {COLUMNS_ROWS[1]} px. "
    print_table(f"{title}{processor_name()}.", ["", "median", "best", "worst"], rows)


if __name__ == "__main__":
    main()
