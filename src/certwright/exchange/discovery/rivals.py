"""Other ACME clients that work on the same servers: they would put their certificates in the place of ours. Pure."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from certwright.exchange.access.windows import ScheduledTask, WindowsService
from certwright.exchange.model import Certificate, Rival, quoted

SERVICES = ("Certify*", "win-acme*", "simple-acme*", "Posh-ACME*")
"""Patterns of names of Windows services."""

_TASKS = {
    "simple-acme": re.compile(r"simple-acme", re.IGNORECASE),
    "win-acme": re.compile(r"win-acme|letsencrypt-win-simple|\bwacs(\.exe)?\b", re.IGNORECASE),
    "Certify": re.compile(r"certify(theweb|\.service|\.cli|certificate| the web| maintenance|\\)", re.IGNORECASE),
    "Posh-ACME": re.compile(r"posh-acme|\bSubmit-Renewal\b|\bSet-PACertificate\b", re.IGNORECASE),
}
_SERVICES = {
    "Certify": re.compile(r"certify", re.IGNORECASE),
    "win-acme": re.compile(r"win-acme", re.IGNORECASE),
    "simple-acme": re.compile(r"simple-acme", re.IGNORECASE),
    "Posh-ACME": re.compile(r"posh-acme", re.IGNORECASE),
}
_FRIENDLY_NAMES = {
    "win-acme or simple-acme": re.compile(r"^\[(Manual|IIS\w*|CSR|Script)\] "),
    "Certify": re.compile(r"\[Certify\]"),
}
_FIND = (
    "Get-ScheduledTask -TaskName '*acme*','*certify*' | Disable-ScheduledTask; "
    "Get-Service -Name 'Certify*' | Stop-Service -PassThru | Set-Service -StartupType Disabled"
)


def at_work(
    server: str, tasks: Iterable[ScheduledTask] | None, services: Iterable[WindowsService] | None
) -> Iterator[Rival]:
    """Rivals by what Windows starts on `server`; disabled tasks and services do no harm."""
    for task in tasks or ():
        if task.is_enabled and (product := _product(_TASKS, f"{task.path}{task.name} {task.runs}")):
            command = f"Disable-ScheduledTask -TaskPath {quoted(task.path)} -TaskName {quoted(task.name)}"
            yield Rival(server, product, f"the scheduled task {task.name!r} is enabled", command)
    for service in services or ():
        if not service.is_disabled and (product := _product(_SERVICES, service.name)):
            name = quoted(service.name)
            command = f"Stop-Service -Name {name}; Set-Service -Name {name} -StartupType Disabled"
            state = "runs" if service.is_running else "is not disabled"
            yield Rival(server, product, f"the service {service.name!r} {state}", command)


def by_certificates(server: str, certificates: Iterable[Certificate], now: datetime) -> Iterator[Rival]:
    """Rivals by the friendly names that they give to certificates, where Windows cannot be asked.

    Only certificates in date count, and of each product the newest.
    """
    newest: dict[str, tuple[datetime, Certificate]] = {}
    for one in certificates:
        product = _product(_FRIENDLY_NAMES, one.friendly_name)
        if product is None or one.facts is None or not one.facts.not_before <= now <= one.facts.not_after:
            continue
        if product not in newest or one.facts.not_before > newest[product][0]:
            newest[product] = (one.facts.not_before, one)
    for product, (since, one) in newest.items():
        evidence = (
            f"the certificate {one.thumbprint} of {since:%Y-%m-%d} is called {one.friendly_name!r}, as it calls its own"
        )
        yield Rival(server, product, evidence, _FIND)


def _product(patterns: dict[str, re.Pattern[str]], text: str) -> str | None:
    return next((product for product, pattern in patterns.items() if pattern.search(text)), None)
