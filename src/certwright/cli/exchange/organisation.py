"""`certwright exchange discover|names|status|doctor|account|acknowledge|capture`: nothing in Exchange is changed."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.exchange.show import (
    counted,
    judged_against,
    name_lines,
    snapshot_lines,
    status_shown,
)
from certwright.cli.files import check_new, write_new
from certwright.cli.params import given
from certwright.cli.secret import read_file
from certwright.cli.session import Exit, Session
from certwright.domain.errors import ConfigurationError
from certwright.exchange.connection import Connection

if TYPE_CHECKING:
    from rich.console import Console

_MAX_SNAPSHOT = 64 * 1024 * 1024


def _reach(session: Session, values: dict[str, Any]) -> Connection:
    from certwright.engine.exchange.reach import reach  # noqa: PLC0415 - loads the store

    return reach(session.engine, given(Connection, values))


def discover(
    session: Session,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the whole snapshot into this new file, as JSON.")
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with this exported snapshot [default: with the last one seen]."),
    ] = None,
    **values: Any,
) -> None:
    """Read the organisation and say what has changed. Servers, certificates, connectors; nothing is changed there."""
    from certwright.engine.exchange.discovery import discover as read  # noqa: PLC0415 - loads the store
    from certwright.exchange.snapshot import dump, load  # noqa: PLC0415 - loads pydantic's models

    check_new(export)
    older = load(read_file(str(compare), "an exported snapshot", _MAX_SNAPSHOT)) if compare else None
    found = read(session.engine, _reach(session, values), older)
    if export:
        write_new(export, json.dumps(dump(found.snapshot), indent=2))

    def show(console: "Console") -> None:
        for line in snapshot_lines(found.snapshot):
            console.print(line)
        if found.previous:
            told = counted(len(found.differences), "difference") if found.differences else "nothing has changed"
            console.print(f"Since {found.previous:%Y-%m-%d %H:%M} UTC: {told}.")
        for difference in found.differences:
            console.print(f"  {difference.text}")
        if export:
            console.print(f"written: {export}")
        console.print("Next: certwright exchange names")
        console.print("then: certwright exchange doctor")

    session.emit(found.data(), show)


def names(
    session: Session,
    certificate: Annotated[str | None, typer.Option(metavar="CERT", help="Judge against this certificate.")] = None,
    **values: Any,
) -> None:
    """List the names that the certificate needs. Each with who asks for it, and what to do about it."""
    from certwright.engine.exchange.names import names as judge  # noqa: PLC0415 - loads the store

    found = judge(session.engine, _reach(session, values), certificate)

    def show(console: "Console") -> None:
        console.print(f"Judged against {judged_against(found.judged)}.")
        for line in name_lines(found.verdicts):
            console.print(line)
        console.print(f"For a new certificate: {', '.join(found.proposed) or 'no public name was found'}")
        console.print("Next: certwright exchange doctor")

    session.emit(found.data(), show)


def status(session: Session, **values: Any) -> None:
    """Show what each server has. Certificates, services, connectors, expiry, and what is not as it was deployed."""
    from certwright.engine.exchange.judgement import status as look  # noqa: PLC0415 - loads the store

    found = look(session.engine, _reach(session, values))

    def show(console: "Console") -> None:
        for shown in status_shown(console, found):
            console.print(shown)

    session.emit(asdict(found), show)


def doctor(
    session: Session,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the report into this new file, to send it on.")
    ] = None,
    **values: Any,
) -> None:
    """Examine the whole organisation. Nothing is changed; exit code 1 if something stops a deployment."""
    from certwright.engine.exchange.judgement import doctor as examine  # noqa: PLC0415 - loads the store
    from certwright.exchange.judgement import report  # noqa: PLC0415 - only where it is used

    check_new(html)
    found = examine(session.engine, _reach(session, values))
    if html:
        write_new(html, report.html(found))

    def show(console: "Console") -> None:
        console.print(report.text(found))
        if html:
            console.print(f"written: {html}")

    told = [finding.model_dump(mode="json") for finding in found.findings]
    session.emit({"passed": found.passed, "findings": told}, show)
    session.code = Exit.DONE if found.passed else Exit.FAILED


def account(
    session: Session,
    check: Annotated[
        bool, typer.Option("--check", help="Has the account what it needs? (This is the default.)")
    ] = False,
    script: Annotated[
        str | None, typer.Option(metavar="ACCOUNT", help="Print the cmdlets that give this account the least rights.")
    ] = None,
    **values: Any,
) -> None:
    """Check the account's rights. Or print the exact cmdlets that give it the least it needs."""
    from certwright.exchange.account import check_account, grant_script  # noqa: PLC0415 - only where it is used

    if script is not None:
        if check:
            raise ConfigurationError("--check and --script exclude each other.")
        check_account(script)
        text = grant_script(script)
        session.emit({"script": text}, lambda console: console.print(text))
        return
    from certwright.engine.exchange.judgement import rights  # noqa: PLC0415 - loads the store

    found = rights(session.engine, _reach(session, values))

    def show(console: "Console") -> None:
        if not found.known:
            console.print("What the account may do could not be read.")
        for one in found.missing:
            console.print(str(one))
        if found.are_enough:
            console.print("The account has all the rights that Certwright needs.")
        elif found.missing:
            console.print("Next, to see the cmdlets that give them: certwright exchange account --script ACCOUNT")

    session.emit(found.data(), show)
    session.code = Exit.DONE if found.are_enough else Exit.FAILED


def acknowledge(
    session: Session,
    connector: Annotated[list[str], typer.Argument(metavar="CONNECTOR...", help="Send connector, as `plan` names it.")],
    **values: Any,
) -> None:
    """Agree to what `plan` asks about a connector. It presents a certificate without client authentication."""
    from certwright.engine.exchange.judgement import acknowledge as keep  # noqa: PLC0415 - loads the store

    known = keep(session.engine, _reach(session, values), connector)
    session.say(f"Acknowledged by now: {', '.join(sorted(known))}.", acknowledged=sorted(known))


def capture(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new file to write; it holds no real name.")],
    **values: Any,
) -> None:
    """Write a redacted transcript of read-only calls. With it a problem can be reproduced elsewhere."""
    from certwright.engine.exchange.capture import capture as record  # noqa: PLC0415 - loads the store

    check_new(file)
    text = record(session.engine, _reach(session, values))
    write_new(file, text)
    calls = len(text.splitlines())
    session.say(
        f"{calls} calls are written to {file}. Read it before you send it: names, addresses and certificates are "
        "replaced by made-up ones.",
        file=str(file),
        calls=calls,
    )
