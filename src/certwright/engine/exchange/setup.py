"""From an organisation to a managed certificate with the task that deploys it: what can be found out is not asked."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import Issuer, IssuerCapabilities, ManagedCertificate, TaskSettings
from certwright.domain.validation import Validation
from certwright.engine.context import Engine
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.names import resolves
from certwright.engine.exchange.reach import KIND, described, progress
from certwright.engine.issuers import add_issuer
from certwright.engine.managed import Wish, check_wish, create
from certwright.engine.task_list import add_task
from certwright.exchange.judgement.doctor import in_use
from certwright.exchange.judgement.names import NameVerdict, judge, proposed_names, required_names
from certwright.exchange.model import ServerState
from certwright.exchange.settings import Settings
from certwright.exchange.snapshot import Snapshot
from certwright.sdk.params import read_params

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
_PROFILE = "classic"


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
        return "letsencrypt" if self.directory == LETS_ENCRYPT else "exchange-authority"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be set up. `names` go on the certificate, which is deployed in the maintenance `window`.

    `verdicts` are about every name the organisation needs, by the certificate that is in use now, if that is known.
    """

    settings: Settings
    snapshot: Snapshot
    verdicts: tuple[NameVerdict, ...]
    names: tuple[str, ...]
    window: str | None


def propose(
    engine: Engine,
    given: Mapping[str, Any],
    account: Account,
    validation: Validation,
    chosen: tuple[str, ...] = (),
    title: str | None = None,
    *,
    window: str | None = None,
) -> Proposal:
    """Read the organisation and work out the certificate and the task; nothing is stored but what was seen.

    Args:
        engine: what to work with.
        given: parameters of the task, as far as they are to be other than what is found out or remembered.
        account: who is to sign it; a public authority must be able to look the names up.
        validation: how the names are to be proved.
        chosen: the names to put on the certificate; none stands for those that are found.
        title: what the certificate is to be called; None stands for its first name.
        window: the maintenance window in which it is to be deployed; None is any time.

    Raises:
        ConfigurationError: if a parameter is wrong, a name cannot be issued or not be proved so, no public name is
            found, or there is a certificate of this title.
        NotFound: if there is no such window, issuer or credential.
    """
    if window is not None:
        with engine.store.read() as unit:
            unit.windows.get(window)
    if chosen:
        _check_names(engine, chosen, account, validation)
    public = account.ca_file is None
    settings = read_params(Settings, described(engine, given), "the deployment to Exchange")
    snapshot = discover(engine, settings, complete=True).snapshot
    resolve = cache(resolves)
    with progress(engine).step("Look the names up"):
        verdicts = judge(required_names(snapshot), in_use(snapshot), resolve, public=public)
        names = chosen or (proposed_names(snapshot, resolve) if public else proposed_names(snapshot, public=False))
    if not names:
        raise ConfigurationError(
            "No name was found in this organisation that a public authority could certify and look up.",
            hint="See where each name comes from: certwright exchange names; or give them with --name.",
        )
    _check_names(engine, names, account, validation)
    _check_title(engine, title or names[0])
    if not isinstance(settings.endpoint, dict):
        settings = settings.model_copy(update={"servers": tuple(map(_asked_as, snapshot.servers))})
    return Proposal(settings, snapshot, verdicts, names, window)


def _check_names(engine: Engine, names: tuple[str, ...], account: Account, validation: Validation) -> None:
    """As `_check_title`."""
    known = _known_issuer(engine, account)
    if known is None:
        able = IssuerCapabilities(internal_names=account.ca_file is not None)
        params = {"directory": account.directory}
        issuer = Issuer(name=account.coming, kind="acme", params=params, capabilities=able)
    else:
        with engine.store.read() as unit:
            issuer = unit.issuers.get(known)
    check_wish(engine, Wish(names=names, issuer=issuer.name, validation=validation), issuer)


def _check_title(engine: Engine, title: str) -> None:
    """Before anybody is asked, or an account is registered."""
    with engine.store.read() as unit:
        if all(managed.title != title for managed in unit.managed.list()):
            return
    raise ConfigurationError(
        f"There is a managed certificate {title!r} already.",
        hint=f"Go on with it: certwright exchange plan {shlex.quote(title)}; or set up another one with --title NAME",
    )


def _asked_as(state: ServerState) -> str:
    """The name that a task uses for a server: its full one, by which it is reached."""
    return state.info.fqdn or state.server


def set_up(
    engine: Engine, proposal: Proposal, account: Account, validation: Validation, title: str | None = None
) -> ManagedCertificate:
    """Register the account if there is none, and store the managed certificate with its task. It is due at once.

    Raises:
        ConfigurationError: if the account cannot be told, or a name cannot be issued.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
    """
    issuer = _issuer(engine, account)
    with engine.store.read() as unit:
        profiles = unit.issuers.get(issuer).capabilities.profiles
    wish = Wish(
        names=proposal.names,
        issuer=issuer,
        validation=validation,
        title=title,
        window=proposal.window,
        profile=_PROFILE if _PROFILE in profiles else None,
    )
    made = create(engine, wish)
    params = proposal.settings.model_dump(mode="json", exclude_unset=True)
    params["servers"] = list(proposal.settings.servers)
    add_task(engine, made.id, TaskSettings(kind=KIND, title=KIND, params=params))
    with engine.store.read() as unit:
        return unit.managed.get(made.id)


def needs_email(engine: Engine, account: Account) -> bool:
    """Whether an account has to be registered, for which the authority wants an e-mail address."""
    return account.email is None and _known_issuer(engine, account) is None


def _known_issuer(engine: Engine, account: Account) -> str | None:
    with engine.store.read() as unit:
        issuers = unit.issuers.list()
        if account.name is not None:
            return unit.issuers.get(account.name).name
    same = [issuer.name for issuer in issuers if issuer.params.get("directory") == account.directory and issuer.account]
    return same[0] if same else None


def _issuer(engine: Engine, account: Account) -> str:
    known = _known_issuer(engine, account)
    if known is not None:
        return known
    if account.email is None:
        raise ConfigurationError("The authority wants an e-mail address.", hint="Give it with --email.")
    params: dict[str, Any] = {"directory": account.directory, "email": account.email, "agree_tos": True}
    if account.ca_file:
        params["ca_file"] = account.ca_file
    internal = account.ca_file is not None
    return add_issuer(engine, "acme", account.coming, params, internal_names=internal, eab=None).name
