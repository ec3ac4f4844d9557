"""Memory that a training keeps for itself instead of giving it back after every step."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters (glibc, malloc.h)
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Let the C library hold on to freed blocks; nothing where it is not glibc.

    A large tensor otherwise comes from the kernel and goes back to it at every step, and the kernel clears each of its
    pages anew: more than half of the time of a training step on a CPU (Testing/Benchmarks).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
