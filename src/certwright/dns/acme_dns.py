"""acme-dns: a small name server with an HTTP API, which keeps nothing but proofs.

Where no program may write to your zone, it takes one CNAME that you create once for each name. The first run has
acme-dns register the name, shows the record, `_acme-challenge.mail.contoso.com. CNAME (something).auth.contoso.com.`,
and waits for you; the next run goes on by itself when the record is to be seen, and so does every renewal. A name and
its wildcard need one record together.

The accounts that acme-dns gives out lie encrypted in the store, for this credential and this server. Whoever runs the
server can get certificates for your names: run your own, and choose `allowfrom` narrowly. Old values stay at acme-dns,
which knows no way to remove them; they prove nothing any more, and the next two replace them. As it keeps no more than
two, requests that need the same name wait for each other.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, field_validator

from certwright.domain.errors import SolverError, Unreachable
from certwright.domain.web_address import web_parts
from certwright.rest import Answer, Api, refused
from certwright.rest.api import Sign
from certwright.sdk.dns import DnsProvider, TxtRecord, by_name
from certwright.sdk.params import ExistingFile
from certwright.sdk.params import Params as PluginParams

_SERVICE = "acme-dns"
_VALUES = 2
_MOST_WRITES = 8
_OF_NOBODY = (401, "forbidden")  # how every version answers an update that names no account
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63}")
_Word = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]  # the header fields of RFC 9110 take it as it is


class Params(PluginParams):
    """The server."""

    server: str = Field(description="Address of its API, such as https://auth.contoso.com.")
    allowfrom: tuple[str, ...] = Field(
        default=(),
        description="Networks (198.51.100.7/32) from which values may be written; asked for when a name is registered "
        "[default: all].",
    )
    ca_file: ExistingFile | None = Field(
        default=None, description="PEM file with the root of the API's own https certificate, if it is not public."
    )

    @field_validator("server")
    @classmethod
    def _is_address(cls, value: str) -> str:
        web_parts(value)
        return value.rstrip("/")

    @field_validator("allowfrom")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ip_network(each, strict=False)) for each in value)
        except ValueError:
            raise ValueError("write networks as ADDRESS/LENGTH, such as 198.51.100.7/32") from None


class _Account(BaseModel):
    """What acme-dns gives out when a name is registered."""

    fulldomain: str
    subdomain: _Word
    username: _Word
    password: _Word = Field(repr=False)


class AcmeDns(DnsProvider[Params]):
    """One account for each name; values are replaced, never removed."""

    Params = Params
    in_turn = True
    per_second: ClassVar[float] = 20  # one's own server
    wait = 60

    def check(self) -> str:
        """Have it refuse an update by nobody, in its own words; there is no account yet to sign in with."""
        with self._api() as api:
            answer = api.request("POST", "/update")
        if answer.is_busy:
            raise self._refused(answer, "")
        if (answer.status, answer.words("error")) != _OF_NOBODY:
            raise Unreachable(
                f"What answers at {self.params.server} is no acme-dns: {answer.asked} answered {answer.status}.",
                hint="Check the address: it is that of the API, which may have a port or a path of its own.",
                retryable=False,
            )
        return f"acme-dns at {self.params.server} answers."

    def delegate(self, name: str) -> str:
        """The name that acme-dns has given to `name`, registered when it is first asked for."""
        return self._known(name) or self._registered(name)

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:  # noqa: ARG002 - the zone is the server's own
        """Write the values of each name; acme-dns keeps the two newest."""
        values = by_name(records)
        accounts = {name: self._account(name) for name in values}
        for name, several in values.items():
            if len(several) > _VALUES:
                raise SolverError(
                    f"acme-dns keeps {_VALUES} values at {name}, and {len(several)} are needed at the same time.",
                    hint="Let one of the certificates that need the name be requested after the other.",
                )
        for name, several in values.items():
            self._write(accounts[name], several)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Leave them there: acme-dns can only replace values, and old ones prove nothing."""

    def _known(self, name: str) -> str | None:
        known: str | None = self.context.memory.get(self._of_name(name))
        return known

    def _registered(self, name: str) -> str:
        """Register `name`, unless another run has done it in the meantime."""
        memory = self.context.memory
        with self.context.alone("registration"):
            if known := self._known(name):
                return known
            account = self._register(name)
            memory.put(self._of_account(account.fulldomain), account.model_dump())
            memory.put(self._of_name(name), account.fulldomain)
            return account.fulldomain

    def _register(self, name: str) -> _Account:
        data = {"allowfrom": list(self.params.allowfrom)} if self.params.allowfrom else None
        with self._api() as api:
            answer = api.request("POST", "/register", data=data)
        if not answer.is_success:
            closed = "The server takes no new names: allow registration there (disable_registration = false) for now."
            raise self._refused(answer, closed if answer.status == 404 else "")  # noqa: PLR2004 - RFC 9110
        account = answer.read(_Account)
        account = account.model_copy(update={"fulldomain": account.fulldomain.lower().rstrip(".")})
        if not _DOMAIN.fullmatch(account.fulldomain):
            raise Unreachable(
                f"acme-dns at {self.params.server} answered with a name that is none.",
                hint="Check the server's setting of its own domain.",
                retryable=False,
            )
        self.context.journal.note(f"acme-dns has registered {name}: its records are written at {account.fulldomain}.")
        return account

    def _account(self, fulldomain: str) -> _Account:
        stored = self.context.memory.get(self._of_account(fulldomain))
        if stored is None:
            raise SolverError(
                f"No account of acme-dns is known that may write at {fulldomain}.",
                hint="Remove the delegation or CNAME that leads there: the next run shows the record that is needed.",
            )
        return _Account.model_validate(stored)

    def _write(self, account: _Account, values: Sequence[str]) -> None:
        """Write, and write the other value again when one may have been written twice and pushed it out."""
        waiting = list(values)
        for _ in range(_MOST_WRITES):
            value = waiting.pop(0)
            if self._post(account, value) > 1:
                waiting += [other for other in values if other not in (value, *waiting)]
            if not waiting:
                return
        raise Unreachable(
            f"acme-dns at {self.params.server} breaks off so often that it is not clear which values it holds.",
            hint="Look at the server, and at what is between: a proxy, a firewall.",
        )

    def _post(self, account: _Account, value: str) -> int:
        """Write one value; how often it had to be asked."""
        attempts = 0

        def sign(_method: str, _url: str, _body: bytes) -> Mapping[str, str]:
            nonlocal attempts
            attempts += 1
            return {"X-Api-User": account.username, "X-Api-Key": account.password}

        with self._api(sign=sign) as api:
            answer = api.request("POST", "/update", data={"subdomain": account.subdomain, "txt": value})
        if not answer.is_success:
            raise self._refused(
                answer,
                "Its account is bound to the networks of allowfrom, or the server has lost it. A credential under "
                "another name registers anew, and needs new CNAME records."
                if answer.status == 401  # noqa: PLR2004 - RFC 9110
                else "",
            )
        return attempts

    def _api(self, sign: Sign | None = None) -> Api:
        return Api(
            self.params.server,
            sign=sign,
            per_second=self.per_second,
            ca_file=self.params.ca_file,
            proxy=self.context.proxy,
        )

    def _refused(self, answer: Answer, hint: str) -> SolverError:
        return refused(_SERVICE, answer, answer.words("error"), credential=self.context.credential, hint=hint)

    def _of_name(self, name: str) -> str:
        return f"{self.params.server} name {name}"

    def _of_account(self, fulldomain: str) -> str:
        return f"{self.params.server} account {fulldomain}"
