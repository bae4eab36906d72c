"""Accounts at authorities: made, listed, used."""

from typing import Any

from certwright.domain.errors import CertwrightError, ConfigurationError
from certwright.domain.managed import Issuer
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.ledger import reserve_account
from certwright.engine.outbound import proxy_for
from certwright.sdk.issuer import IssuerPlugin
from certwright.sdk.journal import Journal, SilentJournal
from certwright.sdk.params import read_params


def issuer_plugin(engine: Engine, name: str, journal: Journal) -> IssuerPlugin[Any]:
    """The issuer of this name, ready to be asked."""
    with engine.store.read() as unit:
        issuer = unit.issuers.get(name)
        account_key = unit.issuers.account_key(name)
    found = catalog.plugin("issuers", issuer.kind)
    params = read_params(found.params, issuer.params, f"the issuer {name!r}")
    plugin: IssuerPlugin[Any] = found.cls(params, account_key, issuer.account, journal, proxy_for(engine, params))
    return plugin


def add_issuer(
    engine: Engine, kind: str, name: str, values: dict[str, Any], *, internal_names: bool, eab: tuple[str, bytes] | None
) -> Issuer:
    """Register an account and store the issuer.

    The account key is stored before the authority hears of it: after a crash in between, the same command finds the
    account again by its key. A refusal leaves nothing behind.

    Raises:
        ConfigurationError: if the name is taken or the parameters are wrong.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
    """
    found = catalog.plugin("issuers", kind)
    params = read_params(found.params, values, f"the issuer {name!r}")
    issuer = Issuer(name=name, kind=kind, params=params.model_dump(mode="json"))
    with engine.store.write() as unit:
        known = {i.name: i for i in unit.issuers.list()}.get(name)
        if known is None:
            unit.issuers.add(issuer, found.cls.new_account_key(), eab)
        elif known.account:
            raise ConfigurationError(f"There is an issuer {name!r} already.", hint="Choose another name.")
        else:
            unit.issuers.update(issuer)
    try:
        reserve_account(engine, issuer)
        registered = issuer_plugin(engine, name, SilentJournal()).register(eab)
    except CertwrightError:
        with engine.store.write() as unit:
            unit.issuers.remove(name)
        raise
    capabilities = registered.capabilities.model_copy(update={"internal_names": internal_names})
    ready = issuer.model_copy(update={"account": registered.account, "capabilities": capabilities})
    with engine.store.write() as unit:
        unit.issuers.update(ready)
    return ready


def look_again(engine: Engine, name: str, journal: Journal | None = None) -> Issuer:
    """The issuer with what its authority says of itself now: profiles come and go.

    Raises:
        NotFound: if there is no such issuer.
        IssuanceError, Unreachable: if the authority does not say.
    """
    said = issuer_plugin(engine, name, journal or SilentJournal()).capabilities()
    with engine.store.write() as unit:
        issuer = unit.issuers.get(name)
        kept = {"internal_names": issuer.capabilities.internal_names}
        issuer = issuer.model_copy(update={"capabilities": said.model_copy(update=kept)})
        unit.issuers.update(issuer)
    return issuer
