"""The values of CAA issue properties, which dns-persist-01 has in TXT records too (RFC 8659 section 4.2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_BLANK = " \t"
_LABEL = r"[A-Za-z0-9](?:-*[A-Za-z0-9])*"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PARAMETER = re.compile(rf"({_LABEL})[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)")


@dataclass(frozen=True, slots=True)
class IssueValue:
    """Who may issue, and under which conditions.

    Attributes:
        issuer: The issuer's domain name in lower case; empty stands for nobody.
        parameters: By tag in lower case.
    """

    issuer: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def issuer_of(text: str) -> str:
    """The issuer's domain name in ``text``, in lower case, whatever follows it."""
    return text.partition(";")[0].strip(_BLANK).lower()


def parse(text: str) -> IssueValue:
    """Read an issue-value.

    Raises:
        ValueError: It is malformed, or names a parameter twice; the sentence says where.
    """
    issuer, semicolon, rest = text.partition(";")
    issuer = issuer.strip(_BLANK)
    if issuer and not _DOMAIN.fullmatch(issuer):
        raise ValueError("its issuer is not a domain name")
    parameters: dict[str, str] = {}
    for part in rest.split(";") if semicolon and rest.strip(_BLANK) else []:
        parameter = _PARAMETER.fullmatch(part.strip(_BLANK))
        if not parameter:
            raise ValueError(f"{part.strip(_BLANK)[:100]!r} is not a parameter")
        tag = parameter[1].lower()
        if tag in parameters:
            raise ValueError(f"the parameter {tag} is given twice")
        parameters[tag] = parameter[2]
    return IssueValue(issuer.lower(), parameters)
