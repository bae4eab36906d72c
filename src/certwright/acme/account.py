"""Accounts (RFC 8555 sections 7.1.2 and 7.3)."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from certwright.acme import jws, problem
from certwright.acme.client import AcmeClient
from certwright.acme.clock import Deadline
from certwright.acme.errors import AcmeError, ServerProblem, TransportError, UnexpectedAnswer
from certwright.acme.jws import Json, SigningKey
from certwright.acme.transport import Response
from certwright.acme.wire import Fields

_LOOK_UP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """An account as the CA shows it."""

    url: str
    status: str
    """``valid``, ``deactivated`` or ``revoked``."""
    contact: tuple[str, ...] = ()
    """URLs: ``mailto:admin@example.org``. Some CAs keep them to themselves."""

    @classmethod
    def parse(cls, response: Response, url: str) -> "Account":
        """Read it; UnexpectedAnswer if it is none."""
        fields = Fields.of(response, "account")
        # RFC 8555 demands a status; CAs that leave it out mean an account that works.
        return cls(url, fields.text_or_none("status") or "valid", fields.texts("contact"))


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """What a CA hands out to bind an ACME account to a customer (RFC 8555 section 7.3.4)."""

    key_id: str
    mac_key: bytes = field(repr=False)

    @classmethod
    def from_text(cls, key_id: str, mac_key: str) -> "ExternalAccount":
        """With the MAC key in base64url, as CAs show it; ValueError if it is not that."""
        text = mac_key.strip().rstrip("=").translate(str.maketrans("+/", "-_"))
        try:
            decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            decoded = b""
        if not decoded:
            raise ValueError("the external account's MAC key is not base64url")
        return cls(key_id.strip(), decoded)


def register(
    client: AcmeClient,
    *,
    contact: Sequence[str] = (),
    agree_to_terms: bool,
    external_account: ExternalAccount | None = None,
    deadline: Deadline | None = None,
) -> Account:
    """Create the account of the client's key, or find it if the CA has it already; the client then uses it.

    Args:
        client: Whose key.
        contact: URLs, ``mailto:...``.
        agree_to_terms: Whether the user agrees to the terms of service that the directory names.
        external_account: Where the directory says that one is required.
        deadline: A minute if None.
    """
    deadline = deadline or client.deadline()
    url = client.directory(deadline).new_account
    payload: Json = {"termsOfServiceAgreed": agree_to_terms}
    if contact:
        payload["contact"] = list(contact)
    if external_account:
        payload["externalAccountBinding"] = jws.external_account_binding(
            external_account.key_id, external_account.mac_key, client.account_key.jwk, url
        )
    return _adopt(client, client.post(url, payload, deadline, key=client.account_key))


def find(client: AcmeClient, deadline: Deadline | None = None) -> Account | None:
    """The account of the client's key, None if the CA has none; the client then uses it."""
    deadline = deadline or client.deadline()
    response = _look_up(client, client.account_key, deadline)
    return None if response is None else _adopt(client, response)


def update_contact(client: AcmeClient, contact: Sequence[str], deadline: Deadline | None = None) -> Account:
    """Replace the contact URLs."""
    url = client.require_account()
    return Account.parse(client.post(url, {"contact": list(contact)}, deadline), url)


def deactivate(client: AcmeClient, deadline: Deadline | None = None) -> Account:
    """Give the account up for ever (RFC 8555 section 7.3.6)."""
    url = client.require_account()
    return Account.parse(client.post(url, {"status": "deactivated"}, deadline), url)


def roll_over_key(client: AcmeClient, new_key: SigningKey, deadline: Deadline | None = None) -> None:
    """Let ``new_key`` take the place of the account's key (RFC 8555 section 7.3.5); the client then uses it.

    Store ``new_key`` before: when this raises, only a later `find` tells which of the two keys the CA knows.
    """
    deadline = deadline or client.deadline()
    account_url = client.require_account()
    url = client.directory(deadline).key_change
    if url is None:
        raise UnexpectedAnswer("this CA offers no change of account keys: its directory has no keyChange")
    inner = {"account": account_url, "oldKey": client.account_key.jwk}
    try:
        client.post(url, jws.signed(new_key, url, inner, nonce=None, kid=None), deadline)
    except (ServerProblem, TransportError):
        # Perhaps only the answer was lost, and the repetition was refused because the change is done.
        if not _belongs(client, new_key, account_url):
            raise
    client.account_key = new_key


def _belongs(client: AcmeClient, key: SigningKey, account_url: str) -> bool:
    try:
        response = _look_up(client, key, client.deadline(_LOOK_UP_SECONDS))
    except AcmeError:
        return False
    return response is not None and response.headers.get("Location") == account_url


def _look_up(client: AcmeClient, key: SigningKey, deadline: Deadline) -> Response | None:
    try:
        url = client.directory(deadline).new_account
        return client.post(url, {"onlyReturnExisting": True}, deadline, key=key)
    except ServerProblem as refused:
        if refused.problem.type == problem.ACCOUNT_DOES_NOT_EXIST:
            return None
        raise


def _adopt(client: AcmeClient, response: Response) -> Account:
    url = response.headers.get("Location")
    if not url:
        raise UnexpectedAnswer("the server's account has no Location")
    account = Account.parse(response, url)
    client.account_url = url
    return account
