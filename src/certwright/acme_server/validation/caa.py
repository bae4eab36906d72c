"""Whether the domain's owner lets this CA issue (CAA: RFC 8659; accounturi and validationmethods: RFC 8657)."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from dns.rdtypes.ANY.CAA import CAA

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.problem import ErrorType, Problem
from certwright.acme_server.validation import issue_value
from certwright.acme_server.validation.network import Network

_CRITICAL = (
    0x80 | 0x01
)  # the second by mistake, but so widely that Let's Encrypt takes both for it (Boulder, va/caa.go)
_ISSUE, _ISSUE_WILD = "issue", "issuewild"
_KNOWN = frozenset({_ISSUE, _ISSUE_WILD, "iodef", "issuemail"})
_METHODS = re.compile(r"(?:[A-Za-z0-9-]+(?:,[A-Za-z0-9-]+)*)?")


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks, of whom.

    Attributes:
        identities: The CA's own names, in lower case.
        method: The challenge type that proves the identifier.
        account_url: The account that ordered.
    """

    identities: Collection[str]
    method: str
    account_url: str


def check(network: Network, deadline: Deadline, identifier: Identifier, applicant: Applicant) -> None:
    """Return if the relevant records let this CA issue for ``identifier``, or if there are none.

    Raises:
        Problem: ``caa``, with the records' place and what they say; ``dns``, if they cannot be had.
    """
    owner, records = _relevant(network, deadline, identifier.base.value)
    properties = [(record.tag.decode("ascii", "replace").lower(), record) for record in records]
    for tag, record in properties:
        if record.flags & _CRITICAL and tag not in _KNOWN:
            raise _forbidden(owner, identifier, f"the critical property {tag!r} is not known here")
    wild = identifier.is_wildcard and any(tag == _ISSUE_WILD for tag, _ in properties)
    wanted = _ISSUE_WILD if wild else _ISSUE
    values = [record.value.decode("latin-1") for tag, record in properties if tag == wanted]
    obstacles = [_obstacle(value, applicant) for value in values]
    if all(obstacles) and obstacles:
        raise _forbidden(owner, identifier, "; ".join(dict.fromkeys(filter(None, obstacles))))


def _relevant(network: Network, deadline: Deadline, name: str) -> tuple[str, list[CAA]]:
    """The records of the closest ancestor that has any (RFC 8659 section 3), and whose they are."""
    labels = name.split(".")
    for index in range(len(labels)):
        owner = ".".join(labels[index:])
        records = network.caa(owner, deadline)
        if records:
            return owner, records
    return name, []


def _obstacle(value: str, applicant: Applicant) -> str | None:
    """Why this property does not let the applicant have its certificate; None if it does."""
    try:
        parsed = issue_value.parse(value)
    except ValueError as error:
        return f"a value is malformed: {error}"
    if not parsed.issuer:
        return "nobody may issue"
    if parsed.issuer not in applicant.identities:
        return f"{parsed.issuer} may issue"
    if parsed.parameters.get("accounturi", applicant.account_url) != applicant.account_url:
        return "another account of this CA may issue (accounturi)"
    methods = parsed.parameters.get("validationmethods", applicant.method)
    if not _METHODS.fullmatch(methods) or applicant.method not in methods.split(","):
        return f"{applicant.method} is not among the validationmethods"
    return None


def _forbidden(owner: str, identifier: Identifier, reason: str) -> Problem:
    return Problem(
        ErrorType.CAA, f"CAA: the records of {owner} forbid this CA to issue for {identifier.value}: {reason}."
    )
