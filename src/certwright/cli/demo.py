"""`certwright demo`: the whole main job in a world of its own."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from certwright.cli import streams
from certwright.cli.progress import Progress
from certwright.cli.session import Exit, ended_like_interrupted
from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.errors import CertwrightError
from certwright.settings.value import LISTEN

if TYPE_CHECKING:
    from rich.console import Console

    from certwright.engine.deployment import TaskResult
    from certwright.sandbox import World

TASK = "exchange"
_INTERRUPT_SECONDS = 0.5  # a signal that comes just before a wait begins does not end it


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the world running and say how to look at it.")] = False,
) -> None:
    """Run the whole main job against three simulated Exchange servers and a real ACME server, here, on loopback."""
    try:
        with ended_like_interrupted():
            code = _run(keep=keep)
    except KeyboardInterrupt:
        _say_at_last("Stopped.")
        code = Exit.INTERRUPTED
    raise typer.Exit(code)


def _run(*, keep: bool) -> Exit:
    from rich.console import Console  # noqa: PLC0415 - loaded only where it is used

    try:
        from certwright.sandbox import World  # noqa: PLC0415 - loads the simulator
    except ModuleNotFoundError as missing:
        typer.echo(f"The demo needs {missing.name}: install Certwright with its extra `sandbox`.", err=True)
        return Exit.USAGE

    progress = Progress(sys.stdout, outline=True)
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160, soft_wrap=True)
    try:
        _say(console, "Start an ACME authority and a simulated Exchange organisation of three servers on loopback.")
        with World(progress.hear) as world:
            good = _Story(world, console, progress).tell()
            if keep:
                _keep(world, console)
            else:
                console.print("To look at every cmdlet, and why it was sent: make demo ARGS=--keep")
    except CertwrightError as error:
        typer.echo("\n".join(error.explain()), err=True)
        return Exit.FAILED
    finally:
        progress.close()
    return Exit.DONE if good else Exit.FAILED


def _say_at_last(sentence: str) -> None:
    """To a terminal that may have been closed."""
    with suppress(OSError):
        streams.write(sys.stdout, f"{sentence}\n")


def _say(console: "Console", sentence: str) -> None:
    console.print(f"\n== {sentence}", style="bold")


class _Story:
    """A look at Exchange, then three acts: the first certificate, a renewal, and a renewal that meets a fault."""

    def __init__(self, world: "World", console: "Console", progress: Progress) -> None:
        self._world = world
        self._console = console
        self._progress = progress

    def tell(self) -> bool:
        """Run the acts; whether every port was green in each."""
        managed = self._prepare()
        healthy = self._examine()
        first = self._act("Get the first certificate and deploy it: one server, then the others.", managed)
        second = self._act("Renew it with a new key and deploy again, as the daily run does.", managed)
        self._break_exchange()
        third = self._act("Renew again; this time the first server fails half-way.", managed, fails=True)
        next(iter(self._world.servers.values())).faults.heal()
        rows = _first_to_last(first, second, third)
        self._show(rows)
        good = healthy and bool(rows) and all(row.verdict is Verdict.OK for row in (*first, *second, *third, *rows))
        _say(self._console, "Every port is green." if good else "Not every port is green.")
        return good

    def _prepare(self) -> str:
        from certwright.domain.managed import TaskSettings  # noqa: PLC0415 - loads cryptography
        from certwright.domain.validation import Validation  # noqa: PLC0415 - loads cryptography
        from certwright.engine.issuers import add_issuer  # noqa: PLC0415 - loads the store
        from certwright.engine.managed import Wish, create  # noqa: PLC0415 - as above
        from certwright.engine.task_list import add_task  # noqa: PLC0415 - as above
        from certwright.sandbox.world import CREDENTIAL, ISSUER, NAMES  # noqa: PLC0415 - loads the simulator
        from certwright.sdk.context import Credential  # noqa: PLC0415 - loads cryptography

        world = self._world
        _say(self._console, f"Register at {world.authority.directory_url} and describe the certificate for {NAMES[0]}.")
        account = {
            "directory": world.authority.directory_url,
            "email": "postmaster@contoso.test",
            "ca_file": str(world.authority.ca_file),
            "agree_tos": True,
        }
        add_issuer(world.engine, "acme", ISSUER, account, internal_names=True, eab=None)
        with world.engine.store.write() as unit:
            unit.credentials.add("exchange", Credential(CREDENTIAL, world.administrator, world.password))
        listen = {"address": "127.0.0.1", "port": world.challenge_port, "check_via": world.http_address}
        wish = Wish(
            names=NAMES,
            issuer=ISSUER,
            validation=Validation(challenge="http-01", solver="http_listener", params=listen),
            profile="classic",
        )
        managed = create(world.engine, wish)
        add_task(world.engine, managed.id, TaskSettings(kind="exchange", title=TASK, params=world.task_parameters))
        return managed.id

    def _examine(self) -> bool:
        """What `certwright exchange doctor` says; whether nothing stops a deployment."""
        from certwright.cli.show import finding_lines  # noqa: PLC0415 - loads Rich
        from certwright.engine.exchange.judgement import doctor  # noqa: PLC0415 - loads the store

        _say(self._console, "Look at the whole organisation before anything is changed.")
        found = doctor(self._world.engine, self._world.connection)
        self._progress.close()
        lines = [*finding_lines(found.findings), f"{len(found.clean)} checks found nothing."]
        self._console.print("\n".join(lines))
        return found.passed

    def _act(self, sentence: str, managed: str, *, fails: bool = False) -> tuple[ServedRow, ...]:
        from certwright.domain.runs import Stage  # noqa: PLC0415 - loads cryptography

        _say(self._console, sentence)
        try:
            tasks = self._renew(managed)
        finally:
            self._progress.close()
        if not tasks:
            self._console.print("No task was run.")
            return ()
        result = tasks[0]
        servers = len({row.server for row in result.rows})
        fine = sum(row.verdict is Verdict.OK for row in result.rows)
        told = f"{fine} of {len(result.rows)} ports of {servers} servers serve what they should."
        self._console.print(f"{result.task.title}: {result.stage}. {told}")
        if result.error:
            self._console.print(result.error.message if fails else "\n".join(result.error.explain()))
        expected = Stage.ROLLED_BACK if fails else Stage.DEPLOYED
        return result.rows if result.stage is expected else ()

    def _renew(self, managed: str) -> Sequence["TaskResult"]:
        """Ask for the next version and deploy it: with a person looking on the first time, as the daily run then."""
        from certwright.engine.deploy import deploy  # noqa: PLC0415 - loads the store
        from certwright.engine.renew import renew  # noqa: PLC0415 - loads the store
        from certwright.engine.request import request  # noqa: PLC0415 - loads the store

        engine = self._world.engine
        with engine.store.read() as unit:
            is_first = unit.managed.current(managed) is None
        if is_first:
            request(engine, managed)
            return deploy(engine, managed, attended=True)
        done = renew(engine, managed, force=True)
        if done.error:
            raise done.error
        return done.tasks

    def _break_exchange(self) -> None:
        """The second Enable on the first server fails: its web site has moved by then, mail has not."""
        from certwright.exchange_simulator import Fail  # noqa: PLC0415 - the simulator

        reason = "The certificate could not be assigned: the disk is full."
        first = next(iter(self._world.servers.values()))
        first.faults.inject(Fail(reason, terminating=True), "Enable-ExchangeCertificate", nth=2)

    def _show(self, rows: Sequence[ServedRow]) -> None:
        """A line for each port, a column for each server."""
        from rich.text import Text  # noqa: PLC0415 - loads Rich

        from certwright.cli.show import COLOURS, table  # noqa: PLC0415 - as above

        standard, servers = self._world.standard_ports, list(dict.fromkeys(row.server for row in rows))
        cells: dict[tuple[str, int], list[str | Text]] = {}
        for row in rows:
            told = f"{row.shown_before[:8]} to {row.shown_now[:8]}, {row.verdict}"
            line = cells.setdefault((row.service, standard[row.server, row.port]), [])
            line.append(Text(told, style=COLOURS[row.verdict]))
        headers = ["Service", "Port", *servers]
        lines = [[service, str(port), *verdicts] for (service, port), verdicts in cells.items()]
        self._console.print(table(headers, lines, "What every port served at first, and serves now"))
        names = dict.fromkeys(name for row in rows for name in row.names)
        self._console.print(
            f"Certificates by the first digits of their thumbprints; all are for {' and '.join(names)}."
        )


def _first_to_last(*acts: tuple[ServedRow, ...]) -> list[ServedRow]:
    """One row for each port: what it served before the first act and serves after the last."""
    if not all(acts):
        return []
    first = {(row.server, row.port): row for row in acts[0]}

    def since(row: ServedRow) -> ServedRow:
        begun = first[row.server, row.port]
        return row.model_copy(update={"before": begun.before, "certificate_before": begun.certificate_before})

    return [since(row) for row in acts[-1]]


def _keep(world: "World", console: "Console") -> None:
    """Leave the world running until it is interrupted."""
    host, port = next(iter(world.servers.values())).ports[587]
    root = world.authority.ca_file
    key = world.settings.master_key_file
    try:
        console.print(
            "\nThe world goes on until you press Ctrl-C. Its certificate is called failing, for the last deployment "
            "was taken back, until `deploy` is run. In another terminal:\n"
            f"  export CERTWRIGHT_DATA={world.settings.data_folder} CERTWRIGHT_MASTER_KEY_FILE={key}\n"
            "  .venv/bin/certwright certificate list\n"
            "  .venv/bin/certwright certificate log mail.contoso.test --runs 10\n"
            "  .venv/bin/certwright deploy mail.contoso.test\n"
            "  .venv/bin/certwright exchange status\n"
            "  .venv/bin/certwright exchange verify mail.contoso.test\n"
            f"  .venv/bin/certwright probe {host}:{port} --starttls smtp --name mail.contoso.test --ca-file {root}\n"
            f"  .venv/bin/certwright serve    # the pages, at http://{LISTEN}/\n"
        )
        while True:
            time.sleep(_INTERRUPT_SECONDS)
    except KeyboardInterrupt:
        _say_at_last("The world ends.")
