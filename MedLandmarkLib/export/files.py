"""Writing files so that a reader finds the old one or the new one, and never half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def written_whole(path: Path | str) -> Iterator[Path]:
    """A temporary path in the folder of `path`, to be written in the block, that then takes the place of `path`.

    The folder must be there. The temporary file is removed when the block fails. Raises OSError.
    """
    path = Path(path)
    # A name of its own, and a short one: the longest allowed name leaves no room for an addition.
    temporary = path.with_name(f".medlandmark-{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
