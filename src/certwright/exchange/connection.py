"""How an Exchange organisation is reached: parameters that the task and the `certwright exchange` commands share."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from certwright.exchange import addresses
from certwright.remoting.endpoint import WINDOWS, WITH_PASSWORD, Authentication
from certwright.sdk.params import ExistingFile, OnlyWith, Params, credential_field


class Connection(Params):
    """Where Exchange is, and as whom."""

    servers: Annotated[tuple[str, ...], BeforeValidator(addresses.servers)] = Field(
        min_length=1, description="Names of the Exchange servers, as Get-ExchangeServer lists them."
    )
    endpoint: str | dict[str, str] | None = Field(
        default=None,
        description="Address of Exchange's PowerShell: one URL with {server} for the name, or SERVER=URL for each; "
        "default: http://{server}/PowerShell/, where all is encrypted by Kerberos or NTLM, and https for basic.",
    )
    auth: Annotated[Authentication, BeforeValidator(addresses.authentication)] = Field(
        default="current",
        description="How to sign in: current (the user who runs this, by Kerberos: ticket cache, keytab, or the "
        "signed-in Windows user), kerberos, negotiate or ntlm with a credential, or basic over verified https only.",
    )
    credential: Annotated[str | None, OnlyWith("auth", WITH_PASSWORD)] = credential_field(
        "exchange", "Name of the stored user name and password."
    )
    service_host: Annotated[str | None, OnlyWith("auth", ("current", "kerberos", "negotiate"))] = Field(
        default=None,
        description="Host in the Kerberos service name, where it is not the server's (alternate service account).",
    )
    proxy: str | None = Field(default=None, description="URL of an HTTP proxy to go through; default: none is used.")
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file of the authorities that sign the endpoints; default: those of this machine."
    )
    winrm: str | dict[str, str] | None = Field(
        default=None,
        description="Address of the servers' own PowerShell (http://{server}:5985/wsman), to restart services and read "
        "IIS bindings, keys and events.",
    )
    winrm_configuration: Annotated[str, OnlyWith("winrm")] = Field(
        default=WINDOWS,
        description="Session configuration of the servers' own PowerShell: that of a constrained endpoint (JEA).",
    )

    @model_validator(mode="after")
    def _reachable(self) -> "Connection":
        _ = self.endpoints, self.hosts
        if self.auth != "current" and not self.credential:
            raise ValueError(f"credential: auth={self.auth} needs the name of a stored one: certwright credential add")
        return self

    @property
    def endpoints(self) -> dict[str, str]:
        """URL of Exchange's PowerShell by server."""
        scheme = "https" if self.auth == "basic" else "http"
        template = self.endpoint or f"{scheme}://{addresses.PLACEHOLDER}/PowerShell/"
        return addresses.urls(template, self.servers, where="endpoint", plain=self.auth != "basic")

    @property
    def hosts(self) -> dict[str, str]:
        """URL of the host's own PowerShell by server; empty if none was given."""
        if self.winrm is None:
            return {}
        return addresses.urls(self.winrm, self.servers, where="winrm", plain=self.auth != "basic")

    @property
    def organisations(self) -> tuple[str, ...]:
        """The domains that the servers are in, in lower case: what stands for the Exchange organisation.

        That of a server's full name; for a short name that of its endpoint's host, or the host itself if that has none.
        """
        return tuple(sorted({addresses.domain(server, url) for server, url in self.endpoints.items()}))

    @property
    def destinations(self) -> frozenset[str]:
        """Where passwords and private keys are sent, each with how that place proves to be what it is."""
        how = [self.auth, *filter(None, (self.credential, self.service_host, self.proxy))]
        if self.ca_file:
            how.append(f"signed by {self.ca_file}")
        return frozenset(f"{url} ({', '.join(how)})" for url in (*self.endpoints.values(), *self.hosts.values()))
