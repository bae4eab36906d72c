"""Authorizations: one identifier's proof of control (RFC 8555 sections 7.1.4 and 7.5)."""

from dataclasses import dataclass
from datetime import datetime

from certwright.acme.challenge import Answer, Challenge
from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline
from certwright.acme.errors import ValidationFailure
from certwright.acme.identifier import Identifier
from certwright.acme.problem import Problem
from certwright.acme.transport import Response
from certwright.acme.wire import Fields

_STATUSES = frozenset({"pending", "valid", "invalid", "deactivated", "expired", "revoked"})


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization as the CA shows it."""

    url: str
    identifier: Identifier
    status: str
    """``pending``, ``valid``, ``invalid``, ``deactivated``, ``expired`` or ``revoked``."""
    challenges: tuple[Challenge, ...]
    wildcard: bool = False
    expires: datetime | None = None

    @classmethod
    def parse(cls, response: Response, url: str) -> "Authorization":
        """Read it; UnexpectedAnswer if it is none."""
        fields = Fields.of(response, "authorization")
        return cls(
            url=url,
            identifier=fields.object("identifier").identifier(),
            status=fields.one_of("status", _STATUSES),
            challenges=tuple(Challenge.parse(each) for each in fields.objects("challenges", "challenge")),
            wildcard=fields.flag("wildcard"),
            expires=fields.time_or_none("expires"),
        )

    def answers(self, thumbprint: str, account_url: str) -> list[Answer]:
        """What the account with that URL and key thumbprint may show: one for each challenge that can be answered."""
        return [self._answer(each, thumbprint, account_url) for each in self.challenges if each.answerable]

    def _answer(self, challenge: Challenge, thumbprint: str, account_url: str) -> Answer:
        token = challenge.token or ""
        return Answer(
            identifier=self.identifier,
            wildcard=self.wildcard,
            challenge=challenge,
            token=token,
            key_authorization=f"{token}.{thumbprint}" if token else "",
            account_uris=tuple(dict.fromkeys((challenge.account_uri or account_url, account_url))),
        )

    def failure(self) -> ValidationFailure | None:
        """Why it is of no use any more; None while it is pending or valid."""
        if self.status in {"pending", "valid"}:
            return None
        for challenge in self.challenges:
            if challenge.error:
                return ValidationFailure(self.identifier, challenge.type, challenge.error, self.wildcard)
        return ValidationFailure(
            self.identifier, "", Problem(detail=f"the authorization is {self.status}"), self.wildcard
        )


def fetch(client: AcmeClient, url: str, deadline: Deadline | None = None) -> Authorization:
    """Look at an authorization."""
    return Authorization.parse(client.post(url, None, deadline), url)
