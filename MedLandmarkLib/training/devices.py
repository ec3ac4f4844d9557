"""Where a training runs: one device, several, or the processes that torchrun started."""

from __future__ import annotations

import os

from lightning.fabric import Fabric

from ..errors import DatasetError


def is_first_process() -> bool:
    """Whether this process speaks and writes for all; others were started beside it, one for each device."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def launched_fabric(precision: str, devices: int | None = None) -> Fabric:
    """Fabric on `devices` GPUs, or CPU processes where there is no GPU; with several, it starts the others.

    devices: default one, or as many as torchrun started. Gradients are averaged over the devices (DDP).
    Raises DatasetError where there are not so many.
    """
    by_torchrun = int(os.environ.get("LOCAL_WORLD_SIZE", 0)) if "TORCHELASTIC_RUN_ID" in os.environ else 0
    if by_torchrun and devices not in (None, by_torchrun):
        raise DatasetError(f"torchrun started {by_torchrun} processes, but --devices is {devices}. Leave it out.")
    count = by_torchrun or devices or 1
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", 1)) if by_torchrun else 1
    strategy = "ddp" if count * nodes > 1 else "auto"
    try:
        fabric = Fabric(accelerator="auto", devices=count, num_nodes=nodes, strategy=strategy, precision=precision)
        fabric.launch()
    except (RuntimeError, ValueError) as error:  # lightning's word for devices that are not there
        reason = str(error).splitlines()[0]
        raise DatasetError(f"Training cannot run on {count} devices with precision {precision}: {reason}") from error
    return fabric
