"""What wizards have in common: the names with their verdicts, how each is proved, and who signs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from certwright.domain import authorities
from certwright.domain.access import Permission
from certwright.domain.audit import Subject
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Tags
from certwright.engine.accounts import Account, known_issuer
from certwright.engine.context import Engine
from certwright.engine.managed import tags_of
from certwright.web import forms, proving
from certwright.web.language import _
from certwright.web.pages import Visit
from certwright.web.received import NOTHING, listed, text, texts
from certwright.web.waiting import Waited

_ISSUER, _AUTHORITY = "issuer:", "authority:"


@dataclass(frozen=True, slots=True)
class Row:
    """A name: whether it is to be on the certificate, how it stands, who needs it, what to do, and how it is proved.

    `holder` is another certificate that has it already.
    """

    name: str
    chosen: bool
    stands: str = ""
    sources: tuple[str, ...] = ()
    advice: str = ""
    commands: tuple[str, ...] = ()
    proof: str = ""
    holder: Subject | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """Who can sign: what a form calls it, what a person reads, and whether there is an account already."""

    key: str
    title: str
    is_known: bool = False


def signers(engine: Engine, *, may_register: bool) -> list[Signer]:
    """The issuers that are there, and authorities that take newcomers without more than an e-mail address."""
    with engine.store.read() as unit:
        issuers = [issuer for issuer in unit.issuers.list() if issuer.account]
    found = [
        Signer(f"{_ISSUER}{each.name}", each.name if each.title == each.name else f"{each.name} ({each.title})", True)
        for each in issuers
    ]
    known = {issuer.params.get("directory") for issuer in issuers}
    new = [each for each in authorities.CATALOGUE if each.directory and not each.external_account]
    fresh = [each for each in new if each.directory not in known] if may_register else []
    return [
        *found,
        *(
            Signer(f"{_AUTHORITY}{each.name}", _("%(title)s (a new account)") % {"title": _(each.title)})
            for each in fresh
        ),
    ]


def _signer(engine: Engine, key: str) -> str:
    """What a form calls by now whom somebody chose: the account may have been registered since."""
    directory = next((each.directory for each in authorities.CATALOGUE if key == f"{_AUTHORITY}{each.name}"), None)
    known = known_issuer(engine, Account(directory=directory)) if directory else None
    return f"{_ISSUER}{known}" if known else key


def account_of(visit: Visit, key: str, email: str) -> Account:
    """The account that was chosen.

    Raises:
        ConfigurationError: if nothing was chosen, or a new account has no e-mail address.
        Forbidden: if this person may not register one.
    """
    if key.startswith(_ISSUER):
        return Account(name=key.removeprefix(_ISSUER))
    if not key.startswith(_AUTHORITY):
        raise ConfigurationError("Who is to sign was not chosen.", hint="Choose an authority.")
    authority = authorities.named(key.removeprefix(_AUTHORITY))
    account = Account(email=email or None, directory=authority.directory or "")
    if known_issuer(visit.engine, account) is None:
        visit.person.caller.require(Permission.MANAGE)
        if not email:
            raise ConfigurationError(
                f"{authority.title} wants an e-mail address for a new account.",
                hint="Type one that somebody reads; with it you agree to the authority's terms of service.",
            )
    return account


def page(visit: Visit, template: str, rows: Sequence[Row], again: Waited | None, **values: Any) -> Response:
    """The names, their proofs, and who signs; filled in as they were sent, if they were."""
    sent = again.sent if again else NOTHING
    if again:
        wanted = texts(sent, "name")
        rows = [replace(row, chosen=row.name in wanted, proof=text(sent, f"proof:{row.name}")) for row in rows]
    with visit.engine.store.read() as unit:
        windows = [window.name for window in unit.windows.list()]
    error = again.error if again else None
    wrong, problem = forms.told(error, ("title",))
    return visit.page(
        template,
        422 if again else 200,
        rows=rows,
        sent=sent,
        ways=proving.ways(visit.engine),
        listening=proving.listening(sent, error if isinstance(error, ConfigurationError) else None),
        signers=signers(visit.engine, may_register=Permission.MANAGE in visit.person.caller.permissions),
        signer=_signer(visit.engine, text(sent, "issuer")),
        windows=windows,
        own=sorted(visit.person.tags),
        wrong=wrong,
        told=problem,
        **values,
    )


def chosen_names(visit: Visit) -> tuple[str, ...]:
    """The names that were chosen, and those that were typed beside them.

    Raises:
        ConfigurationError: if there are none.
    """
    typed = (line.strip() for line in visit.sent("more").splitlines())
    names = tuple(dict.fromkeys(filter(None, (*texts(visit.fields, "name"), *typed))))
    if not names:
        raise ConfigurationError("No name is chosen.", hint="Choose at least one name, or type one.")
    return names


def chosen_tags(visit: Visit) -> Tags:
    """The tags that were chosen, or typed.

    Raises:
        ConfigurationError: if one cannot be a tag, or there are none and this person would not see the certificate.
    """
    tags = tags_of([tag for each in texts(visit.fields, "tags") for tag in listed(each)])
    if visit.person.tags and not tags:
        raise ConfigurationError("No tag is chosen.", hint="Choose one: else you would not see the certificate.")
    return tags


def made_at(visit: Visit, job: Waited) -> str:
    """The page of the certificate that was described."""
    visit.wake()
    return f"/certificates/{job.result.id}"
