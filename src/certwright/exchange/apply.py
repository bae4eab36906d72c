"""Carries a plan out, exactly and in its order; what a broken connection leaves open is read back before going on."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe

from certwright.domain.deployment import Change, Plan
from certwright.domain.errors import CertwrightError, DeploymentError, Unreachable
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.exchange import changes
from certwright.exchange.model import Service
from certwright.exchange.organisation import Organisation
from certwright.exchange.plan import is_blocking
from certwright.remoting.failures import CommandFailed
from certwright.remoting.psrp import Parameter, SecureString
from certwright.sdk.context import Material
from certwright.sdk.journal import Journal, Step

_PASSING = re.compile(
    r"RPC server is (unavailable|too busy)|remote procedure call (failed|was cancelled)|0x800706B[ABEF]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Left:
    """A change that failed, and that a person has to make."""

    change: Change
    failure: CertwrightError


@dataclass(frozen=True, slots=True)
class Work:
    """What is worked with.

    `secrets` are the values of FileData and Password. `is_stale` tells by the ports whether a change's services serve
    another certificate than they should; None if that cannot be seen. `pauses` are seconds between attempts.
    `restarted` collects the restarts that were made. `version` is the thumbprint that is put to use, `moved` the
    servers on which mail services have it already, and `left` collects what failed there afterwards.
    """

    organisation: Organisation
    journal: Journal
    guard: Callable[[], None]
    secrets: Mapping[str, Parameter] = field(repr=False, default_factory=dict)
    is_stale: Callable[[Change], bool | None] = lambda _: None
    pauses: tuple[float, ...] = (1, 4)
    restarted: list[Change] = field(default_factory=list)
    version: str = ""
    moved: set[str] = field(default_factory=set)
    left: list[Left] = field(default_factory=list)


def carry_out_plan(plan: Plan, work: Work, before_use: Callable[[str], None]) -> None:
    """Do what `plan` says. `before_use` is called with each server before the first change there that is served.

    Where mail services have moved, which cannot be taken back, what only completes the change is no reason to take the
    web site back: it is left for a person, and the rest is done.

    Raises:
        DeploymentError, Unreachable: at the first change that failed.
    """
    if plan.refusals:
        raise DeploymentError("Nothing was changed: the plan was refused.", causes=plan.refusals)
    imports = [change for change in plan.changes if change.action == changes.IMPORT]
    others = plan.changes[len(imports) :]
    for change in imports:
        _do(change, work)
    for change in imports:
        _check_import(change, work)
    prepared: set[str] = set()
    for change in others:
        if change.target not in prepared:
            before_use(change.target)
            prepared.add(change.target)
        try:
            _do(change, work)
        except (DeploymentError, Unreachable) as failure:
            if change.target not in work.moved or not changes.completes(change, work.version):
                raise
            work.left.append(Left(change, failure))
        if changes.services_of(change) & ~Service.IIS:
            work.moved.add(change.target)


def import_secrets(plan: Plan, material: Material, friendly_name: str) -> dict[str, Parameter]:
    """The file to import and its password, made for this once; Windows before 2019 reads the old cipher only."""
    if material.key is None or all(change.action != changes.IMPORT for change in plan.changes):
        return {}
    password = token_urlsafe(32)
    data = pkcs12_bytes(material.key, material.chain, password, PfxCipher.LEGACY, friendly_name)
    return {"FileData": data, "Password": SecureString(password)}


def carry_out(change: Change, work: Work, step: Step) -> None:
    """One change on Exchange, tried again after a failure that may pass; never repeated once it is done.

    Raises:
        DeploymentError, Unreachable: if it failed.
    """
    for pause in (*work.pauses, None):
        work.guard()
        try:
            session = work.organisation.session(change.target)
            for warning in session.change(changes.command(change, work.secrets)).warnings:
                step.note(f"warning from {change.target}: {warning}")
        except (CommandFailed, Unreachable) as failure:
            step.note(failure.message)
            done = _is_done(change, work)
            step.note(_READ_BACK[done])
            if done:
                return
            if pause is None or not _may_pass(failure):
                raise
            step.note(f"Trying again in {pause:g} s.")
            time.sleep(pause)
            continue
        return


def restart(change: Change, work: Work, step: Step) -> None:
    """Restart those services that run, if they serve another certificate. A failure is told, and left to `verify`."""
    host = work.organisation.host(change.target)
    if host is None:
        step.skip("there is no address for the host's own PowerShell")
        return
    if work.is_stale(change) is False:
        step.skip("it serves the right certificate already, or is closed")
        return
    try:
        running = host.running(changes.names_of(change))
        if not running:
            step.skip("the services do not run")
            return
        work.guard()
        host.restart(running)
        work.restarted.append(change)
    except (DeploymentError, Unreachable) as failure:
        step.note(f"Not restarted: {failure.message}")


def _may_pass(failure: CommandFailed | Unreachable) -> bool:
    """Whether another attempt may succeed: Exchange's own calls among servers fail in words, here or as numbers."""
    if isinstance(failure, CommandFailed):
        return any(_PASSING.search(record.message) for record in failure.records)
    return failure.retryable


def _do(change: Change, work: Work) -> None:
    with work.journal.step(changes.title(change)) as step:
        step.note(f"{change.typed}   (because {change.why})")
        if change.action == changes.RESTART:
            restart(change, work, step)
        else:
            carry_out(change, work, step)


_READ_BACK = {
    True: "Read back: the change is in place.",
    False: "Read back: the change is not in place.",
    None: "It could not be read back whether the change is in place.",
}


def _is_done(change: Change, work: Work) -> bool | None:
    """Whether the server shows the change; None while it cannot be read."""
    try:
        return changes.is_done(change, work.organisation.state(change.target))
    except (Unreachable, DeploymentError):
        return None


def _check_import(change: Change, work: Work) -> None:
    """What was imported must be there with its key, and acceptable to Exchange, before anything uses it."""
    server = change.target
    with work.journal.step(f"{server}: check what was imported") as step:
        found = next(
            (
                c
                for c in work.organisation.session(server).certificates(server)
                if c.thumbprint in change.parameters["FileData"]
            ),
            None,
        )
        if found is None:
            raise DeploymentError(f"{server} reported no error, but the certificate is not in its store.")
        if found.has_private_key is False:
            raise DeploymentError(
                f"{server} stored the certificate without its private key (PrivateKeyMissing).",
                hint=f"Remove it there, then run this again: Remove-ExchangeCertificate -Server '{server}' "
                f"-Thumbprint '{found.thumbprint}'",
            )
        if is_blocking(found.status):
            raise DeploymentError(
                f"{server} does not accept the certificate: its status there is {found.status}.",
                hint="If it is Untrusted, the root of its authority is missing in the server's store of trusted roots.",
            )
        step.note(f"status {found.status or 'unknown'}, private key {_known(found.has_private_key)}")


def _known(value: bool | None) -> str:  # noqa: FBT001 - it is the value shown
    return {True: "present", False: "missing", None: "unknown"}[value]
