"""Who is to sign a certificate that is being described: an issuer that is there, or one that is registered for it."""

from dataclasses import dataclass
from typing import Any

from certwright.domain import authorities
from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Issuer, IssuerCapabilities
from certwright.engine.context import Engine
from certwright.engine.issuers import add_issuer

LETS_ENCRYPT = authorities.named("letsencrypt").directory or ""


@dataclass(frozen=True, slots=True)
class Account:
    """The authority's account: `name` of a stored issuer, or what is needed to register one.

    `email` None means that there is nothing to register, or that a person has to be asked.
    """

    name: str | None = None
    email: str | None = None
    directory: str = LETS_ENCRYPT
    ca_file: str | None = None

    @property
    def coming(self) -> str:
        """What an issuer is called that is registered for it."""
        known = authorities.of({"directory": self.directory})
        return known.name if known.directory else "exchange-authority"


def usual_account(engine: Engine) -> Account:
    """The account that is meant if nobody says which: that of the first issuer, or a new one at Let's Encrypt."""
    with engine.store.read() as unit:
        names = [issuer.name for issuer in unit.issuers.list() if issuer.account]
    return Account(name=names[0]) if names else Account()


def needs_email(engine: Engine, account: Account) -> bool:
    """Whether an account has to be registered, for which the authority wants an e-mail address."""
    return account.email is None and known_issuer(engine, account) is None


def known_issuer(engine: Engine, account: Account) -> str | None:
    """The name of the stored issuer that has the account; None if it is to be registered.

    Raises:
        NotFound: if there is no issuer of the name that was given.
    """
    with engine.store.read() as unit:
        if account.name is not None:
            return unit.issuers.get(account.name).name
        issuers = unit.issuers.list()
    same = [issuer.name for issuer in issuers if issuer.params.get("directory") == account.directory and issuer.account]
    return same[0] if same else None


def coming_issuer(engine: Engine, account: Account) -> Issuer:
    """The stored issuer that has the account, or as it will be, as far as that is known before it is registered."""
    known = known_issuer(engine, account)
    if known is None:
        able = IssuerCapabilities(internal_names=account.ca_file is not None)
        return Issuer(name=account.coming, kind="acme", params={"directory": account.directory}, capabilities=able)
    with engine.store.read() as unit:
        return unit.issuers.get(known)


def ready_issuer(engine: Engine, account: Account) -> str:
    """The name of the stored issuer that has the account, which is registered if it is not there.

    Raises:
        ConfigurationError: if the account cannot be told.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
    """
    known = known_issuer(engine, account)
    if known is not None:
        return known
    if account.email is None:
        raise ConfigurationError("The authority wants an e-mail address.", hint="Give it with --email.")
    params: dict[str, Any] = {"directory": account.directory, "email": account.email, "agree_tos": True}
    if account.ca_file:
        params["ca_file"] = account.ca_file
    internal = account.ca_file is not None
    return add_issuer(engine, "acme", account.coming, params, internal_names=internal, eab=None).name
