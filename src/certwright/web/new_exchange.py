"""A new certificate for Exchange, from the name of one of its servers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field, SecretStr
from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import ManagedCertificate
from certwright.engine.accounts import usual_account
from certwright.engine.context import Engine
from certwright.engine.exchange.account import typed_account
from certwright.engine.exchange.reach import organisations
from certwright.engine.exchange.setup import Proposal, check, set_up, survey
from certwright.exchange.judgement.names import Coverage, described
from certwright.exchange.settings import Settings
from certwright.sdk.context import Credential
from certwright.sdk.params import HostName, Params, read_params
from certwright.web import describing, proving
from certwright.web.forms import OWN, Maker
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit

_EXCHANGE = "/new/exchange"
_RESOLVES = {
    True: later("resolves"),
    False: later("does not resolve"),
    None: later("whether it resolves is not known"),
}


class Server(Params):
    """What has to be known of an organisation: one of its servers, and who reads it."""

    server: HostName = Field(description="Any of them, such as mail01.contoso.com: the others are found.")
    username: str | None = Field(
        default=None,
        max_length=256,
        description="An account that may read and change Exchange's certificates, such as svc-certs@contoso.com; "
        "without one it is the user that Certwright runs as, or the account that was used for this server before.",
    )
    password: SecretStr | None = Field(
        default=None, description="Its password; it is stored encrypted, and never shown."
    )


def _makers(visit: Visit) -> tuple[Maker, Maker]:
    with visit.engine.store.read() as unit:
        known = unit.credentials.of_kind(SignIn.EXCHANGE)
    return Maker(Server), Maker(Settings, lambda _: known, OWN, without=("servers",))


def _form(visit: Visit) -> Response:
    again = visit.again()
    own, more = _makers(visit)
    return visit.page(
        "new-exchange.html",
        422 if again else 200,
        form=own.again(again.sent, again.error) if again else own.empty(),
        more=more.again(again.sent, again.error) if again else more.empty(),
        known=[sorted(each) for each in organisations(visit.engine)],
        servers=[next(iter(each.values())).servers[0] for each in organisations(visit.engine)],
    )


def _discover(visit: Visit) -> Response:
    own, more = _makers(visit)
    sent = visit.fields

    def discover(engine: Engine) -> Proposal:
        typed = read_params(Server, own.given(sent), "the server")
        given: dict[str, Any] = {**more.given(sent), "servers": [typed.server]}
        account = _account(engine, typed)
        if account:
            given |= {"credential": account.name, "auth": given.get("auth", "negotiate")}
        return survey(engine, given, usual_account(engine), account)

    return visit.begin(
        later("Read the Exchange organisation"),
        discover,
        lambda job: f"{_EXCHANGE}/{job.id}",
        _EXCHANGE,
        secret=("password",),
        refill=True,
    )


def _account(engine: Engine, typed: Server) -> Credential | None:
    """The account that was typed, if one was."""
    if not (typed.username or typed.password):
        return None
    if not (typed.username and typed.password):
        raise ConfigurationError(
            "The account is not complete.", causes=["password: a user name and its password belong together"]
        )
    return typed_account(engine, typed.server, typed.username, typed.password.get_secret_value())


def _rows(found: Proposal) -> Sequence[describing.Row]:
    rows = [
        describing.Row(
            name=verdict.name,
            chosen=verdict.name in found.names,
            stands=verdict.coverage.value
            if verdict.coverage is Coverage.NOT_PUBLIC
            else f"{_(verdict.coverage)}, {_(_RESOLVES[verdict.resolves])}",
            sources=tuple(described(verdict.sources)),
            advice=verdict.advice,
            commands=tuple(move.typed for move in verdict.moves),
        )
        for verdict in found.verdicts
        if verdict.coverage is not Coverage.OWN
    ]
    return sorted(rows, key=lambda row: not row.chosen)


def _names(visit: Visit) -> Response:
    found = visit.came_of(Proposal)
    return describing.page(visit, "new-exchange-names.html", _rows(found), visit.again(), found=found)


def _make(visit: Visit) -> Response:
    visit.person.caller.require(Permission.KEYS)
    job, found = visit.waited(), visit.came_of(Proposal)

    def make(engine: Engine) -> ManagedCertificate:
        names = describing.chosen_names(visit)
        account = describing.account_of(visit, visit.sent("issuer"), visit.sent("email"))
        validations = proving.chosen(engine, visit.fields, names)
        tags = describing.chosen_tags(visit)
        wanted = replace(found, names=names, window=visit.sent("window") or None, tags=tags)
        title = visit.sent("title") or None
        check(engine, wanted, account, validations, title)
        return set_up(engine, wanted, account, validations, title, waits=True)

    return visit.begin(
        later("Set the certificate up"),
        make,
        lambda done: describing.made_at(visit, done),
        f"{_EXCHANGE}/{job.id}",
        refill=True,
    )


PAGES = (
    Page(_EXCHANGE, Permission.MANAGE, _form),
    Page(_EXCHANGE, Permission.MANAGE, _discover, "POST"),
    Page(f"{_EXCHANGE}/{{id}}", Permission.MANAGE, _names),
    Page(f"{_EXCHANGE}/{{id}}", Permission.MANAGE, _make, "POST"),
)
