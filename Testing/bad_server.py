"""A web server on this computer that behaves as badly as servers do."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT = random.Random(0).randbytes(300_000)


class Behaviour:
    """What the server does; a test changes it, and reads afterwards what was asked."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"v1"'
        self.understands_ranges = True
        self.cuts: list[int] = []  # after how many bytes each of the next answers breaks off
        self.status: list[int] = []  # statuses of the next answers, before anything is served
        self.headers: dict[str, str] = {}
        self.redirect_headers: dict[str, str] | None = None
        self.announced: int | None = None  # a wrong Content-Length
        self.ranges: list[str | None] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        behaviour = self.behaviour
        if behaviour.redirect_headers is not None and not self.path.startswith("/cdn"):
            self._answer(302, b"", {"Location": "/cdn" + self.path, **behaviour.redirect_headers})
            return
        behaviour.ranges.append(self.headers.get("Range"))
        if behaviour.status:
            self._answer(behaviour.status.pop(0), b"sorry", {})
            return
        start = 0
        asked = self.headers.get("Range")
        if asked and behaviour.understands_ranges and self.headers.get("If-Range") == behaviour.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers = dict(behaviour.headers)
        if behaviour.etag:
            headers["ETag"] = behaviour.etag
        total = len(behaviour.content)
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self._answer(206 if start else 200, behaviour.content[start:], headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        length = len(body) if self.behaviour.announced is None else self.behaviour.announced
        # told beforehand, or a client would ask the next question on a connection that is about to close
        for name, value in {"Content-Length": str(length), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        is_file = status in (200, 206)
        cut = self.behaviour.cuts.pop(0) if is_file and self.behaviour.cuts else None
        self.wfile.write(body if cut is None else body[:cut])
        self.close_connection = True


@contextmanager
def serving() -> Iterator[tuple[str, Behaviour]]:
    """The address of a file, and the behaviour of the server that has it."""
    behaviour = Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/weights.pth", behaviour
    server.shutdown()
    server.server_close()
    thread.join()
