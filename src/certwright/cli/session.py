"""One call of the command line: the store it works on, how it prints, and how it ends."""

import functools
import inspect
import json
import logging
import logging.handlers
import os
import signal
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

from certwright.cli import streams
from certwright.cli.progress import Progress
from certwright.domain.errors import CertwrightError, ConfigurationError, NeedsPerson, WindowClosed
from certwright.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

    from certwright.engine.context import Engine

log = logging.getLogger("certwright")
_ENDS = (signal.SIGTERM,) if sys.platform == "win32" else (signal.SIGTERM, signal.SIGHUP)
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help="The data folder [setting: data].", show_default=False)
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings", metavar="FILE", help="The settings file [env var: CERTWRIGHT_SETTINGS].", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


class Exit(IntEnum):
    """What the exit code says."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOTHING_TO_DO = 3
    WAITING = 4
    INTERRUPTED = 130
    """As a shell says it of SIGINT."""


def exit_code(error: CertwrightError) -> Exit:
    """The exit code that this error ends in."""
    match error:
        case NeedsPerson():
            return Exit.WAITING
        case WindowClosed():
            return Exit.NOTHING_TO_DO
        case ConfigurationError():
            return Exit.USAGE
        case _:
            return Exit.FAILED


class Session:
    """What a command works with. The store is opened when it is first asked for."""

    def __init__(self, data: Path | None, settings_file: Path | None, *, as_json: bool) -> None:
        self._data = data
        self._settings_file = settings_file
        self.as_json = as_json
        self.code = Exit.DONE
        self.progress = Progress(sys.stderr)

    @property
    def can_ask(self) -> bool:
        """Whether somebody is there to be asked."""
        return not self.as_json and sys.stdin.isatty()

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings of this installation.

        Raises:
            ConfigurationError: if one of them is wrong.
        """
        return Settings.locate(self._data, os.environ, file=self._settings_file)

    @functools.cached_property
    def engine(self) -> "Engine":
        """The engine on the chosen data folder."""
        from certwright.wiring import open_engine  # noqa: PLC0415 - SQLAlchemy is loaded only where it is used

        engine = open_engine(self.settings, self.progress.hear)
        self._log_to(self.settings.data_folder / "logs")
        return engine

    @functools.cached_property
    def console(self) -> "Console":
        """Standard output for people."""
        from certwright.cli.console import PlainConsole  # noqa: PLC0415 - Rich is loaded only where it is used

        width = None if sys.stdout.isatty() else 200
        return PlainConsole(
            highlight=False, markup=False, width=width, soft_wrap=True
        )  # commands must be fit to be pasted

    def emit(self, data: Any, show: Callable[["Console"], None]) -> None:
        """Print `data` as JSON if that was asked for, else `show` it to a person; the work must be done by now.

        Raises:
            CertwrightError: if it cannot be printed; a reader who has left is no error.
        """
        self.progress.close()
        try:
            if self.as_json:
                streams.write(sys.stdout, json.dumps(data, indent=2, default=str) + "\n")
            else:
                with self.console.capture() as shown:  # Rich itself would leave when the reader does
                    show(self.console)
                streams.write_shown(sys.stdout, shown.get())
        except OSError as error:
            self.as_json = False  # errors go where they can be seen
            if not isinstance(error, BrokenPipeError):
                raise CertwrightError(
                    f"The work is done, but its result cannot be printed: {error.strerror}.",
                    hint="Look where standard output leads to.",
                ) from error

    def say(self, message: str, **data: Any) -> None:
        """Print one sentence, or its data as JSON."""
        self.emit({"message": message, **data}, lambda console: console.print(message))

    def fail(self, error: CertwrightError) -> None:
        """Print an error and remember the exit code."""
        self.code = exit_code(error)
        self.progress.close()
        lines = list(error.explain())
        if self.as_json:
            body = {"message": error.message, "details": lines[1:], "hint": error.hint, "retryable": error.retryable}
            _tell((sys.stdout, json.dumps({"error": body}, indent=2)), (sys.stderr, "\n".join(lines)))
        else:
            _tell((sys.stderr, "\n".join(lines)))

    def close(self) -> None:
        """End the progress display and let go of the store."""
        self.progress.close()
        if "engine" in self.__dict__:
            self.engine.store.close()

    def _log_to(self, folder: Path) -> None:
        """Keep a log of the unexpected beside the store, readable by its owner alone."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handler = _PrivateLog(
                folder / "certwright.log", maxBytes=5_000_000, backupCount=3, delay=True, encoding="utf-8"
            )
        except OSError:
            return
        from certwright.engine.logs import Lines  # noqa: PLC0415 - as the engine

        handler.setFormatter(Lines("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)


class _PrivateLog(logging.handlers.RotatingFileHandler):
    def _open(self) -> Any:
        """Open the file so that its owner alone can read it, whatever the umask."""

        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding=self.encoding, opener=private)


def _tell(*ways: tuple[TextIO, str]) -> None:
    """Say it in the first way that works."""
    for stream, text in ways:
        with suppress(OSError, ValueError):
            streams.write(stream, text + "\n")
            return


def start(app: typer.Typer, arguments: Sequence[str]) -> NoReturn:
    """Run a command, and leave. A command line that makes no sense is told as JSON too, where that is asked for."""
    as_json = "--json" in arguments
    try:
        sys.exit(app(prog_name="certwright", args=arguments, standalone_mode=not as_json))
    except typer.TyperException as error:
        session = Session(None, None, as_json=True)
        context: typer.Context | None = getattr(error, "ctx", None)
        path = context.command_path if context else "certwright"
        session.fail(ConfigurationError(error.format_message(), hint=f"See how it is typed: {path} --help"))
        sys.exit(session.code)


def command(
    app: typer.Typer, name: str, *, signature: Sequence[inspect.Parameter] = (), **settings: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function that takes a `Session` a command with `--data`, `--settings` and `--json`.

    Its errors become exit codes.
    `signature` adds parameters that are made at run time, from a plugin's model; they arrive as keywords.
    """

    def decorate(work: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in list(inspect.signature(work).parameters.values())[1:] if p.kind is not p.VAR_KEYWORD]
        shared = [
            inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=DataOption),
            inspect.Parameter("settings_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=SettingsOption),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=JsonOption),
        ]
        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *signature)]

        @functools.wraps(work)
        def run(*, data: Path | None, settings_file: Path | None, as_json: bool, **values: Any) -> None:
            def checked(session: Session) -> None:
                _check_text(values)
                try:
                    work(session, **values)
                except typer.Abort:
                    hint = "Say --yes instead." if "yes" in values else "Run it again, and answer."
                    raise ConfigurationError("Nothing was done: the question was not answered.", hint=hint) from None

            perform(Session(data, settings_file, as_json=as_json), checked)

        parameters = [*keywords, *shared]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name, **settings)(run)
        return work

    return decorate


def _check_text(values: Mapping[str, Any]) -> None:
    """Refuse what could neither be stored nor shown: another encoding, control characters, nothing at all."""
    for name, value in values.items():
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                continue
            if not text.strip():
                raise ConfigurationError(
                    f"The value given for {name.replace('_', '-')} is empty.", hint="Leave it out or fill it in."
                )
            if any(unicodedata.category(character) == "Cc" for character in text):
                raise ConfigurationError(
                    f"{text[:80]!a} has control characters or line breaks in it.",
                    hint="Type it on one line, without them.",
                )
            if not text.isascii() and text != text.encode(errors="ignore").decode():
                raise ConfigurationError(
                    f"{text!a} is not text in UTF-8.", hint="Type it in a terminal that uses UTF-8."
                )


def perform(session: Session, work: Callable[[Session], None]) -> NoReturn:
    """Do the work and leave with its exit code; whatever went wrong is said in words, never as a traceback."""
    _keep_logging_off_the_terminal()
    try:
        with ended_like_interrupted():
            work(session)
    except CertwrightError as error:
        log.info("failed: %s", error.message, extra={"run": error.run_id})
        session.fail(error)
    except KeyboardInterrupt:
        session.fail(
            CertwrightError(
                "Stopped.", hint="What was begun is kept: run the same command again, and it goes on with that."
            )
        )
    except typer.Exit:
        raise
    except Exception as error:
        log.exception("unexpected")
        session.fail(
            CertwrightError(
                f"An unexpected {type(error).__name__} ({_place(error)}) stopped the command: this is a fault in "
                "Certwright.",
                hint="What was begun is kept. Please report it with the end of logs/certwright.log in the data folder.",
            )
        )
    finally:
        session.close()
    raise typer.Exit(session.code)


@contextmanager
def ended_like_interrupted() -> Iterator[None]:
    """Have SIGTERM and a terminal that closes do what Ctrl-C does, so that what was begun is cleaned up."""
    before = {number: signal.getsignal(number) for number in _ENDS}
    wanted = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}  # nohup
    for number in wanted:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in wanted.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does. The kernel and the shell both tell that a terminal closes: the second is no new wish."""
    if number != signal.SIGTERM:
        signal.signal(number, signal.SIG_IGN)
    signal.default_int_handler(number, frame)


def _keep_logging_off_the_terminal() -> None:
    """What libraries say, and their doubts about a stranger's certificate, are for the log file if there is one."""
    logging.captureWarnings(capture=True)
    logging.getLogger().addHandler(logging.NullHandler())
    logging.raiseExceptions = False  # a log file that another user owns stops nothing


def _place(error: BaseException) -> str:
    """The line that raised it, without what it worked on."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
