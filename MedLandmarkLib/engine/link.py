"""The client's link to whichever worker process there is at the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from .. import __version__
from ..errors import EngineError
from .process import Ended, Event, Garbled, WorkerProcess
from .process_end import RESTARTS, explain_end
from .protocol import Failure, Heartbeat, Hello, Message, check_hello
from .silence import Silence

# Heartbeats of an idle worker, one a second, until it is clear that the request never reached it.
_DEAF_AFTER_BEATS = 10


@dataclass(frozen=True)
class Lost:
    """The worker is gone or has to go; message: what happened, for the user. had_started: it had come to work."""

    message: str
    had_started: bool
    report: str


class WorkerLink:
    """Starts a worker, checks its greeting, and notices when it dies, talks nonsense or falls silent."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], inbox: SimpleQueue, hang_after_s: float
    ) -> None:
        self._command = command
        self._environment = environment
        self._inbox = inbox
        self._silence = Silence(hang_after_s)
        self._process: WorkerProcess | None = None
        self._last_process: WorkerProcess | None = None
        self._idle_beats = 0
        self.has_greeted = False

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def report(self) -> str:
        """The last lines of stderr of the worker, or of the one before where none runs."""
        return "\n".join(self._last_process.report) if self._last_process else ""

    def start(self) -> None:
        """Start a worker where none runs."""
        if self._process is None:
            self._silence.is_broken()
            self._process = self._last_process = WorkerProcess(self._command, self._environment, self._inbox)

    def send(self, message: Message) -> None:
        """Raises EngineError where the message holds what JSON cannot say."""
        self._process.send(message)
        self._silence.is_broken()
        self._idle_beats = 0

    def leave(self) -> None:
        """Let the worker go in peace."""
        process, self._process, self.has_greeted = self._process, None, False
        if process is not None:
            process.leave()

    def drop(self) -> None:
        """End the worker at once."""
        process, self._process, self.has_greeted = self._process, None, False
        if process is not None:
            process.kill()

    def understand(self, process: WorkerProcess, event: Event, job: int | None) -> Message | Lost | None:
        """What is left of an event for the client: a Hello that fits, news of `job`, the one it has, or a loss."""
        if process is not self._process:
            return None  # an echo of a worker that was given up
        if isinstance(event, Hello):
            return self._greet(event)
        if isinstance(event, Garbled):
            return self._loss(f"The engine was ended because it sent what nobody can read. {event.error}")
        if isinstance(event, Ended):
            return self._loss(explain_end(event, self.has_greeted, process.report))
        if isinstance(event, Failure) and event.id is None:
            return self._loss(f"The engine did not understand a request: {event.message}")
        if isinstance(event, Heartbeat):
            return self._feel(event, job)
        if getattr(event, "id", None) != job:
            return None
        self._silence.is_broken()
        return event

    def watch(self, is_busy: bool) -> Lost | None:
        """To be called when all that the worker said has been heard: whether it has been silent for too long."""
        if not self.is_running or (self.has_greeted and not is_busy):
            self._silence.is_broken()
        elif self._silence.is_too_long():
            return self._loss(
                f"The engine has not answered for {self._silence.longest_s:g} s and was ended. {RESTARTS}"
            )
        return None

    def _greet(self, hello: Hello) -> Hello | Lost:
        try:
            check_hello(hello, __version__)
        except EngineError as error:
            return self._loss(str(error))
        self.has_greeted = True
        self._silence.is_broken()
        return hello

    def _feel(self, beat: Heartbeat, job: int | None) -> Lost | None:
        if job is None or beat.job == job:
            self._silence.is_broken()
            self._idle_beats = 0
            return None
        self._idle_beats += 1
        if self._idle_beats < _DEAF_AFTER_BEATS:
            return None
        return self._loss(
            "The engine runs but does not hear: its standard input is not connected. It was started by "
            f"{self._command[0]}; if that is a launcher, the Python that it launches must be started itself."
        )

    def _loss(self, message: str) -> Lost:
        lost = Lost(message, self.has_greeted, self.report)
        self.drop()
        return lost
