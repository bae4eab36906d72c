"""Which managed certificates use what goes by a name: credentials, issuers, kinds of task."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, select

from certwright.domain.managed import ManagedCertificate
from certwright.store.schema import uses

SHOWN = 10
"""Of many who use something so many are named."""


class Used(StrEnum):
    """What is used."""

    CREDENTIAL = "credential"
    ISSUER = "issuer"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Users:
    """Some that use something, by their titles, and how many managed certificates do beside these."""

    first: Sequence[str]
    more: int

    def __str__(self) -> str:
        """For a message."""
        return ", ".join(self.first) + (f", and {self.more} more" if self.more else "")


def users(used: Used, name: str) -> Select[str]:
    """The ids of the managed certificates that use it."""
    return select(uses.c.managed_id).where(uses.c.used == used, uses.c.name == name)


def used_by(certificate: ManagedCertificate) -> frozenset[tuple[Used, str]]:
    """All that it uses."""
    return frozenset(
        (
            *((Used.CREDENTIAL, name) for name, _user in credentials_of(certificate)),
            *((Used.ISSUER, name) for name in certificate.issuers),
            *((Used.TASK, task.kind) for task in certificate.tasks),
        )
    )


def credentials_of(certificate: ManagedCertificate) -> Iterator[tuple[str, str]]:
    """Names of credentials with the title of what uses each."""
    if certificate.pfx_password_credential:
        yield certificate.pfx_password_credential, f"{certificate.title!r}"
    for validation in certificate.validations:
        for name in credentials_in(validation.params):
            yield name, f"{certificate.title!r}"
    for task in certificate.tasks:
        for name in credentials_in(task.params):
            yield name, f"{certificate.title!r} (task {task.title!r})"


def credentials_in(params: dict[str, Any]) -> Iterator[str]:
    """Names of credentials in a plugin's parameters: those whose own name says so; the plugin is not at hand here."""
    for key, value in params.items():
        if "credential" in key and isinstance(value, str):
            yield value
