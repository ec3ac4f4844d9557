"""Where a network runs and with which precision, and what to do where that is not possible."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ..errors import ModelError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Canvases that go through a network together unless the caller says otherwise.
_BATCH_SIZES = {"cpu": 1, "cuda": 8, "mps": 2}


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA where there is one, else Apple's GPU (MPS), else the CPU.

    name: "auto", "cpu", "mps", "cuda" or "cuda:N". Raises ModelError where the device is not there.
    """
    if str(name) == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"There is no device '{name}'. Use auto, cpu, cuda, cuda:N or mps.") from error
    if device.type not in _BATCH_SIZES:
        raise ModelError(f"Device '{name}' is not supported. Use auto, cpu, cuda, cuda:N or mps.")
    if device.type == "cuda" and not torch.cuda.is_available():
        why = "no GPU with a driver answers" if torch.version.cuda or torch.version.hip else "this PyTorch has no CUDA"
        raise ModelError(f"Device '{name}' was asked for, but {why}. Use --device cpu or another PyTorch.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"Device '{name}' was asked for, but there are {torch.cuda.device_count()} CUDA devices.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError(f"Device '{name}' was asked for, but this computer or PyTorch has no MPS. Use --device cpu.")
    return device


def choose_precision(name: str, device: torch.device) -> tuple[str, str | None]:
    """The precision to use on a device, and a note where it is not the one asked for.

    name: "fp32", "bf16" or "fp16". Raises ModelError for another name.
    """
    if name not in PRECISIONS:
        raise ModelError(f"There is no precision '{name}'. Use {', '.join(PRECISIONS)}.")
    if name == "fp16" and device.type == "cpu":
        return "fp32", "fp16 is slow and inexact on a CPU; fp32 was used."
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "fp32", "This GPU does not compute in bf16; fp32 was used."
    if name == "bf16" and device.type == "mps" and not _mps_has_bfloat16(device):
        return "fp32", "This computer's MPS does not compute in bf16; fp32 was used."
    return name, None


def _mps_has_bfloat16(device: torch.device) -> bool:
    try:
        torch.zeros(1, dtype=torch.bfloat16, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def default_batch_size(device: torch.device) -> int:
    return _BATCH_SIZES[device.type]


def placed_network(network: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """The network for inference on a device; `network` itself is not changed.

    Tensors that are already right are shared, not copied. In half precision the weights of linear layers and of
    convolutions are converted, except those of the network's `float32_modules`; everything else stays in float32.
    Modules with a method `for_inference` are told that they will not be trained.
    """
    dtype = PRECISIONS[precision]
    kept = {id(module) for module in getattr(network, "float32_modules", ())}
    memo: dict[int, object] = {}
    for module in network.modules():
        is_product = isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)) and id(module) not in kept
        for parameter in module.parameters(recurse=False):
            moved = parameter.detach().to(device, dtype if is_product else torch.float32)
            memo[id(parameter)] = nn.Parameter(moved, requires_grad=False)
        for buffer in module.buffers(recurse=False):
            memo[id(buffer)] = buffer.to(device)
    # a deep copy that meets a tensor of the memo takes the one stored there
    placed = copy.deepcopy(network, memo).eval()
    for module in placed.modules():
        if hasattr(module, "for_inference"):
            module.for_inference()
    return placed


@contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Within it, CUDA computes float32 products in float32, not in TF32 with its 10 bits of mantissa."""
    if device.type != "cuda":
        yield
        return
    settings = _tf32_settings()
    before = [getattr(holder, name) for holder, name, _ in settings]
    try:
        for holder, name, exact in settings:
            setattr(holder, name, exact)
        yield
    finally:
        for (holder, name, _), value in zip(settings, before, strict=True):
            setattr(holder, name, value)


def _tf32_settings() -> list[tuple[object, str, object]]:
    """(holder, attribute, value without TF32). PyTorch 2.9 renamed them and refuses a mix of old and new names."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    if hasattr(cudnn, "conv") and hasattr(cudnn.conv, "fp32_precision"):
        return [(matmul, "fp32_precision", "ieee"), (cudnn.conv, "fp32_precision", "ieee")]
    return [(matmul, "allow_tf32", False), (cudnn, "allow_tf32", False)]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a GPU (or the CPU's allocator) said that its memory is full."""
    if isinstance(error, torch.cuda.OutOfMemoryError):  # the name that every PyTorch since 2.0 has
        return True
    message = str(error).lower()
    return isinstance(error, (RuntimeError, MemoryError)) and (
        "out of memory" in message or "can't allocate memory" in message or "not enough memory" in message
    )


def release_memory(device: torch.device) -> None:
    """Give cached GPU memory back, so that smaller pieces fit where larger ones did not."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
