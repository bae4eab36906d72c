"""`certwright exchange setup|plan|apply|verify|undo|cleanup`: one certificate, put to use and kept so."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.consent import Yes, agree, show_plans
from certwright.cli.deploy import Now, finish
from certwright.cli.exchange.show import name_lines
from certwright.cli.files import check_new, write_new
from certwright.cli.params import given
from certwright.cli.proof import look, validation_of
from certwright.cli.secret import read_file
from certwright.cli.session import Exit, Session
from certwright.cli.show import DIFFERS, finding_lines, served_tables
from certwright.domain.deployment import Plan, ServedRow, Severity, failures
from certwright.domain.errors import ConfigurationError
from certwright.exchange.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from certwright.engine.exchange.cleanup import Cleaned
    from certwright.engine.exchange.deployment import Planned
    from certwright.engine.exchange.setup import Proposal

Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]
Servers = Annotated[
    list[str] | None, typer.Option("--server", metavar="SERVER", help="Only this server; may be given several times.")
]


def setup(
    session: Session,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Put this name on it [default: the public names it needs]."),
    ] = None,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where the authority may write to.")] = None,
    issuer: Annotated[str | None, typer.Option(metavar="NAME", help="An issuer that is there already.")] = None,
    directory: Annotated[
        str | None, typer.Option(metavar="URL", help="The authority's directory [default: Let's Encrypt].")
    ] = None,
    directory_ca_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="PEM file with the root of the authority's own https certificate."),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TITLE", help="What you call the certificate [default: its first name].")
    ] = None,
    http_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS:PORT", help="Where to listen for http-01.")
    ] = None,
    http_check_via: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Check the answers here.")] = None,
    webroot: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Answer http-01 by files in this folder of a web server.")
    ] = None,
    dns: Annotated[
        str | None,
        typer.Option(metavar="CREDENTIAL", help="Prove the names by DNS records, with this credential; or: manual."),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The maintenance window in which it is deployed [default: any time]."),
    ] = None,
    yes: Yes = False,
    **values: Any,
) -> None:
    """Describe the certificate and its deployment. Names and servers are found out; Exchange is not changed."""
    from certwright.engine import accounts  # noqa: PLC0415 - loads the store
    from certwright.engine.exchange import setup as setting  # noqa: PLC0415 - as above

    account = accounts.Account(issuer, email, directory or accounts.LETS_ENCRYPT, directory_ca_file)
    ways = {"--dns": dns, "--http-address": http_address, "--webroot": webroot}
    validation = validation_of(ways, look(http_check_via, off=False))
    wanted = given(Settings, values)
    proposal = setting.propose(session.engine, wanted, account, validation, tuple(name or ()), title, window=window)
    ask = not yes and session.can_ask
    if ask:
        session.progress.close()
        _show_proposal(session.console, proposal)
    if accounts.needs_email(session.engine, account):
        if not ask:
            raise ConfigurationError("The authority wants an e-mail address.", hint="Give it with --email.")
        told = f"E-mail address for {account.directory} (with it you agree to its terms of service)"
        account = replace(account, email=typer.prompt(told))
    if ask and not typer.confirm("Set this up?"):
        raise ConfigurationError("Nothing was set up, as you wished.")
    made = setting.set_up(session.engine, proposal, account, (validation,), title)

    def show(console: "Console") -> None:
        if not ask:
            _show_proposal(console, proposal)
        console.print(f"Managed certificate {made.id} ({made.title}) is set up.")
        console.print(f"Next: certwright certificate request {made.id}")
        console.print(f"then: certwright exchange plan {made.id}")

    session.emit({**made.model_dump(mode="json"), "proposal": proposal.data()}, show)


def _show_proposal(console: "Console", proposal: "Proposal") -> None:
    console.print(f"Servers: {', '.join(proposal.settings.servers)}")
    console.print(f"Names:   {', '.join(proposal.names)}")
    if proposal.window:
        console.print(f"Window:  {proposal.window}")
    for line in name_lines(proposal.verdicts, proposal.names):
        console.print(line)


def plan(
    session: Session,
    certificate: Reference,
    server: Servers = None,
    powershell: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write do.ps1 and undo.ps1 into this folder, for the management shell."),
    ] = None,
) -> None:
    """Say exactly what would be done. In which order, and why; servers are read, nothing is changed."""
    from certwright.engine.exchange import deployment  # noqa: PLC0415 - loads the store

    if powershell:
        check_new(powershell / "do.ps1")
    planned = deployment.plan(session.engine, certificate, server or ())
    written = _write_scripts(deployment.scripts(session.engine, planned), powershell) if powershell else []

    def show(console: "Console") -> None:
        show_plans(console, _titled(planned))
        for path in written:
            console.print(f"written: {path}")
        if any(one.plan.changes for one in planned):
            console.print(f"Next: {_apply_command(certificate, planned, server)}")

    session.emit([one.data() for one in planned], show)
    session.code = _refused(planned)


def _write_scripts(scripts: dict[str, bytes], folder: Path) -> list[Path]:
    for name, content in scripts.items():
        write_new(folder / name, content)
    return [folder / name for name in scripts]


def apply(
    session: Session,
    certificate: Reference,
    hashes: Annotated[
        list[str] | None, typer.Option("--plan", metavar="HASH", help="The plan you agreed to, as `plan` named it.")
    ] = None,
    server: Servers = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    on_server: Annotated[
        bool, typer.Option("--on-server", help="With --dry-run: send each command with -WhatIf, to prove the rights.")
    ] = False,
    now: Now = False,
    yes: Yes = False,
) -> None:
    """Carry the plan out. Every port is looked at, and all is taken back if that fails."""
    from certwright.engine.exchange import deployment  # noqa: PLC0415 - loads the store

    if on_server and not dry_run:
        raise ConfigurationError("--on-server belongs to --dry-run.", hint="Say both, or neither.")
    if dry_run:
        _rehearse(session, certificate, server or [], on_server=on_server)
        return
    if not now:
        deployment.check_window(session.engine, certificate)
    if not hashes:
        planned = deployment.plan(session.engine, certificate, server or ())
        word = " --now" if now else ""
        agree(session, _titled(planned), f"{_apply_command(certificate, planned, server)}{word}", yes=yes)
        hashes = [one.plan.digest for one in planned]
    finish(session, deployment.apply(session.engine, certificate, hashes, server or (), anytime=now))


def _rehearse(session: Session, certificate: str, servers: list[str], *, on_server: bool) -> None:
    from certwright.engine.exchange import deployment  # noqa: PLC0415 - loads the store

    if not on_server:
        planned = deployment.plan(session.engine, certificate, servers)
        session.emit([one.data() for one in planned], lambda console: show_plans(console, _titled(planned)))
        session.code = _refused(planned)
        return
    rehearsed = deployment.rehearse(session.engine, certificate, servers)

    def show(console: "Console") -> None:
        for one, answers in rehearsed:
            show_plans(console, _titled([one]))
            if one.plan.refusals:
                console.print("Nothing was sent: the plan is refused.")
            for line in finding_lines(answers):
                console.print(line)

    session.emit(
        [{**one.data(), "answers": [a.model_dump(mode="json") for a in answers]} for one, answers in rehearsed],
        show,
    )
    stopped = any(answer.severity is Severity.STOP for _, answers in rehearsed for answer in answers)
    session.code = Exit.FAILED if stopped else _refused([one for one, _ in rehearsed])


def _refused(planned: "Sequence[Planned]") -> Exit:
    return Exit.FAILED if any(one.plan.refusals for one in planned) else Exit.DONE


def verify(
    session: Session,
    certificate: Reference,
    outside: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write a program into this new file that looks at the public names from a computer elsewhere.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Show what that program printed with --json.")
    ] = None,
) -> None:
    """Show what every port serves now. Of every server and public name; exit code 1 if it is another, or not seen."""
    from certwright.engine.exchange import deployment  # noqa: PLC0415 - loads the store

    if outside and report:
        raise ConfigurationError("--outside and --report exclude each other.")
    if outside:
        write_new(outside, deployment.outside_script(session.engine, certificate))
        back = f"certwright exchange verify {shlex.quote(certificate)} --report report.json"
        session.say(
            f"written: {outside}\nCopy it to a computer outside your network and run there: python3 {outside.name} "
            f"--json > report.json\nThen here: {back}",
            file=str(outside),
        )
        return
    if report:
        rows = deployment.outside_rows(session.engine, certificate, read_file(str(report), "the program's report"))
        session.emit(
            [row.model_dump(mode="json") for row in rows],
            lambda console: _show_rows(console, rows, "Seen from outside"),
        )
        session.code = Exit.FAILED if failures(rows) else Exit.DONE
        return
    inspected = deployment.inspect(session.engine, certificate)
    wrong = [row for one in inspected for row in failures(one.inspection.rows)]
    severities = {finding.severity for one in inspected for finding in one.inspection.findings}

    def show(console: "Console") -> None:
        for one in inspected:
            _show_rows(console, one.inspection.rows, one.task.title)
            for line in finding_lines(one.inspection.findings, DIFFERS):
                console.print(line)
        if wrong or Severity.STOP in severities:
            console.print(f"Next, to see what would repair it: certwright exchange plan {shlex.quote(certificate)}")

    session.emit([one.data() for one in inspected], show)
    session.code = Exit.FAILED if wrong or severities & {Severity.STOP, Severity.ASK} else Exit.DONE


def _show_rows(console: "Console", rows: "Sequence[ServedRow]", title: str) -> None:
    for shown in served_tables(console, rows, title) if rows else (f"{title}: there is no port to look at",):
        console.print(shown)


def undo(
    session: Session,
    certificate: Reference,
    hashes: Annotated[
        list[str] | None, typer.Option("--plan", metavar="HASH", help="The plan you agreed to, as --dry-run named it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    now: Now = False,
    yes: Yes = False,
) -> None:
    """Put back what was in use before the last deployment. It stays so until you deploy again, or it is renewed."""
    from certwright.engine.exchange import deployment  # noqa: PLC0415 - loads the store
    from certwright.engine.exchange import undo as undoing  # noqa: PLC0415 - as above

    if dry_run:
        planned = undoing.plan(session.engine, certificate)
        session.emit([one.data() for one in planned], lambda console: show_plans(console, _titled(planned)))
        session.code = _refused(planned)
        return
    if not now:
        deployment.check_window(session.engine, certificate)
    if not hashes:
        planned = undoing.plan(session.engine, certificate)
        words = ["certwright", "exchange", "undo", certificate]
        words += [word for one in planned for word in ("--plan", one.plan.digest)]
        agree(session, _titled(planned), shlex.join([*words, *(["--now"] if now else [])]), yes=yes)
        hashes = [one.plan.digest for one in planned]
    finish(session, undoing.apply(session.engine, certificate, hashes, anytime=now))


def _titled(planned: "Sequence[Planned]") -> list[tuple[str, Plan]]:
    return [(one.task.title, one.plan) for one in planned]


def _apply_command(certificate: str, planned: "Sequence[Planned]", servers: list[str] | None) -> str:
    words = ["certwright", "exchange", "apply", certificate]
    for one in planned:
        words += ["--plan", one.plan.digest]
    for server in servers or ():
        words += ["--server", server]
    return shlex.join(words)


def cleanup(
    session: Session,
    certificate: Reference,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed, and what is kept.")
    ] = False,
    now: Now = False,
    yes: Yes = False,
) -> None:
    """Remove earlier versions from the servers. Those that Certwright imported and nothing uses; others stay."""
    from certwright.engine.exchange import cleanup as cleaning  # noqa: PLC0415 - loads the store

    if not dry_run and not now:
        cleaning.check_window(session.engine, certificate)
    found = cleaning.plan(session.engine, certificate)
    removals = [change for one in found for change in one.plan.removals]
    if removals and not dry_run and not yes:
        if not session.can_ask:
            raise ConfigurationError(
                "Nothing was removed: nobody agreed.", hint="Look with --dry-run, agree with --yes."
            )
        session.progress.close()
        _show_cleanup(session.console, found)
        if not typer.confirm("Remove them now?"):
            raise ConfigurationError("Nothing was removed, as you wished.")
    done = found if dry_run else cleaning.carry_out(session.engine, certificate, removals, anytime=now)
    session.emit([one.data() for one in done], lambda console: _show_cleanup(console, done))
    if any(one.deferred for one in done):
        session.code = Exit.FAILED
    else:
        session.code = Exit.DONE if any(one.plan.removals for one in done) else Exit.NOTHING_TO_DO


def _show_cleanup(console: "Console", found: "Sequence[Cleaned]") -> None:
    for one in found:
        for change in one.plan.removals:
            removed = "removed" if change in one.removed else "to be removed"
            console.print(f"{removed}: {change.target}: {change.typed}   ({change.why})")
        for kept in one.plan.kept:
            console.print(f"kept: {kept.server}: {kept.thumbprint}")
            for reason in kept.reasons:
                console.print(f"   {reason}")
        for deferred in one.deferred:
            console.print(f"stays: {deferred.change.target}: {deferred.change.typed}: {deferred.reason}")
        if not one.plan.removals and not one.plan.kept:
            console.print("There is nothing of an earlier version on any server.")
