"""The engine: everything that takes longer than a blink runs in a worker process, which a GUI talks to by a client.

    from MedLandmarkLib.engine import EngineClient

    client = EngineClient()
    client.finished.connect(lambda job, result: print(result["frames"][0]["landmarks"]))
    client.failed.connect(lambda job, message, details: print(message))
    job = client.detect("ceph.png", "head-19")
    while client.is_busy:  # in a GUI a timer calls poll(), and there is no loop
        client.poll()

The worker is `python -m MedLandmarkLib.engine`. The client needs neither torch nor numpy to be imported.
"""

from .client import POLL_INTERVAL_MS, EngineClient
from .signal import Signal

__all__ = ["POLL_INTERVAL_MS", "EngineClient", "Signal"]
