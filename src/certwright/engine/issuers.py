"""Accounts at authorities: made, listed, used."""

from collections.abc import Collection, Mapping
from typing import Any

from certwright.domain import authorities
from certwright.domain.errors import CertwrightError, Changed, ConfigurationError
from certwright.domain.managed import Issuer
from certwright.domain.plain_text import check_new_name
from certwright.engine import catalog
from certwright.engine.context import Engine
from certwright.engine.ledger import reserve_account
from certwright.engine.outbound import proxy_for, require_proxy
from certwright.sdk.issuer import Asked, IssuerPlugin
from certwright.sdk.journal import Journal, SilentJournal
from certwright.sdk.params import change_params, read_params


def issuer_plugin(engine: Engine, name: str, journal: Journal) -> IssuerPlugin[Any]:
    """The issuer of this name, ready to be asked."""
    with engine.store.read() as unit:
        issuer, account_key = unit.issuers.get(name), unit.issuers.account_key(name)
    return _plugin(engine, issuer, account_key, journal)


def _plugin(engine: Engine, issuer: Issuer, account_key: bytes, journal: Journal) -> IssuerPlugin[Any]:
    found = catalog.plugin("issuers", issuer.kind)
    params = read_params(found.params, issuer.params, f"the issuer {issuer.name!r}")
    plugin: IssuerPlugin[Any] = found.cls(params, account_key, issuer.account, journal, proxy_for(engine, params))
    return plugin


def asked_of(engine: Engine, kind: str, values: Mapping[str, Any]) -> Asked:
    """What the authority that these parameters lead to asks of whoever registers there; nothing is stored.

    Raises:
        ConfigurationError: if the parameters are wrong.
        IssuanceError, Unreachable: if the authority does not answer.
    """
    found = catalog.plugin("issuers", kind)
    params = read_params(found.params, dict(values), "the authority")
    require_proxy(engine, params)
    plugin: IssuerPlugin[Any] = found.cls(
        params, found.cls.new_account_key(), {}, SilentJournal(), proxy_for(engine, params)
    )
    return plugin.asked()


def add_issuer(
    engine: Engine,
    kind: str,
    name: str,
    values: dict[str, Any],
    *,
    internal_names: bool | None = None,
    eab: tuple[str, bytes] | None = None,
) -> Issuer:
    """Register an account and store the issuer.

    The account key is stored before the authority hears of it: after a crash in between, the same command finds the
    account again by its key. A refusal leaves nothing behind that was not there before.

    Args:
        engine: what to work with.
        kind: the plugin.
        name: what it is called.
        values: its parameters.
        internal_names: whether it issues for names that exist only inside networks; None if it is one inside the house,
            by its own root or by what is known of it.
        eab: key id and MAC key of an external account binding.

    Raises:
        ConfigurationError: if the name is taken or the parameters are wrong.
        LeaseHeld: if somebody else registers one of this name.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
    """
    found = catalog.plugin("issuers", kind)
    check_new_name(name)
    params = read_params(found.params, values, f"the issuer {name!r}")
    require_proxy(engine, params)
    issuer = Issuer(name=name, kind=kind, params=params.model_dump(mode="json"))
    with engine.store.lease(f"issuer:{name}") as lease:
        with engine.store.write(lease) as unit:
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
            if known is None:
                with engine.store.write(lease) as unit:
                    unit.issuers.remove(name)
            raise
        in_house = "ca_file" in values or not authorities.of(values).is_public
        internal = in_house if internal_names is None else internal_names
        capabilities = registered.capabilities.model_copy(update={"internal_names": internal})
        ready = issuer.model_copy(update={"account": registered.account, "capabilities": capabilities})
        with engine.store.write(lease) as unit:
            unit.issuers.update(ready)
    return ready


def change_issuer(
    engine: Engine, kind: str, name: str, values: Mapping[str, Any], unset: Collection[str] = ()
) -> Issuer:
    """Change parameters of an issuer; its account stays. Nothing is stored if the authority is not reached with them.

    Args:
        engine: what to work with.
        kind: its kind.
        name: the issuer.
        values: the parameters that change.
        unset: the parameters that go back to their defaults.

    Raises:
        NotFound: if there is no such issuer, or a credential is missing.
        ConfigurationError: if it is of another kind, or a parameter is wrong, not known, or one of the account.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
        Forbidden: as of `require_proxy`.
        Changed: if its parameters were changed by somebody else meanwhile.
    """
    with engine.store.read() as unit:
        issuer, account_key = unit.issuers.get(name), unit.issuers.account_key(name)
    if issuer.kind != kind:
        raise ConfigurationError(
            f"The issuer {name!r} is of the kind {issuer.kind}, and not {kind}.",
            hint=f"Change it with: certwright issuer change {issuer.kind} {name}",
        )
    found = catalog.plugin("issuers", kind)
    if fixed := sorted(found.cls.account_params & {*values, *unset}):
        raise ConfigurationError(
            f"The account of the issuer {name!r} was registered with its {', '.join(fixed)}.",
            hint="Add another issuer, and give it to the certificates: certwright certificate issuers",
        )
    params = change_params(found.params, issuer.params, values, unset, f"the issuer {name!r}")
    require_proxy(engine, params)
    changed = {"params": params.model_dump(mode="json")}
    _plugin(engine, issuer.model_copy(update=changed), account_key, SilentJournal()).find_account()
    with engine.store.write() as unit:
        now = unit.issuers.get(name)
        if now.params != issuer.params:
            raise Changed(
                f"The issuer {name!r} was changed by somebody else meanwhile.", hint="Look at it again first."
            )
        issuer = now.model_copy(update=changed)
        unit.issuers.update(issuer)
    return issuer


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


def test_issuer(engine: Engine, name: str) -> Issuer:
    """See that the authority answers and knows the account; the issuer with what it says of itself now.

    Raises:
        NotFound: if there is no such issuer.
        IssuanceError, Unreachable: with the authority's words.
    """
    issuer_plugin(engine, name, SilentJournal()).find_account()
    return look_again(engine, name)


def remove_issuer(engine: Engine, name: str) -> None:
    """Forget an issuer that no managed certificate uses; its account at the authority stays.

    Raises:
        NotFound: if there is none of that name.
        InUse: if managed certificates use it; they are named.
    """
    with engine.store.write() as unit:
        unit.issuers.remove(name)
