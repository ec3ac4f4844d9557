"""Sixty pictures of the wrong kind for a scheme: other anatomies, things that are no medical image, and no picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from MedLandmarkLib.dataset import read_dataset
from MedLandmarkLib.image import read_image

# Dataset of each scheme: its own pictures are the right kind.
DATASETS = {
    "head-19": "ceph_isbi",
    "a4c-4": "camus",
    "fetal-head-4": "hc18",
    "heart-lung-6": "chest_jsrt",
    "spine-68": "spine_aasce",
    "hand-37": "hand_xray",
}
COUNT = 60
_SIDE_WH = (640, 512)


def wrong_kind_pictures(scheme_id: str, data: Path) -> list[tuple[str, np.ndarray]]:
    """(name, uint8 (rows, columns, 3)) of COUNT pictures that no landmark of the scheme is in; always the same ones."""
    made = [*_plain(), *_noise(), *_texts(), *_photographs(), *_slices(data)]
    others = [folder for scheme, folder in DATASETS.items() if scheme != scheme_id]
    # one of each in turn, until there are enough; a dataset that runs out is passed over
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*(_of_dataset(data / folder) for folder in others)))
    medical = list(itertools.islice(filter(None, in_turn), max(0, COUNT - len(made))))
    return [*made, *medical][:COUNT]


def _grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(values).clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def _plain() -> Iterator[tuple[str, np.ndarray]]:
    width, height = _SIDE_WH
    for level in (0, 128, 255):
        yield f"constant {level}", _grey(np.full((height, width), float(level)))
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    yield "gradient, rising to the right", _grey(x)
    yield "gradient, rising downward", _grey(y)
    yield "gradient, from the centre", _grey(np.hypot(x - 127.5, y - 127.5) * 1.4)
    yield "chessboard", _grey(255.0 * ((x // 32 + y // 32) % 2))


def _noise() -> Iterator[tuple[str, np.ndarray]]:
    width, height = _SIDE_WH
    generator = np.random.default_rng(4)
    yield "white noise", _grey(generator.uniform(0, 255, (height, width)))
    yield "speckle", _grey(generator.rayleigh(50, (height, width)))
    for sigma in (4.0, 20.0):
        smooth = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(
            sitk.GetImageFromArray(generator.standard_normal((height, width))), sigma))  # fmt: skip
        yield f"clouds of {sigma:g} px", _grey(127.5 + 60 * smooth / smooth.std())


def _texts() -> Iterator[tuple[str, np.ndarray]]:
    from PIL import Image, ImageDraw, ImageFont

    width, height = _SIDE_WH
    words = ("Patient name,", "date of birth,", "referring physician,", "findings:", "no fracture line", "is seen.")
    for size, ink, paper in ((14, 0, 255), (24, 255, 0), (60, 20, 200)):
        page = Image.new("L", (width, height), paper)
        draw, font = ImageDraw.Draw(page), ImageFont.load_default(size)
        for line in range(height // (size + 6)):
            text = " ".join(words[(line * 5 + number) % len(words)] for number in range(12))
            draw.text((10, line * (size + 6)), text, fill=ink, font=font)
        yield f"text of {size} px", _grey(np.asarray(page, float))


def _photographs() -> Iterator[tuple[str, np.ndarray]]:
    """A portrait whole, in parts and turned, in colour; and a screenshot."""
    from matplotlib import cbook

    with cbook.get_sample_data("grace_hopper.jpg") as file:
        portrait = _read_colour(Path(file.name))
    rows, columns = portrait.shape[:2]
    yield "portrait", portrait
    yield "portrait, grey", _grey(portrait.mean(axis=2))
    yield "portrait, face", portrait[rows // 10 : rows // 2, columns // 4 : 3 * columns // 4]
    yield "portrait, uniform", portrait[rows // 2 :]
    yield "portrait, on its side", np.ascontiguousarray(np.rot90(portrait))
    yield "portrait, upside down, grey", _grey(portrait.mean(axis=2)[::-1])
    screenshots = Path(__file__).resolve().parent.parent / "Resources" / "Screenshots"
    yield "screenshot of the module's panel", _read_colour(screenshots / "panel.png")


def _read_colour(path: Path) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def _slices(data: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Middle slices of volumes: mouse heads by CT, brains by MRI."""
    for folder, count in (("mouse_ct", 6), ("brain_afids", 2)):
        for case in read_dataset(data / folder).cases[:count]:
            volume = sitk.GetArrayFromImage(sitk.ReadImage(str(case.image_path))).astype(float)
            middle = volume[len(volume) // 2] if folder == "mouse_ct" else volume[:, :, volume.shape[2] // 2][::-1]
            low, high = np.percentile(middle, (1, 99.5))
            yield f"{folder} {case.id}", _grey((middle - low) / max(high - low, 1e-6) * 255)


@cache
def _case_files(folder: Path) -> tuple[tuple[str, Path], ...]:
    """Validation cases first: no network learned from them, whatever their kind."""
    cases = sorted(read_dataset(folder).cases, key=lambda case: case.split != "val")
    return tuple((f"{folder.name} {case.id}", case.image_path) for case in cases)


def _of_dataset(folder: Path, most: int = 16) -> Iterator[tuple[str, np.ndarray]]:
    for name, path in _case_files(folder)[:most]:
        yield name, read_image(path).display_rgb()
