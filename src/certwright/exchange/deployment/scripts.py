"""A plan as two scripts for the Exchange Management Shell, for a person to run when Certwright itself is away."""

import codecs
import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import reduce
from operator import or_

from certwright.domain.deployment import Change, Plan
from certwright.exchange.access.host import MAIL_SERVICES
from certwright.exchange.deployment import changes
from certwright.exchange.model import Service, quoted

_USABLE = """\
function Test-Usable([string] $Server, [string] $Thumbprint) {
    $which = "${Server}: the certificate $Thumbprint"
    try { $found = Get-ExchangeCertificate -Server $Server -Thumbprint $Thumbprint -ErrorAction Stop }
    catch { Write-Warning "$which cannot be read: $_"; return $false }
    if (-not $found.NotAfter) { Write-Warning "${which}: Exchange does not tell what it is."; return $false }
    if ($found.NotAfter -le (Get-Date)) { Write-Warning "$which expired on $($found.NotAfter)."; return $false }
    if ($found.HasPrivateKey -eq $false) { Write-Warning "$which has no private key."; return $false }
    $status = "$($found.Status)"
    if ($status -eq 'Revoked') { Write-Warning "$which was revoked."; return $false }
    if ($status -eq 'Valid') { return $true }
    Write-Warning "Exchange cannot tell whether it was revoked: its status is '$status'. Ask its authority."
    return (Read-Host -Prompt "$which is put to use again only if you type yes") -eq 'yes'
}"""
"""Whether a certificate may be put to use again, by what Exchange tells when the script runs."""


def file_content(script: str) -> bytes:
    """A script as the file that Windows PowerShell 5.1, which is the management shell, reads as it was written.

    Without the mark at its beginning the shell takes it for the machine's own code page: letters become others, and
    some of them end a string.
    """
    return codecs.BOM_UTF8 + script.replace("\n", "\r\n").encode()


def do_script(plan: Plan, title: str, now: datetime) -> str:
    """What carries `plan` out. It asks for the PFX file's password; no secret stands in it."""
    lines = [*_head(plan, title, now, "Carries the plan out."), *(_pfx(title) if _needs_pfx(plan) else ())]
    last = {change.target: number for number, change in enumerate(plan.changes, 1)}
    wave = 0
    for number, change in enumerate(plan.changes, 1):
        if change.wave != wave:
            wave = change.wave
            lines += ["", f"# ---- Wave {wave}", _pause(wave, title)]
        lines += ["", f"# {number}. {_line(change.target)}: {_line(change.why)}", _command(change, title)]
        if number == last[change.target]:
            lines += _restarts_by_hand(plan, change.target)
    return "\n".join([*lines, ""])


def undo_script(plan: Plan, title: str, now: datetime) -> str:
    """What takes `plan` back, the last change first, as far as Exchange can take it back."""
    lines = [
        *_head(plan, title, now, "Takes the plan back; the new certificate stays in the stores."),
        "# Assignments to SMTP, IMAP and POP cannot be taken back: these services may go on with the new certificate.",
    ]
    if any(change.restored for change in plan.changes):
        lines += ["# Of what is put back, no revocation was known when this was made. It is looked at again:", _USABLE]
    for number, change in reversed([*enumerate(plan.changes, 1)]):
        lines += ["", f"# {number}. {_line(changes.title(change))}", *_taken_back(change)]
    return "\n".join([*lines, ""])


def _taken_back(change: Change) -> Iterator[str]:
    """A certificate is put to use again only while it may be."""
    if change.stays:
        yield f"# Not taken back: {_line(change.stays)}. The new one stays."
    elif change.restored:
        usable = " -or ".join(f"(Test-Usable {quoted(server)} {quoted(found)})" for server, found in change.restored)
        told = f"{changes.title(change)}: not taken back, the new certificate stays."
        otherwise = f"Write-Warning {quoted(_line(told))}"
        yield f"if ({usable}) {{ {_stopping(change.inverse)} }} else {{ {otherwise} }}"
    elif change.inverse:
        yield _stopping(change.inverse)
        if service := _NAMED.get(change.action):
            yield _restart_or_tell(change.target, service)
    else:
        yield "# Nothing takes this back, and nothing has to."


def _pfx(title: str) -> Iterator[str]:
    yield f"# The PFX file, made where Certwright runs: {_export(title, 'pfx')} --cipher legacy --password-file FILE"
    yield "param([Parameter(Mandatory = $true)][string] $Pfx)"
    yield "$file = [System.IO.File]::ReadAllBytes((Resolve-Path -LiteralPath $Pfx).ProviderPath)"
    yield "$password = Read-Host -AsSecureString -Prompt 'Password of the PFX file'"


def _export(title: str, form: str) -> str:
    return _line(f"certwright certificate export {shlex.quote(title)} --format {form}")


_NAMED = {action: service for service, action in changes.SET_NAME.items()}


def _pause(wave: int, title: str) -> str:
    """Nobody but a person looks at the ports between waves, so each waits for one."""
    asked = (
        f"Before wave {wave}: look whether all so far went well and is served (certwright exchange verify "
        f"{shlex.quote(title)}). Enter goes on, Ctrl+C ends here"
    )
    return f"$null = Read-Host -Prompt {quoted(_line(asked))}"


def _needs_pfx(plan: Plan) -> bool:
    return any(change.action == changes.IMPORT and not changes.imports_issuers(change) for change in plan.changes)


def _head(plan: Plan, title: str, now: datetime, purpose: str) -> Iterator[str]:
    yield f"# Certwright, {_line(title)}, plan {plan.digest} of {now:%Y-%m-%d %H:%M} UTC. {purpose}"
    yield "# For the Exchange Management Shell, as a member of Organization Management. It stops at the first error."


def _command(change: Change, title: str) -> str:
    """The change as it is typed; what a plan must not hold comes from variables, and restarts happen on the server."""
    command = change.typed or f"# {_line(change.action)}: by hand"
    if changes.imports_issuers(change):
        return f"# If so, make the file ({_export(title, 'p7b')}), and then: {command}"
    if change.action == changes.IMPORT:
        for parameter, variable in (("FileData", "$file"), ("Password", "$password")):
            command = command.replace(quoted(change.parameters[parameter]), variable)
    if change.action == changes.RESTART:
        return _restart(change.target, changes.names_of(change))
    return command if command.startswith("#") else _stopping(command)


def _restarts_by_hand(plan: Plan, server: str) -> Iterator[str]:
    """Restarts of what reads its certificate when it starts, where the plan leaves them to a person.

    That is so where Certwright was given no way to the host.
    """
    own = [change for change in plan.changes if change.target == server]
    planned = {changes.names_of(change) for change in own if change.action == changes.RESTART}
    changed = reduce(or_, (changes.services_of(c) | _NAMED.get(c.action, Service.NONE) for c in own), Service.NONE)
    for service, names in MAIL_SERVICES.items():
        if service in changed and names not in planned:
            yield ""
            yield f"# {_line(server)}: {service} reads its certificate only when it starts"
            yield _restart_or_tell(server, service)


def _restart_or_tell(server: str, service: Service) -> str:
    """Restarts POP or IMAP; where this shell has no way to the server either, it says what to type, and goes on."""
    names = MAIL_SERVICES[service]
    told = f"If {service} runs on {server}, restart it there: {changes.RESTART} {', '.join(names)}"
    return f"try {{ {_restart(server, names)} }} catch {{ Write-Warning {quoted(_line(told))} }}"


def _restart(server: str, names: Iterable[str]) -> str:
    """On the server itself, and only what runs there: what somebody has stopped stays so."""
    found = _stopping(f"Get-Service -Name {', '.join(map(quoted, names))}")
    restarted = _stopping(f"{found} | Where-Object Status -eq Running | {changes.RESTART} -Force -Confirm:$false")
    return _stopping(f"Invoke-Command -ComputerName {quoted(server)} -ScriptBlock {{ {restarted} }}")


def _stopping(command: str) -> str:
    """The same, ended by an error: a script's preferences do not reach the cmdlets of a remote session."""
    return f"{command} -ErrorAction Stop"


def _line(text: str) -> str:
    """On one line and without marks that turn its order, so that it stays the comment that it looks like."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
