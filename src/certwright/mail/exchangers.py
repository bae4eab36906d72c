"""Which servers take the mail of a domain."""

from dataclasses import dataclass

from certwright.domain.errors import NotificationError
from certwright.probe.dns.query import CONCLUSIVE, Kind, LookupFailure
from certwright.probe.dns.resolver import Resolver

_MOST = 5


@dataclass(frozen=True, slots=True)
class Exchanger:
    """A mail server of a domain: its name, and one of its addresses."""

    host: str
    address: str


def exchangers(domain: str, resolver: Resolver) -> tuple[Exchanger, ...]:
    """The servers that take mail for `domain`, the preferred first (RFC 5321 section 5.1).

    Raises:
        NotificationError: if the domain does not exist, or says that it takes no mail (RFC 7505).
        LookupFailure: if nobody knows the servers, or the addresses of any.
    """
    answer = resolver.ask(domain, "MX")
    if answer.kind not in CONCLUSIVE:
        raise LookupFailure(answer)
    if answer.kind is Kind.NXDOMAIN:
        raise NotificationError(f"There is no domain {domain}.", hint="Correct the recipient's address.")
    named = sorted((int(preference), host) for preference, host in (value.split() for value in answer.values))
    if [host for _, host in named] == ["."]:
        raise NotificationError(f"The domain {domain} takes no mail, by its MX record.", hint="Name another recipient.")
    hosts = [host.rstrip(".") for _, host in named][:_MOST] or [domain]
    found: list[Exchanger] = []
    failure: LookupFailure | None = None
    for host in hosts:
        try:
            found += [Exchanger(host, address) for address in resolver.addresses(host)]
        except LookupFailure as error:
            failure = failure or error
    if failure and not found:
        raise failure
    return tuple(found[:_MOST])
