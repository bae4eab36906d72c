"""When Exchange refuses to remove a certificate."""

from collections.abc import Iterator

from certwright.exchange_simulator.certificates import StoredCertificate
from certwright.exchange_simulator.errors import Refused
from certwright.exchange_simulator.state import ServerState


def check_unused(state: ServerState, stored: StoredCertificate) -> None:
    """Whether nothing refers to `stored`.

    Raises:
        Refused: Something does; the first reference is named.
    """
    with state.lock:
        reference = next(_references(state, stored), None)
    if reference:
        raise Refused(reference)


def _references(state: ServerState, stored: StoredCertificate) -> Iterator[str]:
    if stored.thumbprint == state.internal_transport:
        yield (
            "The internal transport certificate cannot be removed because that would cause the Microsoft Exchange "
            "Transport service to stop. To replace the internal transport certificate, create a new certificate. The "
            "new certificate will automatically become the internal transport certificate. You can then remove the "
            "existing certificate."
        )
    # Issuer and subject decide, so that a certificate can be tagged by a connector that means its successor.
    yield from _tagged(stored, "Send", {c.name: c.tls_certificate_name for c in state.organisation.send_connectors})
    yield from _tagged(stored, "Receive", {c.name: c.tls_certificate_name for c in state.receive_connectors})
    if sites := state.iis_sites(stored):
        names = ", ".join(f"IIS://{state.name}/W3SVC/{site}" for site in sites)
        yield f"The certificate with thumbprint {stored.thumbprint} can't be removed because it is in use by {names}."
    auth = state.organisation.auth_config
    if stored.thumbprint in {auth.current, auth.previous, auth.next}:
        yield (
            f"The certificate with thumbprint {stored.thumbprint} can't be removed because it is referenced by the "
            "organization's Auth configuration."
        )
    if stored.thumbprint in state.organisation.federation_thumbprints:
        yield (
            f"The certificate with thumbprint {stored.thumbprint} can't be removed because it is used by a federation "
            "trust."
        )


def _tagged(stored: StoredCertificate, kind: str, connectors: dict[str, str | None]) -> Iterator[str]:
    tagged = [name for name, wanted in connectors.items() if wanted == stored.tls_certificate_name]
    if tagged:
        yield (
            f"These certificates are tagged with following {kind} Connectors : {', '.join(tagged)}. Removing and "
            f"replacing certificates from {kind} Connector would break the mail flow. If you still want to proceed "
            f"then replace or remove these certificates from {kind} Connector and then try this command."
        )
