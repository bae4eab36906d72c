"""All that a deployment to Exchange can be told: where Exchange is, and what to do there, in which order."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from certwright.exchange import addresses
from certwright.exchange.connection import Connection
from certwright.exchange.model import Service
from certwright.exchange.verification import ports
from certwright.sdk.params import OnlyWith, names_field

ServiceName = Literal["IMAP", "POP", "IIS", "SMTP"]
Rollback = Literal["all", "server"]


def _identities(value: Any) -> Any:
    """A list, from the text of one name, which may hold spaces and commas; other values as they are."""
    return tuple(filter(None, (value.strip(),))) if isinstance(value, str) else value


class Settings(Connection):
    """Where Exchange is, as whom, and what to do there."""

    only: Annotated[tuple[str, ...], BeforeValidator(addresses.servers)] = Field(
        default=(), description="The servers to work on this time; default: all of servers."
    )
    services: Annotated[tuple[ServiceName, ...] | None, BeforeValidator(addresses.service_names)] = Field(
        default=None, description="Any of IIS, SMTP, IMAP, POP; default: those of the certificate that is replaced."
    )
    connectors: Annotated[tuple[str, ...], BeforeValidator(_identities)] = names_field(
        "Connectors that are to name the certificate, by identity ('To partner', 'EX01\\Default Frontend EX01', "
        "HybridConfiguration), beside those that name what it replaces; one each time, for names may hold commas."
    )
    do_not_require_ssl: bool = Field(
        default=False, description="Leave the web site's Require SSL setting as it is when IIS is assigned."
    )
    keep_internal_transport_certificate: bool | None = Field(
        default=None,
        description="Keep the certificate that servers use among themselves; default: if it is self-signed, has its "
        "key, names the server and is valid for 60 days more.",
    )
    canary: str | None = Field(
        default=None, description="The server to begin with, verified before the others; default: the first."
    )
    pools: Annotated[tuple[str, ...], BeforeValidator(addresses.words)] = Field(
        default=(),
        description="Servers behind one load balancer, which change together, as SERVER+SERVER for each balancer; "
        "default: those of one Active Directory site.",
    )
    wave_width: int | None = Field(
        default=None, ge=1, description="How many servers of a pool change at the same time; default: all of it."
    )
    rollback: Rollback = Field(
        default="all",
        description="What is taken back when a server fails after the first one: all servers, or that server alone.",
    )
    restart_transport: bool = Field(
        default=True,
        description="Restart the transport services of a server whose SMTP ports go on serving another certificate; "
        "needs winrm.",
    )
    restart_web_site: Annotated[bool, OnlyWith("winrm")] = Field(
        default=False,
        description="Restart IIS, one server after the other, so that users behind a balancer are not signed out later "
        "by cookies of the earlier certificate.",
    )
    verify: Annotated[tuple[str, ...] | None, BeforeValidator(addresses.words)] = Field(
        default=None,
        description="Ports to look at, these and no others, as [SERVER/]SERVICE:HOST:PORT with IIS, IIS-NO-SNI, WEB, "
        "SIGN-IN, BACKEND, SMTP, IMAP, IMAPS, POP, POPS, TRANSPORT or LDAPS; BALANCER/ for what stands before several "
        "servers, EDGE/ for an Edge server; default: all standard ports of each server; off: none, and then nothing is "
        "deployed unattended.",
    )
    public_names: Annotated[tuple[str, ...] | None, BeforeValidator(addresses.words)] = Field(
        default=None,
        description="Names and load balancers' addresses that clients use, looked at like a server; default: the "
        "certificate's names where verify is left out; off: none.",
    )
    friendly_name: str | None = Field(
        default=None, max_length=63, description="Name shown in Exchange; default: the certificate's title."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        _ = self.ports, self.chosen_servers, self.chosen_pools, self.chosen_canary
        return self

    @property
    def ports(self) -> tuple[ports.Port, ...]:
        """The ports to look at, but for public names that only the certificate tells; empty if that is turned off."""
        return (*ports.chosen(self.verify, self.servers), *ports.chosen_public(self.public_names or ()))

    @property
    def chosen(self) -> Service | None:
        """The services asked for."""
        return None if self.services is None else Service.read(",".join(self.services))

    @property
    def chosen_servers(self) -> tuple[str, ...]:
        """The servers to work on, in the order and spelling of `servers`."""
        chosen = self._known("only", self.only)
        return tuple(server for server in self.servers if server in chosen) or self.servers

    @property
    def chosen_canary(self) -> str | None:
        """The server to begin with, as `servers` spells it; None leaves it to the order of these."""
        return None if self.canary is None else self._known("canary", (self.canary,))[0]

    @property
    def chosen_pools(self) -> tuple[tuple[str, ...], ...]:
        """The servers of each pool that was named."""
        found = tuple(self._known("pools", pool.split("+")) for pool in self.pools)
        listed = [server for pool in found for server in pool]
        if twice := [server for server in dict.fromkeys(listed) if listed.count(server) > 1]:
            raise ValueError(f"pools: {twice[0]} is in two pools")
        return found

    def _known(self, parameter: str, names: Sequence[str]) -> tuple[str, ...]:
        """The servers of these names, as `servers` spells them."""
        spellings = {server.lower(): server for server in self.servers}
        if strangers := [name for name in names if name.lower() not in spellings]:
            raise ValueError(f"{parameter}: {strangers[0][:80]!r} is none of the servers")
        return tuple(spellings[name.lower()] for name in names)
