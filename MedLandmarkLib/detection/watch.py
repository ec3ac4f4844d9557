"""Progress and stopping while a network runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from torch import nn

from ..errors import DetectionCancelled


@dataclass(frozen=True)
class Watch:
    """Reports progress, and asks whether to stop, before a network runs and before each of its `stages`.

    A pass of a large network takes half a minute on a CPU; a network that has a list `stages` of modules, which run one
    after the other and about equally long, is watched within it.
    done, count, total: pictures that are complete, that run now, and altogether. passes: of the network over each.
    """

    done: int
    count: int
    total: int
    passes: int
    progress: Callable[[float, str], None] | None
    should_stop: Callable[[], bool] | None

    @contextmanager
    def of(self, network: nn.Module, passes_done: int) -> Iterator[None]:
        """Within it, runs of `network` count as the pass after `passes_done` others. Raises DetectionCancelled."""
        self._before_stage(passes_done)
        stages = getattr(network, "stages", ())
        hooks = [
            stage.register_forward_pre_hook(partial(self._before_stage, passes_done + number / len(stages)))
            for number, stage in enumerate(stages)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _before_stage(self, passes_done: float, *_: object) -> None:
        if self.should_stop and self.should_stop():
            raise DetectionCancelled("Detection was stopped before it was complete.")
        if self.progress:
            share = (self.done + self.count * passes_done / self.passes) / self.total
            self.progress(share, f"picture {self.done + 1} of {self.total}")
