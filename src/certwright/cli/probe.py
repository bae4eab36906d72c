"""`certwright probe`: what a service really serves."""

from typing import Annotated, Any

import typer

from certwright.cli.secret import read_file
from certwright.cli.session import Exit, Session, command
from certwright.domain.errors import ConfigurationError
from certwright.domain.identifiers import Identifier
from certwright.domain.web_address import is_address


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "probe")(probe)


def probe(
    session: Session,
    target: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="Where to look, for example mail.contoso.com:443.")
    ],
    starttls: Annotated[
        str | None, typer.Option(help="smtp, imap, pop3 or ldap [default: TLS from the start].")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name to send and to expect [default: HOST]; 'none' sends no name.")
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option(help="PEM file with the roots to trust [default: this machine's].")
    ] = None,
) -> None:
    """Connect to a TLS service and tell what it serves: certificate, chain, names, dates, protocol, trust."""
    from certwright.probe import Endpoint, Target, Trust  # noqa: PLC0415 - loads cryptography
    from certwright.probe import probe as look  # noqa: PLC0415 - as above

    if starttls not in (None, "smtp", "imap", "pop3", "ldap"):
        raise ConfigurationError(f"There is no STARTTLS for {starttls!r}.", hint="Choose smtp, imap, pop3 or ldap.")
    where = Endpoint.parse(target)
    sent = None if name == "none" else _typed(name) or (where.host if not is_address(where.host) else None)
    trust = Trust.of_pem(read_file(ca_file, "PEM certificates")) if ca_file else Trust.system()
    seen = look(Target(where.host, where.port, starttls=starttls, server_name=sent), trust)  # type: ignore[arg-type]
    good = seen.failure is None and not seen.problems
    session.code = Exit.DONE if good else Exit.FAILED
    session.emit(_data(seen, good=good), lambda console: console.print("\n".join(_lines(seen))))


def _typed(name: str | None) -> str | None:
    """The name as TLS sends it; what is no DNS name is refused further on."""
    return name if name is None or name.isascii() else Identifier.parse(name).value


def _data(seen: Any, *, good: bool) -> dict[str, Any]:
    leaf = seen.leaf
    return {
        "ok": good,
        "address": str(seen.address) if seen.address else None,
        "protocol": seen.protocol,
        "cipher": seen.cipher,
        "subject": leaf.subject if leaf else None,
        "issuer": leaf.issuer if leaf else None,
        "names": [str(n) for n in leaf.names] if leaf else [],
        "not_before": leaf.not_before.isoformat() if leaf else None,
        "not_after": leaf.not_after.isoformat() if leaf else None,
        "key": leaf.key if leaf else None,
        "thumbprint": leaf.thumbprint if leaf else None,
        "sha256": leaf.sha256 if leaf else None,
        "chain_length": len(seen.chain),
        "chain": [{"subject": subject, "issuer": issuer} for subject, issuer in _chain(seen)],
        "trusted": seen.trusted,
        "covers_name": seen.covers_name,
        "problems": [{"kind": p.kind, "message": p.message} for p in seen.problems],
        "failure": {"kind": seen.failure.kind, "message": seen.failure.message} if seen.failure else None,
    }


def _chain(seen: Any) -> list[tuple[str, str]]:
    """Subject and issuer of each certificate as sent; nothing if they could not be read."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415 - loads cryptography

    from certwright.domain.certificates import CertificateFacts  # noqa: PLC0415 - as above
    from certwright.probe.chain import lenient_parsing  # noqa: PLC0415 - as above

    if seen.leaf is None:
        return []
    with lenient_parsing():
        found = [CertificateFacts.of(load_der_x509_certificate(der)) for der in seen.chain]
    return [(facts.subject or "(empty)", facts.issuer) for facts in found]


def _lines(seen: Any) -> list[str]:
    lines = []
    if seen.address:
        lines.append(f"Connected to  {seen.address}, {seen.protocol or 'no TLS'} {seen.cipher or ''}".rstrip())
    if leaf := seen.leaf:
        lines += [
            f"Subject       {leaf.subject or '(empty)'}",
            f"Names         {', '.join(n.unicode for n in leaf.names) or 'none'}",
            f"Issuer        {leaf.issuer}",
            f"Valid         {leaf.not_before:%Y-%m-%d %H:%M} to {leaf.not_after:%Y-%m-%d %H:%M} UTC",
            f"Key           {leaf.key}",
            f"SHA-256       {leaf.sha256}",
            f"Thumbprint    {leaf.thumbprint}",
            f"Chain as sent {len(seen.chain)} certificate{'s' * (len(seen.chain) > 1)}",
            *(f"              {subject} <- {issuer}" for subject, issuer in _chain(seen)),
        ]
    lines += [f"Problem       {problem.message}" for problem in seen.problems]
    if seen.failure:
        lines.append(f"Failed        {seen.failure.message}")
    elif not seen.problems:
        lines.append("Verdict       a client would accept it")
    return lines
