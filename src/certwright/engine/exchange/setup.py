"""From an organisation to a managed certificate with the task that deploys it: what can be found out is not asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import ManagedCertificate, Tags, TaskSettings
from certwright.domain.validation import Validation
from certwright.engine.accounts import Account, coming_issuer, ready_issuer
from certwright.engine.context import Engine
from certwright.engine.destinations import require_keys
from certwright.engine.exchange.discovery import discover
from certwright.engine.exchange.names import resolves
from certwright.engine.exchange.reach import KIND, described, progress, remember, require_known
from certwright.engine.managed import Wish, check_wish, create
from certwright.exchange.judgement.doctor import in_use
from certwright.exchange.judgement.names import NameVerdict, judge, proposed_names, required_names
from certwright.exchange.model import ServerState
from certwright.exchange.settings import Settings
from certwright.exchange.snapshot import Snapshot
from certwright.sdk.context import Credential
from certwright.sdk.params import read_params

_PROFILE = "classic"
_HOST_SHELL = "http://{server}:5985/wsman"
"""Where Windows offers its own PowerShell as it is set up; all is encrypted by NTLM or Kerberos."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be set up. `names` go on the certificate, which gets `tags` and is deployed in the `window`.

    `verdicts` are about every name the organisation needs, by the certificate that is in use now, if that is known.
    """

    settings: Settings
    snapshot: Snapshot
    verdicts: tuple[NameVerdict, ...]
    names: tuple[str, ...]
    window: str | None
    tags: Tags = ()

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "servers": list(self.settings.servers),
            "names": list(self.names),
            "window": self.window,
            "verdicts": [verdict.data() for verdict in self.verdicts],
        }


def survey(engine: Engine, given: Mapping[str, Any], account: Account, typed: Credential | None = None) -> Proposal:
    """Read the organisation, judge the names that it needs, and choose those for its certificate, which may be none.

    Nothing is stored but what was seen, and what was `typed`. If all servers let us in to their own PowerShell too,
    services are restarted by way of it, without anybody having to say so.

    Args:
        engine: what to work with.
        given: parameters of the task, as far as they are to be other than what is found out or remembered.
        account: who is to sign it; a public authority must be able to look the names up.
        typed: as of `discover`.

    Raises:
        ConfigurationError: if a parameter is wrong, or as of `discover`.
        Forbidden: as of `require_known`.
        Unreachable, DeploymentError: if a server cannot be read.
    """
    settings = read_params(Settings, described(engine, given), "the deployment to Exchange")
    require_known(engine, settings, typed)
    settings, snapshot = _read(engine, settings, typed)
    public = not coming_issuer(engine, account).capabilities.internal_names
    resolve = cache(resolves)
    with progress(engine).step("Look the names up"):
        verdicts = judge(required_names(snapshot), in_use(snapshot), resolve, public=public)
        names = proposed_names(snapshot, resolve) if public else proposed_names(snapshot, public=False)
    if not isinstance(settings.endpoint, dict):
        settings = settings.model_copy(update={"servers": tuple(map(_asked_as, snapshot.servers))})
    return Proposal(settings, snapshot, verdicts, names, None)


def _read(engine: Engine, settings: Settings, typed: Credential | None) -> tuple[Settings, Snapshot]:
    """What is seen, and the settings by which all of that can be reached."""
    if settings.winrm is not None or settings.auth == "basic":
        return settings, discover(engine, settings, complete=True, typed=typed).snapshot
    with_hosts = settings.model_copy(update={"winrm": _HOST_SHELL})
    snapshot = discover(engine, with_hosts, complete=True, typed=typed).snapshot
    if all(state.host for state in snapshot.servers):
        return with_hosts, snapshot
    remember(engine, settings)
    return settings, snapshot


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
    """Work out the certificate and the task, and refuse early what could not be set up; nothing is stored, as above.

    Args:
        engine: what to work with.
        given: as of `survey`.
        account: as of `survey`.
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
        _check_names(engine, chosen, account, (validation,), title)
    found = survey(engine, given, account)
    proposal = replace(found, names=chosen or found.names, window=window)
    check(engine, proposal, account, (validation,), title)
    return proposal


def check(
    engine: Engine, proposal: Proposal, account: Account, validations: Sequence[Validation], title: str | None
) -> None:
    """Refuse what could not be set up, before anybody is asked, or an account is registered.

    Raises:
        ConfigurationError, NotFound: as `propose`.
    """
    if not proposal.names:
        raise ConfigurationError(
            "No name was found in this organisation that a public authority could certify and look up.",
            hint="See where each name comes from: certwright exchange names; or give them with --name.",
        )
    _check_names(engine, proposal.names, account, validations, title, proposal.window)


def _check_names(
    engine: Engine,
    names: tuple[str, ...],
    account: Account,
    validations: Sequence[Validation],
    title: str | None,
    window: str | None = None,
) -> None:
    issuer = coming_issuer(engine, account)
    first, *others = validations
    wish = Wish(names=names, issuer=issuer.name, validation=first, others=tuple(others), title=title, window=window)
    check_wish(engine, wish, issuer)


def _asked_as(state: ServerState) -> str:
    """The name that a task uses for a server: its full one, by which it is reached."""
    return state.info.fqdn or state.server


def set_up(
    engine: Engine,
    proposal: Proposal,
    account: Account,
    validations: Sequence[Validation],
    title: str | None = None,
    held: str | None = None,
    *,
    waits: bool = False,
) -> ManagedCertificate:
    """Register the account if there is none, and store the managed certificate with its task.

    It is due at once, unless it is held or waits.

    Args:
        engine: what to work with.
        proposal: what was agreed to.
        account: who is to sign it.
        validations: how the names are to be proved: the first is for all that no rule of the others fits.
        title: what it is called; None stands for its first name.
        held: why a person wants it not to be requested yet.
        waits: whether it is not requested before somebody asks for it.

    Raises:
        ConfigurationError: if the account cannot be told, or a name cannot be issued.
        Forbidden: if who asks may not say where private keys go.
        IssuanceError, Unreachable: if the authority refuses or does not answer.
    """
    params = proposal.settings.model_dump(mode="json", exclude_unset=True)
    params["servers"] = list(proposal.settings.servers)
    require_keys(engine, KIND, params)
    issuer = ready_issuer(engine, account)
    with engine.store.read() as unit:
        profiles = unit.issuers.get(issuer).capabilities.profiles
    first, *others = validations
    wish = Wish(
        names=proposal.names,
        issuer=issuer,
        validation=first,
        others=tuple(others),
        title=title,
        window=proposal.window,
        tags=proposal.tags,
        profile=_PROFILE if _PROFILE in profiles else None,
        held=held,
        waits=waits,
        task=TaskSettings(kind=KIND, title=KIND, params=params),
    )
    return create(engine, wish)
