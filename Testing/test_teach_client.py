"""Teaching through the engine's client: progress, the model that detects, and what a cancel brings."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from teach_inputs import POINTS, a_folder, an_image

from MedLandmarkLib.engine.teach_client import TeachClient
from MedLandmarkLib.models import store

__all__ = ["a_folder"]

TESTING = Path(__file__).resolve().parent
PATIENCE_S = 120.0


class Watched:
    """A client of a worker with a stand-in for the teaching, and all that its signals said."""

    def __init__(self, step_s: float) -> None:
        path = os.pathsep.join((str(TESTING.parent), str(TESTING)))
        environment = {**os.environ, "MEDLANDMARK_TEST_STEP_S": str(step_s), "PYTHONPATH": path}
        self.client = TeachClient(sys.executable, [str(TESTING / "teaching_worker.py")], environment)
        self.said: list[tuple] = []
        for name in ("progress", "detailed", "finished", "failed", "cancelled", "stopped"):
            getattr(self.client, name).connect(lambda *values, name=name: self.said.append((name, *values)))

    def of(self, name: str) -> list[tuple]:
        return [news[1:] for news in self.said if news[0] == name]

    def poll_until(self, condition: Callable[[], object]) -> float:
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < PATIENCE_S, self.said
            self.client.poll()
            time.sleep(0.005)
        return time.monotonic() - began

    def has_reached(self, fraction: float) -> bool:
        return any(news[1] >= fraction for news in self.of("progress"))

    def wait_for_the_end(self) -> None:
        self.poll_until(lambda: not self.client.is_busy)


@pytest.fixture
def make_client() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(step_s: float = 0.02) -> Watched:
        made.append(Watched(step_s))
        return made[-1]

    yield make
    for watched in made:
        watched.client.stop()


def test_images_of_a_scene_are_taught_and_the_model_detects(make_client, a_home: Path, a_folder: Path) -> None:
    watched = make_client()
    job = watched.client.teach(
        [(("ceph", an_image(0, 0.1)), POINTS)], [str(a_folder), ("other", an_image(1))], "bird", names=tuple(POINTS)
    )
    watched.wait_for_the_end()
    ((ended, result),) = watched.of("finished")
    assert ended == job
    assert result["complete"] is True
    assert [item["name"] for item in result["set_aside"]] == ["p2.png"]
    details = [news[1] for news in watched.of("detailed")]
    assert details[-1]["unit"] == "px" and details[-1]["estimate"] < 2
    detection = watched.client.detect(str(a_folder / "p1.png"), "bird", "bird", device="cpu")
    watched.wait_for_the_end()
    assert watched.of("finished")[-1][0] == detection, watched.said[-1]
    assert [item["name"] for item in watched.of("finished")[-1][1]["frames"][0]["landmarks"]] == list(POINTS)


def test_a_cancel_brings_the_best_so_far_and_none_before_there_is_one(make_client, a_home, a_folder) -> None:
    watched = make_client(0.15)
    annotated = [(str(a_folder / "p0.png"), POINTS)]
    job = watched.client.teach(annotated, [str(a_folder)], "bird", names=tuple(POINTS))
    watched.poll_until(lambda: watched.has_reached(0.6))
    watched.client.cancel(job)
    watched.wait_for_the_end()
    ((_job, result),) = watched.of("finished")
    assert result["complete"] is False
    assert store.model_card("bird").id == "bird"
    watched.said.clear()
    job = watched.client.teach(annotated, [str(a_folder)], "early", names=tuple(POINTS))
    watched.poll_until(lambda: watched.of("detailed"))
    watched.client.cancel(job)
    assert watched.poll_until(lambda: not watched.client.is_busy) < 1.0
    assert watched.of("cancelled") == [(job,)]
    assert not (a_home / "models" / "early").exists()


def test_a_second_cancel_waits_for_nothing(make_client, a_home: Path, a_folder: Path) -> None:
    watched = make_client(30.0)
    job = watched.client.teach([(str(a_folder / "p0.png"), POINTS)], [str(a_folder)], "bird", names=tuple(POINTS))
    watched.poll_until(lambda: watched.of("detailed"))
    watched.client.cancel(job)
    for _ in range(20):
        watched.client.poll()
    assert watched.client.is_busy, "it may still bring its best"
    watched.client.cancel(job)
    assert watched.poll_until(lambda: not watched.client.is_busy) < 1.0
    assert watched.of("cancelled") == [(job,)]
