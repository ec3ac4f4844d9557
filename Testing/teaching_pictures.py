"""Pictures to teach from: one drawn thing with corners, in many poses and greys, whose landmarks are known exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 225
# the drawn thing's own corners, px in its own frame, its middle at 0
CORNERS = np.array([(-55.0, -40.0), (60.0, -48.0), (48.0, 52.0), (-42.0, 60.0)])


def drawn_picture(
    seed: int, turn: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) uint8 and the corners (4, 2), px. The thing is the same; greys and noise follow the seed."""
    generator = np.random.default_rng(seed)
    angle = np.deg2rad(turn)
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    place = lambda points: np.asarray(points, float) @ linear.T + SIDE / 2 + np.array(shift)  # noqa: E731
    picture = Image.new("L", (SIDE, SIDE), 25)
    draw = ImageDraw.Draw(picture)

    def polygon(points: object, grey: int) -> None:
        draw.polygon([tuple(point) for point in place(points)], fill=grey)

    polygon(CORNERS, 120)
    polygon([(-55, -40), (-10, -44), (-20, 10)], 210)
    polygon([(60, -48), (20, -20), (52, 0)], 60)
    polygon([(48, 52), (10, 56), (20, 20), (50, 30)], 235)
    polygon([(-42, 60), (-46, 20), (-10, 40)], 40)
    ring = [(14 * np.cos(a) + 5, 14 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 24)]
    polygon(ring, 180)
    grey = np.asarray(picture.filter(ImageFilter.GaussianBlur(1.0)), float)
    grey = grey * generator.uniform(0.85, 1.1) + generator.normal(0.0, 4.0, grey.shape)
    return grey.clip(0, 255).astype(np.uint8), place(CORNERS)


def posed_picture(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The thing in a random pose."""
    generator = np.random.default_rng(1000 + seed)
    shift = tuple(generator.uniform(-10, 10, 2))
    return drawn_picture(seed, generator.uniform(-10, 10), generator.uniform(0.92, 1.08), shift)


def other_picture(seed: int) -> np.ndarray:
    """Nothing like it: stripes and noise."""
    generator = np.random.default_rng(seed)
    stripes = 128 + 80 * np.sin(np.arange(SIDE) / generator.uniform(2.0, 4.0))
    return (stripes[None] + generator.normal(0, 30, (SIDE, SIDE))).clip(0, 255).astype(np.uint8)


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Posed pictures as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        paths.append(folder / f"picture-{number:02d}.png")
        Image.fromarray(posed_picture(number)[0]).save(paths[-1])
    return paths
