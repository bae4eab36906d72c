"""The value of a CAA issue property, which the records of dns-persist-01 have too (RFC 8659 section 4.2)."""

import re
from dataclasses import dataclass
from typing import Self

_BLANK = " \t"
_LABEL = r"[A-Za-z0-9](?:-*[A-Za-z0-9])*"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PARAMETER = re.compile(rf"({_LABEL})[ \t]*=[ \t]*([\x21-\x3a\x3c-\x7e]*)")


@dataclass(frozen=True, slots=True)
class IssueValue:
    """Who may issue, and under which conditions.

    `issuer` is in lower case and empty if nobody may issue. `parameters` are in order, tags in lower case.
    """

    issuer: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a value.

        Raises:
            ValueError: if it does not follow the grammar, with the reason as the end of a sentence.
        """
        domain, _, rest = text.partition(";")
        issuer = domain.strip(_BLANK)
        if issuer and not _DOMAIN.fullmatch(issuer):
            raise ValueError("it does not begin with the domain name of an authority")
        parameters = []
        for part in rest.split(";") if rest.strip(_BLANK) else ():
            found = _PARAMETER.fullmatch(part.strip(_BLANK))
            if not found:
                raise ValueError(f"{part.strip(_BLANK)[:80]!r} is not of the form NAME=VALUE")
            parameters.append((found[1].lower(), found[2]))
        return cls(issuer.lower(), tuple(parameters))

    def given(self, tag: str) -> list[str]:
        """All values of the parameter `tag`."""
        return [value for name, value in self.parameters if name == tag]
