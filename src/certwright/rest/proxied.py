"""What a proxy on the way did wrong, in words for people."""

from certwright.acme.errors import NotTrusted, ProxyDenied, ProxyFailed, TransportError
from certwright.domain.errors import Unreachable

_ELSEWHERE = "for one issuer or channel alone"


def in_the_way(what: str, error: TransportError) -> Unreachable | None:
    """The error for people, if it was a proxy; `what` begins its sentence."""
    match error:
        case ProxyDenied():
            return Unreachable(
                f"{what}: the proxy {error.proxy} wants a credential, or another one.",
                causes=[error.reason],
                hint="Store it with `certwright credential add proxy NAME`, and say that name in "
                f"CERTWRIGHT_PROXY_CREDENTIAL, or with --proxy-credential {_ELSEWHERE}.",
            )
        case ProxyFailed():
            return Unreachable(
                f"{what}: the proxy {error.proxy} did not lead there.",
                causes=[error.reason],
                hint="Check the proxy, and that it lets this machine through to that server; CERTWRIGHT_PROXY says "
                f"which it is, --proxy {_ELSEWHERE}.",
            )
        case NotTrusted(proxy=proxy, signer=signer) if proxy:
            by = f", signed by {signer}," if signer else ""
            return Unreachable(
                f"{what}: the certificate that came through the proxy {proxy}{by} is not trusted.",
                causes=[error.reason],
                hint="If the proxy opens TLS to look inside, give the root that it signs with, in PEM, in "
                f"CERTWRIGHT_PROXY_CA_FILE, or with --proxy-ca-file {_ELSEWHERE}.",
                retryable=False,
            )
        case _:
            return None
