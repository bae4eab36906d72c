"""Orders (RFC 8555 sections 7.1.3 and 7.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline
from certwright.acme.errors import ProfileNotOffered, UnexpectedAnswer
from certwright.acme.identifier import Identifier
from certwright.acme.jws import Json, b64url
from certwright.acme.problem import Problem
from certwright.acme.transport import Response
from certwright.acme.wire import Fields

_STATUSES = frozenset({"pending", "ready", "processing", "valid", "invalid"})


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the CA shows it."""

    url: str
    status: str
    """``pending``, ``ready``, ``processing``, ``valid`` or ``invalid``."""
    identifiers: tuple[Identifier, ...]
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str | None = None
    error: Problem | None = None
    expires: datetime | None = None
    retry_after: float | None = None
    """The seconds that the CA asks to wait before the next look."""

    @classmethod
    def parse(cls, response: Response, url: str, now: float) -> "Order":
        """Read it; UnexpectedAnswer if it is none. ``now``: seconds since the epoch, for Retry-After."""
        fields = Fields.of(response, "order")
        return cls(
            url=url,
            status=fields.one_of("status", _STATUSES),
            identifiers=tuple(each.identifier() for each in fields.objects("identifiers", "identifier")),
            authorizations=fields.urls("authorizations"),
            finalize=fields.url("finalize"),
            certificate=fields.url_or_none("certificate"),
            error=Problem.parse(fields.any("error")) if "error" in fields else None,
            expires=fields.time_or_none("expires"),
            retry_after=response.retry_after(now),
        )


def create(
    client: AcmeClient,
    identifiers: Sequence[Identifier],
    *,
    not_after: datetime | None = None,
    profile: str | None = None,
    replaces: str | None = None,
    deadline: Deadline | None = None,
) -> Order:
    """Order a certificate.

    Args:
        client: Whose account.
        identifiers: What it is to cover.
        not_after: The end of validity to ask for; few CAs allow to choose it.
        profile: One of those that the directory lists (draft-ietf-acme-profiles).
        replaces: `renewal_info.certificate_id` of the predecessor (RFC 9773 section 5).
        deadline: A minute if None.

    Raises:
        ProfileNotOffered: the directory does not list ``profile``.
    """
    deadline = deadline or client.deadline()
    directory = client.directory(deadline)
    payload: Json = {"identifiers": [identifier.to_json() for identifier in identifiers]}
    if not_after is not None:
        payload["notAfter"] = not_after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if profile is not None:
        # The draft, section 4: a client must not ask for a profile that is not advertised.
        if profile not in directory.meta.profiles:
            raise ProfileNotOffered(profile, sorted(directory.meta.profiles))
        payload["profile"] = profile
    if replaces is not None:
        payload["replaces"] = replaces
    response = client.post(directory.new_order, payload, deadline)
    url = response.headers.get("Location")
    if not url:
        raise UnexpectedAnswer("the server's new order has no Location")
    return Order.parse(response, url, client.clock.wall())


def fetch(client: AcmeClient, url: str, deadline: Deadline | None = None) -> Order:
    """Look at an order."""
    return Order.parse(client.post(url, None, deadline), url, client.clock.wall())


def finalize(client: AcmeClient, order: Order, csr: bytes, deadline: Deadline | None = None) -> Order:
    """Ask for the certificate of a ready order, with a CSR in DER."""
    response = client.post(order.finalize, {"csr": b64url(csr)}, deadline)
    return Order.parse(response, order.url, client.clock.wall())
