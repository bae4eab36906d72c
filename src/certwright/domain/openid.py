"""OpenID Connect: what an ID token must say (OpenID Connect Core section 3.1.3.7), and what follows from its claims.

Pure: whoever calls has verified the signature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from certwright.domain.access import Permission, Role
from certwright.domain.errors import Forbidden, NotSignedIn

Claims = Mapping[str, Any]

BEGUN_FOR = timedelta(minutes=10)
"""A sign-in that was begun has to end within this time."""

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""By which a token may be signed: with a key that its provider alone has. Never `none`, and no shared secret."""

_SKEW = timedelta(minutes=2)
_MOST_VALUES = 10
_LONGEST_SHOWN = 80
_Moment = Annotated[float, Field(ge=0, lt=2**40)]


class _IdToken(BaseModel):
    """The claims that every ID token has."""

    iss: str
    sub: str = Field(min_length=1, max_length=255)
    aud: str | list[str]
    exp: _Moment
    iat: _Moment
    nonce: str
    azp: str | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say: who made it, for which client, for which sign-in."""

    issuer: str
    client: str
    nonce: str

    def subject(self, claims: Claims, now: datetime) -> str:
        """Of whom a token tells that is as it must be.

        Raises:
            NotSignedIn: with what is wrong with it; nothing that it says is repeated.
        """
        try:
            told = _IdToken.model_validate(claims, strict=True)
        except ValidationError as error:
            wrong = ", ".join(sorted({str(part["loc"][0]) for part in error.errors(include_input=False)}))
            raise _refused(f"lacks claims, or has them in another shape: {wrong}") from None
        audiences = [told.aud] if isinstance(told.aud, str) else told.aud
        moment = now.timestamp()
        for is_wrong, what in (
            (told.iss != self.issuer, "is of another issuer"),
            (self.client not in audiences, "is for another client"),
            (told.azp not in (self.client, None), "was made for another client"),
            (told.azp is None and len(audiences) > 1, "is for several clients, and does not say for which it was made"),
            (told.nonce != self.nonce, "was made for another sign-in"),
            (told.exp + _SKEW.total_seconds() <= moment, f"has expired by the clock of this machine ({now:%H:%M} UTC)"),
            (
                told.iat - _SKEW.total_seconds() > moment,
                f"was made later than now by the clock of this machine ({now:%H:%M} UTC)",
            ),
        ):
            if is_wrong:
                raise _refused(what)
        return told.sub


@dataclass(frozen=True, slots=True)
class Mapped:
    """Which claims say how somebody is called, and as what that one is let in.

    `name`, `role` and `tag` are claims; `roles` are the values of the claim `role` that give each role, and of several
    the first counts. With `tag`, who may be limited to certificates with some tags is: to those in that claim.
    """

    name: str
    role: str
    roles: Sequence[tuple[Role, Sequence[str]]]
    tag: str | None = None

    @property
    def claims(self) -> tuple[str, ...]:
        """All of which something is wanted."""
        return (self.name, self.role, *((self.tag,) if self.tag else ()))

    def person(self, claims: Claims) -> tuple[str, Role, tuple[str, ...]]:
        """Name, role and tags.

        Raises:
            Forbidden: if the claims let nobody in; it tells which came.
        """
        values = values_of(claims, self.role)
        role = next((role for role, given in self.roles if set(given) & set(values)), None)
        if role is None:
            raise Forbidden(
                f"Nothing gives you a role here: {_came(self.role, values)}.",
                causes=_overage(claims, self.role),
                hint="Show this to an administrator, who decides under People & tokens which values give which role.",
            )
        names = values_of(claims, self.name)
        if len(names) != 1:
            raise Forbidden(
                f"The provider does not say how you are called: {_came(self.name, names)}.",
                hint="An administrator chooses another claim for names, such as email, or has the provider send it.",
            )
        return names[0], role, self._tags(role, claims)

    def _tags(self, role: Role, claims: Claims) -> tuple[str, ...]:
        if self.tag is None or role.permissions & {Permission.ADMINISTER, Permission.AUDIT}:
            return ()
        if tags := values_of(claims, self.tag):
            return tags
        raise Forbidden(
            f"Nothing says which certificates you see: {_came(self.tag, ())}.",
            hint="An administrator of the provider gives you a tag, or here another claim for tags is chosen.",
        )


def values_of(claims: Claims, name: str) -> tuple[str, ...]:
    """The values of a claim as text; where there is none of that name, its dots lead into objects."""
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    listed = value if isinstance(value, list) else [value]
    return tuple(str(each) for each in listed if isinstance(each, str | int) and str(each))


def _came(claim: str, values: Sequence[str]) -> str:
    if not values:
        return f"no claim {claim!r} came"
    shown = [ascii(value[:_LONGEST_SHOWN]) for value in values[:_MOST_VALUES]]
    more = f" and {len(values) - _MOST_VALUES} more" if len(values) > _MOST_VALUES else ""
    return f"of the claim {claim!r} came {', '.join(shown)}{more}"


def _overage(claims: Claims, claim: str) -> list[str]:
    """Entra ID names a claim, rather than sending it, for somebody in more than 200 groups."""
    named = claims.get("_claim_names")
    if not isinstance(named, Mapping) or claim not in named:
        return []
    return [f"The provider left out {claim!r} because there are too many: have it send application roles instead."]


def _refused(what: str) -> NotSignedIn:
    return NotSignedIn(
        f"The provider's ID token {what}.",
        hint="Sign in again; if it stays so, an administrator looks at the client's settings at the provider.",
    )
