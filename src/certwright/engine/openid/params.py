"""What is said of an OpenID provider: where it is, who we are there, and whom it lets in here as what."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from certwright.domain.access import Role
from certwright.domain.openid import Mapped
from certwright.domain.web_address import is_this_machine, web_parts
from certwright.sdk.params import ExistingFile, Token, names_field
from certwright.sdk.proxy import ProxiedParams

CALLBACK = "/sign-in/with/{name}/callback"


def guarded(address: str) -> str:
    """An address that nobody on the way can read or change.

    Raises:
        ValueError: if it is none.
    """
    parts = web_parts(address)
    if parts.scheme != "https" and not is_this_machine(parts.hostname or ""):
        raise ValueError("it must begin with https (http is for this machine's own loopback address)")
    if parts.fragment:
        raise ValueError("an address here has nothing after a #")
    return address


def _issuer(address: str) -> str:
    if web_parts(guarded(address)).query:
        raise ValueError("an issuer has nothing after a question mark")
    return address


def _own_address(address: str) -> str:
    parts = web_parts(guarded(address))
    if parts.path.strip("/") or parts.query:
        raise ValueError("write the address of the first page alone, such as https://certwright.contoso.com")
    return address.rstrip("/")


class ProviderParams(ProxiedParams):
    """An OpenID provider, and whom it lets in here as what."""

    title: str = Field(min_length=1, max_length=40, description="What people read: Sign in with TITLE.")
    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        max_length=500, description="The issuer, exactly as the provider writes it."
    )
    client_id: str = Field(
        min_length=1, max_length=255, pattern=r"^[!-~]+$", description="What the provider calls this installation."
    )
    client_secret: Token | None = Field(
        default=None, description="The secret that the provider gave the client; without one it is a public client."
    )
    address: Annotated[str, AfterValidator(_own_address)] = Field(
        max_length=255, description="Where browsers reach these pages, such as https://certwright.contoso.com."
    )
    role_claim: str = Field(
        default="groups", min_length=1, max_length=200, description="The claim whose values give people their role."
    )
    administrators: tuple[str, ...] = names_field("Values of that claim, each of which makes an administrator.")
    operators: tuple[str, ...] = names_field("Values that make an operator.")
    requesters: tuple[str, ...] = names_field("Values that make a requester.")
    auditors: tuple[str, ...] = names_field("Values that make an auditor.")
    viewers: tuple[str, ...] = names_field("Values that make a viewer.")
    name_claim: str = Field(
        default="preferred_username",
        min_length=1,
        max_length=200,
        description="The claim that says what people are called.",
    )
    tag_claim: str | None = Field(
        default=None,
        max_length=200,
        description="The claim with the tags to whose certificates operators, requesters and viewers are limited.",
    )
    scopes: tuple[str, ...] = Field(
        default=("profile", "email"), max_length=20, description="What is asked for beside openid."
    )
    ca_file: ExistingFile | None = Field(default=None, description="PEM certificates to trust instead of the system's.")

    @model_validator(mode="after")
    def _of_somebody(self) -> "ProviderParams":
        if not any(values for _, values in self.mapped.roles):
            raise ValueError("no value gives a role, so nobody would be let in: give one for a role at least")
        return self

    @property
    def mapped(self) -> Mapped:
        """Whom it lets in as what."""
        roles = [(role, getattr(self, f"{role}s")) for role in Role]
        return Mapped(self.name_claim, self.role_claim, roles, self.tag_claim)


def redirect_uri(name: str, address: str) -> str:
    """Where a provider sends browsers back to: to another place for each, so that none can answer for another."""
    return address + CALLBACK.format(name=name)


def after_sign_out(address: str) -> str:
    """Where a provider sends browsers back to that signed out there; it has to be told of it."""
    return f"{address}/sign-in"
