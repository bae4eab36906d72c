"""Carries single changes out, exactly; what a broken connection leaves open is read back before going on."""

import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from secrets import token_urlsafe

from certwright.domain.deployment import Change, Plan
from certwright.domain.errors import CertwrightError, DeploymentError, Unreachable
from certwright.domain.formats import PfxCipher, intermediates, pkcs7_bytes, pkcs12_bytes
from certwright.exchange.access.organisation import Organisation
from certwright.exchange.access.records import hybrid
from certwright.exchange.access.session import ExchangeSession
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.connectors import of_hybrid
from certwright.exchange.fitness import UNCHECKED, UNTRUSTED, acceptance, is_blocking, reach_of_revocation_lists
from certwright.exchange.model import Certificate, Connector, ServerState, Service, quoted
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Command, Parameter, SecureString
from certwright.sdk.context import Material
from certwright.sdk.journal import Journal, Step

# In every language the reason speaks of RPC; "A special Rpc error occurs on server EX01:" before it says nothing.
_PASSING = re.compile(r"\bRPC\b|remote procedure call|0x800706B[ABEF]", re.IGNORECASE)
_GATEWAYS = 3
_KEYLESS = "PrivateKeyMissing"
NAME = "TlsCertificateName"


@dataclass(frozen=True, slots=True)
class Left:
    """A change that failed, and that a person has to make."""

    change: Change
    failure: CertwrightError


@dataclass(frozen=True, slots=True)
class Work:
    """What is worked with, by several threads.

    `secrets` are the values of what a plan writes in parentheses. `is_stale` tells by the ports whether a change's
    services serve another certificate than they should, or send it without its issuers; None if that cannot be
    seen. `pauses` are seconds between attempts. `restarted` collects the restarts that were made. `version` is the
    thumbprint that is put to use, `moved` the servers on which mail services have it already, and `left` collects
    what failed there afterwards. `servers` are those through any of which the organisation is changed, `states` how
    servers were read back after their changes; `stop` ends all threads before their next change. `overtaken` are
    changes, by how they are typed, that are not made: somebody else changed the same thing since the plan was made, or
    it cannot be read what would have to be put back. `do_not_require_ssl` holds for what is taken back, too; `revoked`
    are the thumbprints of what is not put back.
    """

    organisation: Organisation
    journal: Journal
    guard: Callable[[], None]
    secrets: dict[str, Parameter] = field(repr=False, default_factory=dict)
    is_stale: Callable[[Change], bool | None] = lambda _: None
    pauses: tuple[float, ...] = (1, 4)
    restarted: list[Change] = field(default_factory=list)
    version: str = ""
    moved: set[str] = field(default_factory=set)
    left: list[Left] = field(default_factory=list)
    servers: tuple[str, ...] = ()
    states: dict[str, ServerState] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    overtaken: dict[str, DeploymentError] = field(default_factory=dict)
    do_not_require_ssl: bool = False
    revoked: Collection[str] = ()

    @property
    def written(self) -> str | None:
        """How Exchange writes the names of the certificate that was imported, once that is known."""
        value = self.secrets.get(NAME)
        return value if isinstance(value, str) else None


def import_secrets(plan: Plan, material: Material, friendly_name: str) -> dict[str, Parameter]:
    """The files to import and the password, made for this once; Windows before 2019 reads the old cipher only."""
    secrets: dict[str, Parameter] = {}
    imports = [change for change in plan.changes if change.action == changes.IMPORT]
    if any(map(changes.imports_issuers, imports)):
        secrets[changes.ISSUERS] = pkcs7_bytes(intermediates(material.chain))
    if material.key is not None and not all(map(changes.imports_issuers, imports)):
        password = token_urlsafe(32)
        data = pkcs12_bytes(material.key, material.chain, password, PfxCipher.LEGACY, friendly_name)
        secrets |= {"FileData": data, "Password": SecureString(password)}
    return secrets


def carry_out(change: Change, work: Work, step: Step) -> None:
    """One change on Exchange, tried again after a failure that may pass; never repeated once it is done.

    Raises:
        DeploymentError, Unreachable: if it failed.
    """
    through = _ways(change, work)
    for pause in (*work.pauses, None):
        _may_go_on(work)
        try:
            session = work.organisation.session(next(through))
            for warning in session.change(changes.command(change, work.secrets)).warnings:
                step.note(f"warning from {change.target}: {warning}")
        except (CommandFailed, Unreachable) as failure:
            step.note(failure.message)
            done = _is_done(change, work)
            step.note(_READ_BACK[done])
            if done:
                return
            if _is_keyless(change, failure, work.version):
                raise _keyless(change.target, work.version) from failure
            if pause is None or not _may_pass(failure):
                raise
            step.note(f"Trying again in {pause:g} s.")
            time.sleep(pause)
            continue
        return


def _is_keyless(change: Change, failure: CommandFailed | Unreachable, version: str) -> bool:
    """Whether Exchange refuses to use our certificate because it has lost the key, in whatever language."""
    return (
        isinstance(failure, CommandFailed)
        and change.parameters.get("Thumbprint") == version
        and any(_KEYLESS in record.message for record in failure.records)
    )


def _keyless(server: str, thumbprint: str) -> DeploymentError:
    return DeploymentError(
        f"{server} stored the certificate without its private key ({_KEYLESS}).",
        hint=f"Remove it there, then run this again: {changes.remove(server, thumbprint, '').typed}",
    )


def _ways(change: Change, work: Work) -> Iterator[str]:
    """The servers to send a change to, one for each attempt: its own, or any for what belongs to the organisation."""
    while True:
        yield from work.servers if change.action in changes.ORGANISATIONAL else (change.target,)


def _may_go_on(work: Work) -> None:
    if work.stop.is_set():
        raise DeploymentError("Stopped before this change, because the run ends.")
    work.guard()


def restart(change: Change, work: Work, step: Step) -> None:
    """Restart those services that run, unless they are seen to serve the right certificate, or load it by themselves.

    A failure is told, and left to `verify`.
    """
    host = work.organisation.host(change.target)
    if host is None:
        step.skip("there is no address for the host's own PowerShell")
        return
    is_web = changes.names_of(change) == changes.WEB_SERVICES
    for pause in (*work.pauses, None):
        if not is_web and work.is_stale(change) is False:
            step.skip("no port is seen to serve another certificate")
            return
        try:
            running = host.running(changes.names_of(change))
            if not running:
                step.skip("the services do not run")
                return
            _may_go_on(work)
            host.restart(running)
        except (DeploymentError, Unreachable) as failure:
            step.note(f"Not restarted: {failure.message}")
            if is_web or pause is None or not _may_pass(failure):
                return
            time.sleep(pause)
            continue
        work.restarted.append(change)
        return


def _complete(change: Change, work: Work, step: Step) -> None:
    """Import the issuers, if a port sends the certificate without them."""
    if not work.is_stale(change):
        step.skip("no port is seen to send the certificate without its issuers")
        return
    carry_out(change, work, step)
    step.note(_SENT[work.is_stale(change)])


def let_trust(change: Change, work: Work) -> None:
    """Import the issuers before anything is served, because Exchange does not trust the certificate without them."""
    with work.journal.step(changes.title(change)) as step:
        step.note(f"{change.typed}   (because its status there is {UNTRUSTED})")
        carry_out(change, work, step)


def _may_pass(failure: DeploymentError | Unreachable) -> bool:
    """Whether another attempt may succeed: Exchange's own calls among servers fail in words, here or as numbers."""
    if isinstance(failure, CommandFailed):
        reasons = (record.message.partition(":")[2].strip() or record.message for record in failure.records)
        return any(map(_PASSING.search, reasons))
    return isinstance(failure, Unreachable) and failure.retryable


def make(change: Change, work: Work, *, is_optional: bool = False) -> None:
    """One change with its step in the journal; what only completes others that stay is left if it fails."""
    if overtaken := work.overtaken.get(change.typed):
        work.journal.note(overtaken.message)
        work.left.append(Left(change, overtaken))
        return
    try:
        with work.journal.step(changes.title(change)) as step:
            step.note(f"{change.typed}   (because {change.why})")
            if change.action == changes.RESTART:
                restart(change, work, step)
            elif changes.imports_issuers(change):
                _complete(change, work, step)
            else:
                carry_out(change, work, step)
    except (DeploymentError, Unreachable) as failure:
        completes = change.target in work.moved and changes.completes(change, work.version)
        if work.stop.is_set() or not (is_optional or completes or changes.imports_issuers(change)):
            raise
        work.left.append(Left(change, failure))
    if changes.services_of(change) & ~Service.IIS:
        work.moved.add(change.target)


_READ_BACK = {
    True: "Read back: the change is in place.",
    False: "Read back: the change is not in place.",
    None: "It could not be read back whether the change is in place.",
}


_SENT = {
    True: "Read back: ports still send the certificate without its issuers.",
    False: "Read back: ports send the certificate with its issuers now.",
    None: "It could not be seen whether ports send the certificate with its issuers now.",
}


def _is_done(change: Change, work: Work) -> bool | None:
    """Whether Exchange, or for issuers a port, shows the change; None while that cannot be read."""
    if changes.imports_issuers(change):
        lacks = work.is_stale(change)
        return None if lacks is None else not lacks
    if change.action not in changes.ORGANISATIONAL:
        try:
            return changes.is_done(change, work.organisation.state(change.target), work.written)
        except (Unreachable, DeploymentError):
            return None
    found = organisational(work.organisation, work.servers)
    return None if found is None else changes.shows_name(change, found, work.written)


def organisational(organisation: Organisation, servers: Iterable[str]) -> tuple[Connector, ...] | None:
    """What names certificates and belongs to no server, read through the first server that answers; None if none."""
    for server in list(servers)[:_GATEWAYS]:
        try:
            return _organisational(organisation.session(server))
        except (Unreachable, DeploymentError):
            continue
    return None


def _organisational(session: ExchangeSession) -> tuple[Connector, ...]:
    send = session.send_connectors() or ()
    try:
        found = session.read(Command("Get-HybridConfiguration")).objects
    except CommandFailed as failure:
        if failure.is_missing_command:
            return send
        raise
    return (*send, *(c for record in found for c in of_hybrid(hybrid(record))))


def check_import(change: Change, work: Work, *, may_lack_issuers: bool = False) -> Certificate:
    """What was imported must be there with its key, and acceptable to Exchange, before anything uses it.

    A certificate that is not trusted passes if it `may_lack_issuers`.
    """
    server = change.target
    with work.journal.step(f"{server}: check what was imported") as step:
        held = work.organisation.session(server).certificates(server)
        found = next((c for c in held if c.thumbprint in change.parameters["FileData"]), None)
        if found is None:
            raise DeploymentError(
                f"{server} reported no error, but the certificate is not in its store.",
                hint=f"See what it holds: Get-ExchangeCertificate -Server {quoted(server)}. If something removes it "
                "(a script, another certificate tool), stop that; then run this again, which imports it anew.",
            )
        if found.has_private_key is False:
            raise _keyless(server, found.thumbprint)
        if is_blocking(found.status) and not (may_lack_issuers and found.status == UNTRUSTED):
            raise DeploymentError(
                f"{server} does not accept the certificate: its status there is {found.status}.",
                hint=acceptance(server, found.status),
            )
        step.note(f"status {found.status or 'unknown'}, private key {_known(found.has_private_key)}")
        if found.status == UNCHECKED:
            step.note(f"It cannot be asked whether it is revoked. {reach_of_revocation_lists(server)}")
        return found


def _known(value: bool | None) -> str:  # noqa: FBT001 - it is the value shown
    return {True: "present", False: "missing", None: "unknown"}[value]
