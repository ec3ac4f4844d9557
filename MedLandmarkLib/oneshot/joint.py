"""The usual network for all landmarks at once, taught by its own averaged self: what specialists are measured against.

It is also where they start: its peaks say where a specialist looks, its weights are their first ones.
"""

from __future__ import annotations

import torch
from torch import nn

from ..models.lite import LiteNetwork
from ..training.augmentation import AUGMENTATIONS
from ..training.initial_weights import load_imagenet_trunk
from .fitting import LabelFitting, Schedule
from .labels import PseudoLabels
from .phases import KeptLabels, PhaseContext
from .request import JOINT
from .whole import WholePictures, taught_points

STEPS, BATCH = 360, 8
# Shares of the steps after which the labels are renewed: from one annotated picture, and from enough of them.
_RENEWALS, _LATE_RENEWALS = (0.3, 0.5, 0.7), (0.6, 0.8)
WIDTH, SIGMA = 64, 2.0
_ENOUGH_ANNOTATED = 8  # pictures from which a network soon learns more than matching finds


class JointPhase:
    def __init__(self, context: PhaseContext, labels: PseudoLabels, network: nn.Module | None) -> None:
        self.context, self.labels = context, labels

    def run(self) -> tuple[PseudoLabels, LiteNetwork]:
        context, gallery = self.context, self.context.gallery
        network = LiteNetwork(gallery.landmark_count, WIDTH, SIGMA)
        load_imagenet_trunk(network)
        untaught = [name not in context.request.taught for name in context.request.scheme.names]
        with torch.no_grad():
            network.final.weight[untaught] = 0.0  # their maps stay flat: missing
        is_enough = gallery.template_count >= _ENOUGH_ANNOTATED
        first = self.labels.of_the_annotated() if is_enough else self.labels
        bend = AUGMENTATIONS["bent"].bend if is_enough else 0.0
        kept = context.kept_labels(JOINT, first)
        context.teller.estimated(kept.spread_px, gallery)
        source = WholePictures(gallery, kept.labels, BATCH, bend)
        schedule = Schedule(context.steps(STEPS), BATCH, sigma=SIGMA)
        fitting = LabelFitting(
            network, source.draw, schedule, device=context.device, seed=context.request.settings.seed,
            checkpoint=context.folder / "joint.ckpt",
        )  # fmt: skip
        report = context.teller.part(JOINT)
        for share in (*(_LATE_RENEWALS if is_enough else _RENEWALS), 1.0):
            step = round(share * schedule.steps)
            if kept.step < step:
                fitting.run_to(
                    step,
                    progress=lambda fraction, text: report(0.9 * fraction, f"Joint network: {text}"),
                    should_stop=context.should_stop,
                )
                fitting.save()
                source.labels = self._renewed(fitting, source.labels, step)
        trained = fitting.result()
        context.write_model(
            trained, JOINT, keypoints=gallery.landmark_count, width=WIDTH, sigma=SIGMA, activation="softmax",
            domains=[[0, gallery.landmark_count]],
        )  # fmt: skip
        return source.labels, trained

    def _renewed(self, fitting: LabelFitting, labels: PseudoLabels, step: int) -> PseudoLabels:
        context = self.context
        with fitting.teacher() as teacher:
            points, spread = taught_points(
                teacher, context.gallery, step, device=context.device, should_stop=context.should_stop
            )
        context.teller.estimated(spread, context.gallery)
        renewed = labels.renewed(points, spread, context.diagonal)
        context.keep_labels(JOINT, KeptLabels(renewed, spread, step))
        return renewed
