"""`certwright certificate change`: what a certificate is to be, and what follows from that."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certwright.cli.secret import read_file, read_key
from certwright.cli.session import Session, command
from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import KeyType

if TYPE_CHECKING:
    from certwright.engine.change import Change, Foreseen

Reference = Annotated[str, typer.Argument(metavar="CERT", help="Its id, title, or a name that only it has.")]


class Optional(StrEnum):
    """What a certificate can be without."""

    PROFILE = "profile"
    PREFERRED_CHAIN = "preferred-chain"
    PFX_PASSWORD_CREDENTIAL = "pfx-password-credential"  # noqa: S105 - a word


def register(app: typer.Typer) -> None:
    """Add the command to those of certificates."""
    command(app, "change")(change)


def change(
    session: Session,
    certificate: Reference,
    name: Annotated[
        list[str] | None, typer.Option(help="In place of its names; may be given several times.", metavar="NAME")
    ] = None,
    issuer: Annotated[
        list[str] | None,
        typer.Option(help="The issuer that is to sign it; given again: who stands in while that one fails."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="What you call it.")] = None,
    key: Annotated[KeyType | None, typer.Option(help="Kind of key.")] = None,
    reuse_key: Annotated[
        bool | None, typer.Option("--reuse-key/--new-key", help="Keep the key when it is renewed, or not.")
    ] = None,
    key_file: Annotated[str | None, typer.Option(help="Use this private key; - is standard input.")] = None,
    key_password_file: Annotated[
        str | None, typer.Option(help="File with the password of an encrypted --key-file; - is standard input.")
    ] = None,
    csr: Annotated[str | None, typer.Option(help="Use this signing request; its key stays where it is.")] = None,
    profile: Annotated[str | None, typer.Option(help="The authority's profile, for example classic.")] = None,
    preferred_chain: Annotated[
        str | None, typer.Option(metavar="CN", help="Choose the chain with this issuer.")
    ] = None,
    pfx_password_credential: Annotated[str | None, typer.Option(help="Credential for exported PFX files.")] = None,
    without: Annotated[list[Optional] | None, typer.Option(help="Take that away; may be given several times.")] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Say what would change, and what would follow; change nothing.")
    ] = False,
) -> None:
    """Change what a certificate is to be; a new version is due if what is issued depends on it."""
    from certwright.engine.change import change as carry_out  # noqa: PLC0415 - loads the store
    from certwright.engine.change import preview_change  # noqa: PLC0415 - as above
    from certwright.engine.managed import KeyWish  # noqa: PLC0415 - as above

    given = {
        "names": name,
        "issuers": issuer,
        "title": title,
        "profile": profile,
        "preferred_chain": preferred_chain,
        "pfx_password_credential": pfx_password_credential,
    }
    wanted: Any = {field: value for field, value in given.items() if value}
    wanted |= {each.replace("-", "_"): None for each in without or ()}
    if key or key_file or csr or reuse_key is not None:
        own = read_key(key_file, key_password_file) if key_file else None
        request = read_file(csr, "a signing request") if csr else None
        kind = key if key or own or request else _kind(session, certificate)
        wanted["key"] = KeyWish(kind, own, request, bool(reuse_key))
    _require_something(wanted)
    foreseen = preview_change(session.engine, certificate, wanted)
    if not preview:
        carry_out(session.engine, certificate, wanted)
    session.emit(
        {"before": foreseen.before, "after": foreseen.after, "renewal": _renewal(foreseen), "changed": not preview},
        lambda console: console.print("\n".join(_lines(foreseen, is_preview=preview))),
    )


def _require_something(wanted: "Change") -> None:
    if not wanted:
        raise ConfigurationError(
            "Nothing is said that is to be another.",
            hint="Give what is, such as --name or --issuer; `certwright certificate change --help` lists all.",
        )


def _kind(session: Session, certificate: str) -> KeyType:
    with session.engine.store.read() as unit:
        return unit.managed.get(certificate).key.type


def _renewal(foreseen: "Foreseen") -> dict[str, Any]:
    decision = foreseen.renewal
    return {"due": decision.due, "reason": decision.reason, "message": decision.message}


def _lines(foreseen: "Foreseen", *, is_preview: bool) -> Iterator[str]:
    before, after = foreseen.before, foreseen.after
    for field in sorted(after):
        yield f"{field.replace('_', ' ')}: {_text(before.get(field))} -> {_text(after[field])}"
    if not after:
        yield "It is so already."
    told = f"{'yes' if foreseen.renewal.due else 'no'}. {foreseen.renewal.message}"
    yield f"Would be due: {told}" if is_preview else f"Due: {told}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
