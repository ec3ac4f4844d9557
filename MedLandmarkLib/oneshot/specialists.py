"""One network for each landmark, so that none has to give way to another ("distinct").

Each starts from the joint network, sees windows around its landmark, and renews its own labels and its own templates
(the most certain windows) as it learns.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ..models.lite import LiteNetwork
from ..models.specialists import SpecialistSet
from ..training.checkpoint import save_checkpoint
from ..training.files import load_checkpoint
from .fitting import LabelFitting, Schedule
from .joint import SIGMA, WIDTH
from .labels import PseudoLabels
from .phases import KeptLabels, PhaseContext
from .request import SPECIALISTS
from .windows import Windows

STEPS, BATCH = 180, 16
WINDOW_SHARE = 0.157  # of the canvas' diagonal: 161 px, 48 mm, on a cephalogram
_RENEWALS = (0.35, 0.65, 1.0)
_SMALLEST, _LARGEST = 97, 257  # px


class SpecialistsPhase:
    def __init__(self, context: PhaseContext, labels: PseudoLabels, network: LiteNetwork) -> None:
        self.context, self.labels, self.joint = context, labels, network
        wanted = WINDOW_SHARE * context.diagonal
        self.window = int(min(_LARGEST, max(_SMALLEST, round((wanted - 1) / 32) * 32 + 1)))

    def run(self) -> tuple[PseudoLabels, SpecialistSet]:
        context, count = self.context, self.context.gallery.landmark_count
        taught = [context.request.scheme.index(name) for name in context.request.taught]
        specialists = SpecialistSet(count, self.window, WIDTH, SIGMA, taught)
        specialists.scout = self.joint
        labels, spreads = self.labels, torch.full_like(self.labels.weight, float("nan"))
        for done, number in enumerate(taught):
            network, own, spread = self._taught(number, done, len(taught))
            specialists.specialists[str(number)] = network
            labels = labels.with_landmark(number, own)
            spreads[:, number] = spread[:, 0]
            context.teller.estimated(spreads, context.gallery)
        context.keep_labels(SPECIALISTS, KeptLabels(labels, spreads, context.steps(STEPS)))
        context.write_model(
            specialists, SPECIALISTS, keypoints=count, window=self.window, width=WIDTH, sigma=SIGMA, taught=taught
        )
        return labels, specialists

    def _taught(self, number: int, done: int, count: int) -> tuple[LiteNetwork, PseudoLabels, torch.Tensor]:
        """One landmark's network, labels and (N, 1) px spread: those of an earlier sitting where they are finished."""
        context, name = self.context, self.context.request.scheme.names[number]
        path = context.folder / f"specialist-{number:03d}.ckpt"
        network, labels = self._start(number), self.labels.of_landmark(number)
        kept = load_checkpoint(path)
        if kept is not None:
            network.load_state_dict(kept["network"])
            own = replace(labels, canvas_xy=kept["canvas_xy"], weight=kept["weight"])
            return network, own, kept["spread"]
        source = Windows(context.gallery, labels, self.window, BATCH)
        schedule = Schedule(
            context.steps(STEPS), BATCH, learning_rate=8e-4, trunk_learning_rate=3e-4, ema_decay=0.98, sigma=SIGMA,
            norm_batches=3,
        )  # fmt: skip
        seed = context.request.settings.seed * 1000 + number
        fitting = LabelFitting(network, source.draw, schedule, device=context.device, seed=seed)
        report = context.teller.part(SPECIALISTS)
        spread = None
        for share in _RENEWALS:
            fitting.run_to(
                round(share * schedule.steps),
                progress=lambda fraction, text: report((done + fraction) / count, f"Specialist for {name}: {text}"),
                should_stop=context.should_stop,
            )
            with fitting.teacher() as teacher:
                judged = source.judged(teacher, fitting.step, context.device)
            source.renew(judged, context.diagonal)
            spread = judged.spread_px
        network = fitting.result()
        state = {"canvas_xy": source.labels.canvas_xy, "weight": source.labels.weight, "spread": spread}
        save_checkpoint({"network": network.state_dict(), **state}, path)
        return network, source.labels, spread

    def _start(self, number: int) -> LiteNetwork:
        """The joint network with one of its channels."""
        network = LiteNetwork(1, WIDTH, SIGMA)
        state = dict(self.joint.state_dict())
        for name in ("final.weight", "final.bias"):
            state[name] = state[name][number : number + 1]
        network.load_state_dict(state)
        return network
