"""A DNS server that takes dynamic updates (RFC 2136), signed by a key that it shares with you (TSIG, RFC 8945).

BIND, Knot, PowerDNS, Windows DNS and others do. Make a key that may change the TXT records below `_acme-challenge`
and nothing else; for BIND:

    tsig-keygen certwright. >> /etc/bind/keys.conf
    zone "contoso.com" { ...; update-policy { grant certwright. wildcard * TXT; }; };
"""

import base64
import binascii
import socket
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, SecretStr, field_validator

from certwright.domain.errors import CertwrightError, SolverError, Unreachable
from certwright.sdk.dns import DnsProvider, TxtRecord, by_name
from certwright.sdk.pace import await_turn
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import ZoneName

if TYPE_CHECKING:
    import dns.message
    import dns.update

_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_RECORD_SECONDS = 60


class Params(PluginParams):
    """The server and the key."""

    server: str = Field(description="Host name or address of the zone's primary server.")
    port: int = Field(default=53, ge=1, le=65535, description="Its port.")
    key_name: str = Field(description="Name of the TSIG key, as the server calls it.")
    key: SecretStr = Field(description="The TSIG key's secret in base64.")
    algorithm: Literal["hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"] = Field(
        default="hmac-sha256", description="The TSIG key's algorithm."
    )
    zone: ZoneName | None = Field(
        default=None, description="A zone of the server, to try the key with; Knot and others tell nothing without."
    )

    @field_validator("key_name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        import dns.exception  # noqa: PLC0415 - only who asks pays for it
        import dns.name  # noqa: PLC0415 - as above

        try:
            is_root = dns.name.from_text(value) == dns.name.root
        except dns.exception.DNSException:
            is_root = True
        if is_root:
            raise ValueError("that is not the name of a key: copy what stands behind 'key', without its quotes")
        return value

    @field_validator("key")
    @classmethod
    def _is_base64(cls, value: SecretStr) -> SecretStr:
        try:
            decoded = base64.b64decode(value.get_secret_value(), validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if not decoded:
            raise ValueError("the key is not base64: copy what stands between the quotes behind 'secret'")
        return value


class Rfc2136(DnsProvider[Params]):
    """Sends updates over TCP, one for all records of a zone."""

    Params = Params
    in_one = True
    per_second: ClassVar[float] = 50  # one's own server
    wait = 120

    def check(self) -> str:
        """Ask something with the key: a server that does not know it says so before it looks at the question."""
        import dns.message  # noqa: PLC0415 - only who asks pays for it
        import dns.rdatatype  # noqa: PLC0415 - as above

        zone = self.params.zone
        answer = self._ask(dns.message.make_query(f"{zone or ''}.", dns.rdatatype.SOA))
        if zone and not answer.answer:
            raise SolverError(
                f"{self.params.server} shows no zone {zone}: {answer.rcode().name}.",
                hint=f"Check that this server has the zone {zone} itself, and lets the key {self.params.key_name!r} "
                f"ask for it; then store {self.context.credential!r} again.",
            )
        if not answer.had_tsig:
            return f"{self.params.server} answers; whether it knows the key was not tried, as no zone was given."
        return f"{self.params.server} knows the key {self.params.key_name}."

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add them in one update; the server ignores what it has."""
        seconds = {f"{name}.": self._ttl(name) for name in by_name(records)}
        self._update(zone, records, lambda update, name, text: update.add(name, seconds[name], "TXT", text))

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Delete exactly these; the server ignores what it does not have."""
        self._update(zone, records, lambda update, name, text: update.delete(name, "TXT", text))

    def _ttl(self, name: str) -> int:
        """That of the records that stand at `name` already, as all there have one (RFC 2181 section 5.2)."""
        import dns.message  # noqa: PLC0415 - only who asks pays for it
        import dns.rdatatype  # noqa: PLC0415 - as above

        answer = self._ask(dns.message.make_query(f"{name}.", dns.rdatatype.TXT)).answer
        return next((rrset.ttl for rrset in answer if rrset.rdtype == dns.rdatatype.TXT), _RECORD_SECONDS)

    def _update(
        self, zone: str, records: Sequence[TxtRecord], change: "Callable[[dns.update.UpdateMessage, str, str], None]"
    ) -> None:
        import dns.rcode  # noqa: PLC0415 - only who asks pays for it
        import dns.update  # noqa: PLC0415 - as above

        update = dns.update.UpdateMessage(f"{zone}.")
        for record in records:
            change(update, f"{record.name}.", f'"{record.value}"')
        code = self._ask(update).rcode()
        if code != dns.rcode.NOERROR:
            raise self._refused(zone, code)

    def _ask(self, message: "dns.message.Message") -> "dns.message.Message":
        """Sign and send; the answer is signed by the same key, or an error that some servers do not sign."""
        import dns.exception  # noqa: PLC0415 - only who asks pays for it
        import dns.rcode  # noqa: PLC0415 - as above
        import dns.tsig  # noqa: PLC0415 - as above

        secret = base64.b64decode(self.params.key.get_secret_value())
        message.use_tsig(dns.tsig.Key(self.params.key_name, secret, self.params.algorithm))
        try:
            answer = self._exchange(message)
            if answer.had_tsig:
                return dns.message.from_wire(answer.wire or b"", keyring=message.keyring, request_mac=message.mac)
        except dns.tsig.PeerError as error:
            raise self._wrong_key(str(error)) from error
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise self._improper(str(error) or type(error).__name__) from error
        if answer.rcode() == dns.rcode.NOERROR:
            raise self._improper("its answer is not signed")
        return answer

    def _exchange(self, message: "dns.message.Message") -> "dns.message.Message":
        """The answer as it comes; its signature is still to be seen to."""
        import dns.query  # noqa: PLC0415 - only who asks pays for it

        await_turn(f"{self.params.server} port {self.params.port}", self.per_second)
        with self._connect() as connection:
            ends = time.time() + _SECONDS
            connection.setblocking(False)
            dns.query.send_tcp(connection, message, ends)
            answer, _ = dns.query.receive_tcp(connection, ends, keyring=False)  # type: ignore[arg-type] # not now
        if not message.is_response(answer):
            raise dns.query.BadResponse
        return answer

    def _connect(self) -> socket.socket:
        """A connection to the first of the server's addresses that takes one."""
        try:
            return socket.create_connection((self.params.server, self.params.port), _CONNECT_SECONDS)
        except (socket.gaierror, UnicodeError) as error:
            raise Unreachable(
                f"The name of the DNS server {self.params.server} leads to no address.",
                hint="Check how it is written, or give an address.",
            ) from error

    def _improper(self, told: str) -> Unreachable:
        return Unreachable(
            f"The DNS server {self.params.server} port {self.params.port} did not answer properly: {told.rstrip('.')}.",
            hint="Check the server's name, and that TCP to that port is let through from here.",
            retryable=True,
        )

    def _wrong_key(self, told: str) -> SolverError:
        return SolverError(
            f"{self.params.server} does not accept the key {self.params.key_name!r}: {told.rstrip('.')}.",
            hint="Compare the key's name, secret and algorithm with the server's, and both clocks (they may differ by "
            f"5 minutes); then store it again under the name {self.context.credential!r}.",
        )

    def _refused(self, zone: str, code: "dns.rcode.Rcode") -> CertwrightError:
        hints = {
            "REFUSED": f"Let the key {self.params.key_name!r} of the credential {self.context.credential!r} change TXT "
            f"records in the zone {zone} on that server (BIND: update-policy; Knot: acl).",
            "NOTAUTH": f"Name the primary server of {zone} in the credential {self.context.credential!r}: this one is "
            "another, or does not know the key.",
            "NOTZONE": f"The server has no zone {zone}: check which zone it serves for these names.",
            "SERVFAIL": "Look into the server's log: it often cannot write its journal file (folder not writable).",
        }
        return SolverError(
            f"{self.params.server} refused to change the zone {zone}: {code.name}.",
            hint=hints.get(code.name, "Look into the server's log."),
            retryable=code.name == "SERVFAIL",
        )
