"""Certificates: download, choice of the chain, revocation (RFC 8555 sections 7.4.2 and 7.6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.acme import problem
from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline
from certwright.acme.errors import ServerProblem, UnexpectedAnswer
from certwright.acme.jws import Json, SigningKey, b64url
from certwright.acme.transport import Response

_MOST_CERTIFICATES = 20
_MOST_ALTERNATES = 10


class RevocationReason(IntEnum):
    """Why (RFC 5280 section 5.3.1): the reasons that a subscriber may give."""

    UNSPECIFIED = 0
    KEY_COMPROMISE = 1
    AFFILIATION_CHANGED = 3
    SUPERSEDED = 4
    CESSATION_OF_OPERATION = 5
    PRIVILEGE_WITHDRAWN = 9


@dataclass(frozen=True, slots=True)
class Chain:
    """A certificate and its issuers, as the CA sends them: leaf first, usually without the root."""

    certificates: tuple[x509.Certificate, ...]

    @classmethod
    def parse(cls, response: Response) -> "Chain":
        """Read a PEM chain (RFC 8555 section 9.1); UnexpectedAnswer if it is none."""
        try:
            certificates = tuple(x509.load_pem_x509_certificates(response.body))
        except ValueError:
            raise UnexpectedAnswer("the server's certificate is not a PEM chain") from None
        if len(certificates) > _MOST_CERTIFICATES:
            raise UnexpectedAnswer(f"the server's chain has more than {_MOST_CERTIFICATES} certificates")
        return cls(certificates)

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that was ordered."""
        return self.certificates[0]

    @property
    def pem(self) -> str:
        """All certificates in PEM, nothing between them."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.certificates).decode("ascii")

    def ends_at(self, common_name: str) -> bool:
        """Whether the topmost certificate was issued by ``common_name``: it is the chain's root."""
        return common_name in _common_names(self.certificates[-1].issuer)

    def passes(self, common_name: str) -> bool:
        """Whether ``common_name`` issued any certificate of the chain."""
        return any(common_name in _common_names(each.issuer) for each in self.certificates)


def download(
    client: AcmeClient, url: str, preferred_chain: str | None = None, deadline: Deadline | None = None
) -> Chain:
    """Fetch an issued certificate.

    Args:
        client: Whose account.
        url: From the order.
        preferred_chain: The common name of a root or an intermediate. A chain that ends at it is taken
            before one that only passes it; if there is neither, the CA's default chain comes.
        deadline: A minute if None.
    """
    deadline = deadline or client.deadline()
    response = client.post(url, None, deadline)
    default = Chain.parse(response)
    if preferred_chain is None or default.ends_at(preferred_chain):
        return default
    chains = [default]
    for alternate in _alternates(client, response, url, deadline):
        if alternate.ends_at(preferred_chain):
            return alternate
        chains.append(alternate)
    return next((chain for chain in chains if chain.passes(preferred_chain)), default)


def revoke(
    client: AcmeClient,
    certificate: bytes,
    reason: RevocationReason | None = None,
    *,
    key: SigningKey | None = None,
    deadline: Deadline | None = None,
) -> bool:
    """Revoke a certificate.

    Args:
        client: The account that ordered it, or controls its identifiers.
        certificate: In DER.
        reason: Not given if None; CAs treat that as unspecified.
        key: The certificate's own private key, to revoke without that account.
        deadline: A minute if None.

    Returns:
        True if it is revoked now, False if it was already.
    """
    deadline = deadline or client.deadline()
    url = client.directory(deadline).revoke_cert
    if url is None:
        raise UnexpectedAnswer("this CA offers no revocation: its directory has no revokeCert")
    payload: Json = {"certificate": b64url(certificate)}
    if reason is not None:
        payload["reason"] = int(reason)
    try:
        client.post(url, payload, deadline, key=key)
    except ServerProblem as refused:
        if refused.problem.type == problem.ALREADY_REVOKED:
            return False
        raise
    return True


def _alternates(client: AcmeClient, response: Response, url: str, deadline: Deadline) -> Iterator[Chain]:
    for link in response.links("alternate", url)[:_MOST_ALTERNATES]:
        yield Chain.parse(client.post(link, None, deadline))


def _common_names(name: x509.Name) -> set[str]:
    return {str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)}
