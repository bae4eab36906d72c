"""What an account must be allowed for each job, what it lacks, and the commands that give it exactly that. Pure.

Exchange shows an account only the cmdlets and parameters of its management roles (role-based access control), so that
what it lacks can be read. The roles are those of Exchange 2013 and later.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from certwright.domain.errors import ConfigurationError
from certwright.exchange import commands
from certwright.exchange.model import quoted

ORGANISATION_MANAGEMENT = "Organization Management"
SERVER_MANAGEMENT = "Server Management"
VIEW_ONLY = "View-Only Organization Management"
ROLE_GROUP = "Certwright"
# Parameters that every one of our changes may send, whatever else it sends.
_ALWAYS = ("Confirm", "DomainController", "ErrorAction", "ErrorVariable", "WarningAction", "WhatIf")
_WIDTH = 100
# A name may hold none of the characters that Active Directory refuses in logon names; @ and one backslash part it.
_PART = r"""[^\x00-\x1f\x7f"/\\\[\]:;|=,+*?<>@]+"""
_ACCOUNT = re.compile(rf"(?:{_PART}\\)?{_PART}|{_PART}@{_PART}")


@dataclass(frozen=True, slots=True)
class Job:
    """Something that Certwright does, and what an account must see for it.

    `cmdlets` maps each to the parameters that are used. `parent` is the built-in management role that has them, or
    empty if it is looked up by the first of them. `trim` tells that the other parameters are taken away too, because
    they would allow much more than what is needed. `group` is the built-in role group that would do as well.
    """

    name: str
    purpose: str
    group: str
    parent: str
    cmdlets: Mapping[str, tuple[str, ...]]
    trim: bool = False


_ESSENTIAL = ("Get-ExchangeServer", "Get-ExchangeCertificate", "Get-TransportService")
_EITHER = frozenset({"get-clientaccessserver", "get-clientaccessservice"})  # 2013 has the one, later versions the other
_SURVEY = tuple(name for name in commands.READ if name not in _ESSENTIAL)
JOBS = (
    Job("read", "read servers and certificates", VIEW_ONLY, "View-Only Configuration", dict.fromkeys(_ESSENTIAL, ())),
    Job(
        "survey",
        "see all that names or uses a certificate",
        VIEW_ONLY,
        "View-Only Configuration",
        dict.fromkeys(_SURVEY, ()),
    ),
    Job(
        "deploy",
        "import certificates and assign them",
        SERVER_MANAGEMENT,
        "Exchange Server Certificates",
        {
            "Import-ExchangeCertificate": ("Server", "FileData", "Password", "PrivateKeyExportable", "FriendlyName"),
            "Enable-ExchangeCertificate": ("Server", "Thumbprint", "Services", "DoNotRequireSsl", "Force"),
        },
    ),
    Job(
        "mail-access",
        "let POP and IMAP find the certificate",
        SERVER_MANAGEMENT,
        "POP3 And IMAP4 Protocols",
        {"Set-PopSettings": ("Server", "X509CertificateName"), "Set-ImapSettings": ("Server", "X509CertificateName")},
    ),
    Job(
        "receive-connectors",
        "let receive connectors follow the certificate",
        SERVER_MANAGEMENT,
        "Receive Connectors",
        {"Set-ReceiveConnector": ("Identity", "TlsCertificateName")},
        trim=True,
    ),
    Job(
        "send-connectors",
        "let send connectors follow the certificate",
        ORGANISATION_MANAGEMENT,
        "Send Connectors",
        {"Set-SendConnector": ("Identity", "TlsCertificateName")},
        trim=True,
    ),
    Job(
        "hybrid",
        "let the hybrid configuration follow the certificate",
        ORGANISATION_MANAGEMENT,
        "",
        {"Set-HybridConfiguration": ("TlsCertificateName",)},
        trim=True,
    ),
    Job(
        "cleanup",
        "remove certificates that it imported and nothing uses any more",
        SERVER_MANAGEMENT,
        "Exchange Server Certificates",
        {"Remove-ExchangeCertificate": ("Server", "Thumbprint")},
    ),
    Job(
        "internal",
        "make a new self-signed certificate for mail among servers",
        SERVER_MANAGEMENT,
        "Exchange Server Certificates",
        {"New-ExchangeCertificate": ("Server", "SubjectName", "DomainName", "FriendlyName", "Services", "Force")},
    ),
)


@dataclass(frozen=True, slots=True)
class MissingRight:
    """A cmdlet that the account does not see at all, or without these of its parameters."""

    job: Job
    cmdlet: str
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f"the parameters {', '.join(self.parameters)} of {self.cmdlet}" if self.parameters else self.cmdlet
        return f"The account does not see {what}, which is needed to {self.job.purpose}."


def missing_rights(rights: Mapping[str, frozenset[str]] | None, jobs: Iterable[Job] = JOBS) -> tuple[MissingRight, ...]:
    """What an account that sees `rights` lacks for `jobs`; nothing is claimed if its rights are not known."""
    if rights is None:
        return ()
    seen = {name.lower(): frozenset(map(str.lower, parameters)) for name, parameters in rights.items()}
    lacking = (_missing(job, cmdlet, used, seen) for job in jobs for cmdlet, used in job.cmdlets.items())
    return tuple(filter(None, lacking))


def _missing(job: Job, cmdlet: str, used: Sequence[str], seen: Mapping[str, frozenset[str]]) -> MissingRight | None:
    lower = cmdlet.lower()
    if lower not in seen:
        replaced = lower in _EITHER and not _EITHER.isdisjoint(seen)
        return None if replaced else MissingRight(job, cmdlet)
    absent = tuple(name for name in used if name.lower() not in seen[lower])
    return MissingRight(job, cmdlet, absent) if absent else None


def check_account(account: str) -> None:
    """Refuse what cannot be the name of an account in Active Directory.

    Raises:
        ConfigurationError: for a path, a list, or anything else with characters that no such name has.
    """
    if not _ACCOUNT.fullmatch(account) or account.strip(" .") != account:
        raise ConfigurationError(
            f"{' '.join(account.split())!r} is no name of an account.",
            hint="Write it as DOMAIN\\user or user@domain: certwright exchange account --script svc-certs@contoso.com",
        )


def grant_script(account: str, jobs: Sequence[Job] = JOBS) -> str:
    """Commands for the Exchange Management Shell that let `account` do `jobs`, and nothing else.

    They make one management role for each built-in role that is needed, take away from it what is not used, and put all
    into a role group of their own.
    """
    parents = dict.fromkeys((job.parent, job.trim, job.name if job.trim else "") for job in jobs)
    roles = [[job for job in jobs if (job.parent, job.trim, job.name if job.trim else "") == key] for key in parents]
    head = [
        "# For the Exchange Management Shell, as a member of Organization Management.",
        f"# Lets {' '.join(account.split())} do the following, and nothing else:",
        *(f"#   {job.purpose}" for job in jobs),
        "$ErrorActionPreference = 'Stop'",
    ]
    names = [quoted(_role_name(role)) for role in roles]
    tail = [
        f"New-RoleGroup -Name '{ROLE_GROUP}' -Description 'What Certwright needs' -Roles {_wrapped(names)}",
        f"Add-RoleGroupMember -Identity '{ROLE_GROUP}' -Member {quoted(account)}",
        f"Set-User -Identity {quoted(account)} -RemotePowerShellEnabled $true",
        "# It takes effect with the next session. Then look: certwright exchange account --check",
    ]
    blocks = ["\n".join(head), *("\n".join(_role(role)) for role in roles), "\n".join(tail)]
    return "\n\n".join(blocks) + "\n"


def _role(jobs: Sequence[Job]) -> list[str]:
    """One management role: made from its parent, and left with what is used."""
    name, parent = _role_name(jobs), jobs[0].parent
    used = {cmdlet: parameters for job in jobs for cmdlet, parameters in job.cmdlets.items()}
    lines = [f"# To {job.purpose}" for job in jobs]
    if not parent:
        found = f"Get-ManagementRole -Cmdlet {quoted(next(iter(used)))}"
        lines.append(f"$parent = ({found} | Where-Object {{ $_.IsRootRole }} | Select-Object -First 1).Name")
    lines += [
        f"New-ManagementRole -Name {quoted(name)} -Parent {quoted(parent) if parent else '$parent'}",
        f"$keep = {_wrapped([quoted(cmdlet) for cmdlet in used])}",
        f"(Get-ManagementRoleEntry {quoted(name + chr(92) + '*')}) | Where-Object {{ $_.Name -notin $keep }} |",
        '    ForEach-Object { Remove-ManagementRoleEntry -Identity "$($_.Role)\\$($_.Name)" -Confirm:$false }',
    ]
    if jobs[0].trim:
        for cmdlet, parameters in used.items():
            kept = _wrapped([quoted(parameter) for parameter in (*parameters, *_ALWAYS)])
            lines.append(f"Set-ManagementRoleEntry {quoted(f'{name}{chr(92)}{cmdlet}')} -Parameters {kept}")
    return lines


def _role_name(jobs: Sequence[Job]) -> str:
    return f"{ROLE_GROUP} {jobs[0].name}"


def _wrapped(words: Sequence[str]) -> str:
    """Words with commas, over several lines if there are many."""
    lines = [""]
    for number, word in enumerate(words):
        piece = word + (", " if number + 1 < len(words) else "")
        if lines[-1] and len(lines[-1]) + len(piece) > _WIDTH:
            lines.append("")
        lines[-1] += piece
    return "\n    ".join(line.rstrip() for line in lines)
