"""`certwright certificate`: what you want kept valid, and what was issued for it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from certwright.cli.proof import look, validation_of
from certwright.cli.secret import read_file, read_key, read_secret
from certwright.cli.session import Exit, Session, command
from certwright.cli.show import journal_lines, plan_lines, report_lines, served, table
from certwright.domain.errors import ConfigurationError
from certwright.domain.formats import PfxCipher
from certwright.domain.keys import KeyType
from certwright.domain.limits import span_in_words

app = typer.Typer(help="Managed certificates.", no_args_is_help=True)
Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]


@command(app, "new")
def new(
    session: Session,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The names, for example mail.contoso.com.")],
    issuer: Annotated[
        list[str],
        typer.Option(help="The issuer that is to sign it; given again: who stands in while that one fails."),
    ],
    title: Annotated[str | None, typer.Option(help="What you call it [default: its first name].")] = None,
    dns: Annotated[
        str | None,
        typer.Option(metavar="CREDENTIAL", help="Prove the names by DNS records, with this credential; or: manual."),
    ] = None,
    dns_persist: Annotated[
        bool,
        typer.Option("--dns-persist", help="Prove the names by DNS records that you create once and that stay."),
    ] = False,
    http_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Where to listen for http-01, several with commas; :PORT is every address [default: :80].",
        ),
    ] = None,
    tls_alpn: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS:PORT", help="Prove the names by tls-alpn-01, and listen here, usually :443."),
    ] = None,
    http_check_via: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Check the answers here instead of at the names' addresses.")
    ] = None,
    no_http_check: Annotated[
        bool, typer.Option("--no-http-check", help="Do not look at the answers before the authority does.")
    ] = False,
    webroot: Annotated[str | None, typer.Option(help="Answer http-01 by files in this folder of a web server.")] = None,
    key: Annotated[KeyType | None, typer.Option(help="Kind of key [default: rsa-2048].")] = None,
    key_file: Annotated[str | None, typer.Option(help="Use this private key; - is standard input.")] = None,
    key_password_file: Annotated[
        str | None, typer.Option(help="File with the password of an encrypted --key-file; - is standard input.")
    ] = None,
    csr: Annotated[str | None, typer.Option(help="Use this signing request; its key stays where it is.")] = None,
    reuse_key: Annotated[bool, typer.Option("--reuse-key", help="Keep the key when it is renewed.")] = False,
    profile: Annotated[str | None, typer.Option(help="The authority's profile, for example classic.")] = None,
    preferred_chain: Annotated[
        str | None, typer.Option(metavar="CN", help="Choose the chain with this issuer.")
    ] = None,
    pfx_password_credential: Annotated[str | None, typer.Option(help="Credential for exported PFX files.")] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The maintenance window in which it is deployed [default: any time]."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="A word by which it is found; may be given several times.")
    ] = None,
) -> None:
    """Describe a certificate that is to be kept valid; nothing is requested yet."""
    from certwright.engine import managed  # noqa: PLC0415 - loads the store

    wish = managed.Wish(
        names=tuple(names),
        issuer=issuer[0],
        fallback_issuers=tuple(issuer[1:]),
        title=title,
        validation=validation_of(
            {
                "--dns": dns,
                "--dns-persist": dns_persist,
                "--tls-alpn": tls_alpn,
                "--http-address": http_address,
                "--webroot": webroot,
            },
            look(http_check_via, off=no_http_check),
        ),
        key_type=key,
        own_key=read_key(key_file, key_password_file) if key_file else None,
        own_csr=read_file(csr, "a signing request") if csr else None,
        reuse_key=reuse_key,
        profile=profile,
        preferred_chain=preferred_chain,
        pfx_password_credential=pfx_password_credential,
        window=window,
        tags=tuple(tag or ()),
    )
    made = managed.create(session.engine, wish)
    shown = ", ".join(i.unicode for i in made.identifiers)
    session.emit(
        made.model_dump(mode="json"),
        lambda console: console.print(
            f"Managed certificate {made.id} ({made.title}) for {shown}.\nNext: certwright certificate request {made.id}"
        ),
    )


@command(app, "issuers")
def issuers(
    session: Session,
    certificate: Reference,
    names: Annotated[list[str], typer.Argument(metavar="ISSUER...", help="In the order in which they are asked.")],
) -> None:
    """Choose who signs a certificate: the first, and the others while that one fails by a fault of its own."""
    from certwright.engine.change import change  # noqa: PLC0415 - loads the store

    changed = change(session.engine, certificate, {"issuers": names})
    session.say(f"{changed.title}: {', else '.join(changed.issuers)}.", **changed.model_dump(mode="json"))


@command(app, "tags")
def tags(
    session: Session,
    certificate: Reference,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG...]", help="In place of those that it has.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="It is to have none.")] = False,
) -> None:
    """Choose the tags by which a certificate is found, and to which people and tokens can be limited."""
    from certwright.engine.managed import set_tags  # noqa: PLC0415 - loads the store

    if bool(words) == none:
        raise ConfigurationError("Give either tags or --none.", hint="`certwright certificate show` shows what it has.")
    changed = set_tags(session.engine, certificate, words or ())
    session.say(f"{changed.title}: {', '.join(changed.tags) or 'no tags'}.", **changed.model_dump(mode="json"))


@command(app, "list")
def list_certificates(
    session: Session, tag: Annotated[str | None, typer.Option(help="Only those with this tag.")] = None
) -> None:
    """List the managed certificates."""
    from certwright.engine.managed import summaries  # noqa: PLC0415 - loads the store

    found = summaries(session.engine, tag)
    session.emit(
        [s.data() for s in found],
        lambda console: console.print(
            table(
                ["Id", "Title", "Health", "Names", "Issuer", "Valid until", "Next look", "Deployed"],
                [
                    [
                        s.managed.id,
                        s.managed.title,
                        s.health.health if s.health.rule == "well" else f"{s.health.health}: {s.health.rule}",
                        ", ".join(i.unicode for i in s.managed.identifiers),
                        ", else ".join(s.managed.issuers),
                        f"{s.facts.not_after:%Y-%m-%d %H:%M}" if s.facts else "not issued",
                        "now" if s.decision.due else f"{s.decision.next_check:%Y-%m-%d %H:%M}",
                        s.deployed,
                    ]
                    for s in found
                ],
            )
        ),
    )


@command(app, "show")
def show(session: Session, certificate: Reference) -> None:
    """Show one managed certificate: what is wanted, what was issued, where it is in use."""
    from certwright.engine.managed import details  # noqa: PLC0415 - loads the store

    found = details(session.engine, certificate)

    def to_person(console: Any) -> None:
        for label, value in found.lines():
            console.print(f"{label:<16} {value}")
        for state in found.states:
            title = found.managed.task(state.task_id).title
            headline = f"Task {title}: {found.word(state)} {found.told(state)}".rstrip()
            console.print(served(console, state.served, headline) if state.served else headline)

    session.emit(found.data(), to_person)


@command(app, "preview")
def preview(session: Session, certificate: Reference) -> None:
    """Say what would happen now; targets are read, nothing is changed."""
    from certwright.engine.preview import preview as look  # noqa: PLC0415 - loads the store

    found = look(session.engine, certificate)
    managed = found.managed
    lines = [
        f"Request: {'due' if found.decision.due else 'not due'}. {found.decision.message}",
        *(["An order that was begun earlier would be resumed."] if found.resumes else []),
        *(found.obstacle.explain() if found.obstacle else []),
        *(f"  {name}: {proof}" for name, proof in found.proofs),
        f"Key: {managed.key.type}, {managed.key.source}. Issuer: {', else '.join(managed.issuers)}.",
        *([f"It is valid for about {span_in_words(found.lifetime)}."] if found.lifetime else []),
        *([f"It is renewed when it is about {span_in_words(found.renewed_after)} old."] if found.renewed_after else []),
    ]
    for item in found.tasks:
        lines.append(f"Task {item.task.title} ({item.task.when}):")
        if item.error:
            lines += [f"  {line}" for line in item.error.explain()]
        elif item.plan:
            lines += [f"  {line}" for line in plan_lines(item.plan)]
        else:
            lines.append("  planned when the first certificate is there")
    lines += [f"{one.task.title}: {one.message}" for one in found.held]
    session.emit(found.data(), lambda console: console.print("\n".join(lines)))
    if found.obstacle:
        session.code = Exit.USAGE
    elif any(item.error for item in found.tasks):
        session.code = Exit.FAILED


@command(app, "test")
def test(session: Session, certificate: Reference) -> None:
    """Try all that a request and a deployment need: authority, names, proofs, targets; no validation is attempted."""
    from certwright.engine.test import test as attempt  # noqa: PLC0415 - loads the store

    report = attempt(session.engine, certificate)
    session.emit(
        report.data(),
        lambda console: console.print("\n".join(report_lines(report))),
    )
    if not report.is_ready:
        session.code = Exit.FAILED


@command(app, "persist")
def persist(
    session: Session,
    certificate: Reference,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day on which they end, at 0:00 UTC [default: they do not end]."),
    ] = None,
) -> None:
    """Print the DNS records that prove the names by dns-persist-01; create them once, they stay."""
    from certwright.engine.persist import records  # noqa: PLC0415 - loads the store

    found = records(session.engine, certificate, until.replace(tzinfo=UTC) if until else None)
    session.emit([r.data() for r in found], lambda console: console.print("\n".join(r.line for r in found)))


@command(app, "remove")
def remove(
    session: Session,
    certificate: Reference,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Stop managing a certificate and forget its keys; what targets have stays there and expires in time."""
    from certwright.engine.managed import remove as forget  # noqa: PLC0415 - loads the store

    question = f"{certificate}: it will no longer be renewed and its private keys are deleted here. Remove it?"
    if not yes and not typer.confirm(question, default=False, err=True):
        raise ConfigurationError("Nothing was removed.", hint="With --yes it is removed without a question.")
    gone = forget(session.engine, certificate)
    session.say(f"{gone.title} is no longer managed.", removed=gone.id)


@command(app, "log")
def log(
    session: Session,
    certificate: Reference,
    runs: Annotated[int, typer.Option(min=1, max=1000, help="How many runs, newest last.")] = 1,
) -> None:
    """Show the journal of the last runs."""
    with session.engine.store.read() as unit:
        managed = unit.managed.get(certificate)
        found = [(run, unit.runs.entries(run.id)) for run in reversed(unit.runs.list(managed.id, runs))]

    def to_person(console: Any) -> None:
        for run, entries in found:
            ended = run.outcome or "under way"
            told = {line.strip() for entry in entries for line in entry.detail.splitlines()}
            first, *more = run.message.splitlines() or [""]
            console.print(f"{run.kind} {run.id} of {run.started_at:%Y-%m-%d %H:%M} UTC: {ended} {first}".rstrip())
            console.print("".join(f"{line}\n" for line in more if line.strip() not in told), end="")
            console.print("\n".join(f"  {line}" for line in journal_lines(entries)))
        if not found:
            console.print("Nothing was done for it yet.")

    data = [
        {**run.model_dump(mode="json"), "entries": [e.model_dump(mode="json") for e in entries]}
        for run, entries in found
    ]
    session.emit(data, to_person)


@command(app, "export")
def export(
    session: Session,
    certificate: Reference,
    folder: Annotated[Path, typer.Option("--to", help="The folder to write into.")] = Path(),
    form: Annotated[
        str, typer.Option("--format", help="pem, fullchain, pfx, der, or p7b (its issuers alone).")
    ] = "pem",
    cipher: Annotated[
        PfxCipher, typer.Option(help="For pfx: legacy (3DES/SHA-1, old Windows) or modern (AES-256/SHA-256).")
    ] = PfxCipher.LEGACY,
    password_file: Annotated[
        str | None, typer.Option(help="For pfx: file with its password; - is standard input.")
    ] = None,
) -> None:
    """Write the current version to files; key files are readable by you alone."""
    from certwright.engine.export import ExportFormat  # noqa: PLC0415 - loads the store
    from certwright.engine.export import export as write  # noqa: PLC0415 - as above

    if form not in set(ExportFormat):
        raise ConfigurationError(f"There is no format {form!r}.", hint=f"Choose one of: {', '.join(ExportFormat)}.")
    password = read_secret(password_file, "PFX password") if password_file else None
    files = write(session.engine, certificate, folder, ExportFormat(form), cipher=cipher, password=password)
    session.emit(
        [{"path": str(f.path), "secret": f.secret} for f in files],
        lambda console: console.print("\n".join(f"{f.path}{' (secret)' if f.secret else ''}" for f in files)),
    )
