"""Fetching one large file over HTTP: it resumes, it checks, and only a complete file gets its name.

Written here because pooch, the usual choice, begins again at byte 0 after every interruption, and these files have a
gigabyte. Resuming follows RFC 9110, sections 13 and 14: a Range request with If-Range, so that a file that changed on
the server in between is fetched anew.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from ..errors import DetectionCancelled, ModelError
from .folder import disk_errors_explained, file_sha256, require_space, write_json

_BLOCK = 1 << 16  # bytes; a block that the connection breaks in is lost
_TIMEOUT_S = (15, 60)  # to connect; between two packets
_ATTEMPTS = 5  # in a row that bring not one new byte
_FIRST_ATTEMPTS = 2  # where the server never answered at all: most likely there is no network
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}

BytesProgress = Callable[[int, int | None], None]  # bytes so far, bytes in all where known


@dataclass(frozen=True)
class Downloaded:
    path: Path
    sha256: str
    size_bytes: int


class _Interrupted(Exception):
    """The connection broke or the server was busy; what came so far is kept."""


def download_file(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    if_different: str = "",
    progress: BytesProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
    retry_wait_s: float = 2.0,
) -> Downloaded:
    """Fetches `url` to `target`. An interrupted call leaves `target`.part, from which the next call goes on.

    sha256: what the file must hash to, where that is known; otherwise a hash that the host states in its answer
    (X-Linked-Etag, as Hugging Face sends) is checked. if_different: what else to tell the user where it does not.
    Raises ModelError for anything that is not the file, and DetectionCancelled where `should_stop` became true; neither
    leaves `target` behind.
    """
    if urlsplit(url).scheme not in ("https", "http"):
        raise ModelError(f"{url} is not a web address. Only http and https are downloaded.")
    with disk_errors_explained(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(url, target, progress, should_stop)
        _persist(transfer, retry_wait_s)
        got = file_sha256(transfer.part)
        expected = sha256 or transfer.stated_sha256
        if expected and got != expected:
            transfer.forget()
            raise ModelError(
                f"{url} gave a file with sha256 {got}, but {expected} was expected. It was thrown away. Try again; "
                f"if it happens again, the file was changed or the connection alters it. {if_different}".rstrip()
            )
        size = transfer.part.stat().st_size
        os.replace(transfer.part, target)
        transfer.forget()
    return Downloaded(target, got, size)


def _persist(transfer: _Transfer, retry_wait_s: float) -> None:
    """Runs the transfer until it is complete, waiting longer after each attempt that brought nothing."""
    fruitless = 0
    while True:
        before = transfer.bytes_so_far()
        try:
            transfer.run()
            return
        except (requests.RequestException, _Interrupted) as error:
            fruitless = 0 if transfer.bytes_so_far() > before else fruitless + 1
            if fruitless >= (_ATTEMPTS if transfer.was_answered else _FIRST_ATTEMPTS):
                raise ModelError(_why_it_stopped(transfer, error)) from error
        wait = retry_wait_s * 2**fruitless
        end = time.monotonic() + wait
        while time.monotonic() < end:
            transfer.check_stop()
            time.sleep(min(0.2, wait))


def _why_it_stopped(transfer: _Transfer, error: Exception) -> str:
    host = urlsplit(transfer.url).netloc
    done = transfer.bytes_so_far()
    if isinstance(error, requests.exceptions.SSLError):
        return (
            f"The secure connection to {host} failed ({error}). A proxy may stand between; ask your network's keeper."
        )
    if done:
        return (
            f"The download from {host} stopped after {done / 1e6:.1f} MB and could not go on ({error}). "
            "Run the same command again: it continues from there."
        )
    return f"No answer from {host} ({error}). Check the network, or fetch the file elsewhere and use 'models import'."


class _Transfer:
    """One file on its way: the .part file, and beside it what identifies the version that it is a part of."""

    def __init__(
        self, url: str, target: Path, progress: BytesProgress | None, should_stop: Callable[[], bool] | None
    ) -> None:
        self.url = url
        self.part = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        self.stated_sha256: str | None = None
        self.was_answered = False
        self._progress = progress
        self._should_stop = should_stop
        self._session = requests.Session()

    def bytes_so_far(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def check_stop(self) -> None:
        if self._should_stop and self._should_stop():
            raise DetectionCancelled("The download was stopped. Start it again and it continues where it was.")

    def run(self) -> None:
        """One request, from where the .part file ends. Returns once the file is complete."""
        self.check_stop()
        validator = self._validator()
        done = self.bytes_so_far() if validator else 0
        headers = {"Accept-Encoding": "identity", "User-Agent": "MedLandmark"}
        if done:
            headers.update({"Range": f"bytes={done}-", "If-Range": validator})
        with self._session.get(self.url, headers=headers, stream=True, timeout=_TIMEOUT_S) as response:
            self.was_answered = True
            if response.status_code == 416:  # our part is not a beginning of what is there now
                self.forget()
                raise _Interrupted("the server has another version of the file")
            self._require_file(response)
            if response.status_code == 206:
                start, total = _content_range(response)
                if start != done:
                    raise ModelError(
                        f"{self.url}: asked for bytes from {done}, the server sent from {start}. Try again."
                    )
            else:
                done, total = 0, _content_length(response)
            self._remember(response)
            self._receive(response, done, total)

    def _receive(self, response: requests.Response, done: int, total: int | None) -> None:
        if total:
            require_space(self.part.parent, total - done)
        with self.part.open("r+b" if done else "wb") as stream:
            stream.seek(done)
            for block in response.iter_content(_BLOCK):
                stream.write(block)
                done += len(block)
                if self._progress:
                    self._progress(done, total)
                self.check_stop()
        if total is not None and done < total:
            raise _Interrupted(f"{done} of {total} bytes came")
        if total is not None and done > total:
            self.forget()
            raise ModelError(f"{self.url} sent {done} bytes and had announced {total}. Try again.")
        if done == 0:
            raise ModelError(f"{self.url} sent an empty file. Get it by hand and use 'medlandmark models import'.")

    def _require_file(self, response: requests.Response) -> None:
        """Raises where the answer is not the file: an error status, or a page for people."""
        status = response.status_code
        if status in _RETRY_STATUS:
            raise _Interrupted(f"status {status} {response.reason}")
        if status in (401, 403):
            raise ModelError(
                f"{self.url} is not open to everyone (status {status}). Sign in with a browser, save the file and use "
                "'medlandmark models import'."
            )
        if status not in (200, 206):
            raise ModelError(
                f"{self.url} cannot be downloaded (status {status} {response.reason}). It may have moved: look at the "
                "model's page ('medlandmark models show'), save the file and use 'medlandmark models import'."
            )
        if response.headers.get("Content-Type", "").split(";")[0].strip().lower() in (
            "text/html",
            "application/xhtml+xml",
        ):
            raise ModelError(
                f"{self.url} answered with a web page in place of the file (sign-in, or too many downloads today). "
                "Open the model's page in a browser, save the file and use 'medlandmark models import'."
            )

    def _validator(self) -> str | None:
        """The ETag or date of the version that the .part file belongs to; None where it cannot be continued."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(note, dict) or note.get("url") != self.url:
            return None
        self.stated_sha256 = note.get("stated_sha256")
        return note.get("validator")

    def _remember(self, response: requests.Response) -> None:
        answers = [*response.history, response]
        stated = (answer.headers.get("X-Linked-Etag", "").strip('"') for answer in answers)
        self.stated_sha256 = next((tag for tag in stated if re.fullmatch(r"[0-9a-f]{64}", tag)), self.stated_sha256)
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else None  # RFC 9110, 13.1.5: a weak one cannot resume
        validator = strong or response.headers.get("Last-Modified")
        write_json(self.note, {"url": self.url, "validator": validator, "stated_sha256": self.stated_sha256})


def _content_length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _content_range(response: requests.Response) -> tuple[int, int | None]:
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not match:
        raise _Interrupted("the server's partial answer does not say which part it is")
    return int(match[1]), None if match[2] == "*" else int(match[2])
