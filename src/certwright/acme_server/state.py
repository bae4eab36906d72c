"""All that the server remembers, in memory."""

from datetime import datetime
from threading import RLock

from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.renewal_info import RenewalWindow
from certwright.acme_server.resources import (
    Account,
    Authorization,
    Challenge,
    IssuedCertificate,
    Order,
    Status,
)


class State:
    """Resources by their ids. Hold ``lock`` while reading several or changing any.

    It outlives the listener: a second server given the same state and CA goes on where the first stopped.
    """

    def __init__(self) -> None:
        self.lock = RLock()
        self.accounts: dict[str, Account] = {}
        self.orders: dict[str, Order] = {}
        self.authorizations: dict[str, Authorization] = {}
        self.challenges: dict[str, tuple[Authorization, Challenge]] = {}
        self.issued: dict[str, IssuedCertificate] = {}
        self.windows: dict[str, RenewalWindow] = {}
        self._authorizations_of: dict[tuple[str, Identifier], list[Authorization]] = {}
        self._accounts_by_key: dict[str, Account] = {}
        self._issued_by_certificate_id: dict[str, IssuedCertificate] = {}
        self._orders_by_account: dict[str, list[Order]] = {}
        self._replacements: dict[str, list[Order]] = {}

    def add_account(self, account: Account) -> None:
        """Remember a new account."""
        self.accounts[account.id] = account
        self._accounts_by_key[account.key.thumbprint] = account
        self._orders_by_account[account.id] = []

    def account_of(self, thumbprint: str) -> Account | None:
        """The account with this key."""
        return self._accounts_by_key.get(thumbprint)

    def index_key(self, account: Account, old_thumbprint: str) -> None:
        """Find ``account`` by its new key from now on, and no longer by the old one."""
        del self._accounts_by_key[old_thumbprint]
        self._accounts_by_key[account.key.thumbprint] = account

    def add_authorization(self, authorization: Authorization) -> None:
        """Remember a new authorization and its challenges."""
        key = (authorization.account_id, authorization.proves)
        self._authorizations_of.setdefault(key, []).append(authorization)
        self.authorizations[authorization.id] = authorization
        for challenge in authorization.challenges:
            self.challenges[challenge.id] = (authorization, challenge)

    def valid_authorization(self, account: Account, identifier: Identifier, now: datetime) -> Authorization | None:
        """The account's authorization that a new order for ``identifier`` may rely on, the newest of several."""
        for authorization in reversed(self._authorizations_of.get((account.id, identifier), [])):
            authorization.update(now)
            reusable = authorization.reusable_until is None or now < authorization.reusable_until
            if authorization.status is Status.VALID and reusable:
                return authorization
        return None

    def add_order(self, order: Order) -> None:
        """Remember a new order."""
        self.orders[order.id] = order
        self._orders_by_account[order.account_id].append(order)
        if order.replaces is not None:
            self._replacements.setdefault(order.replaces, []).append(order)

    def orders_of(self, account: Account) -> list[Order]:
        """The account's orders, the oldest first."""
        return list(self._orders_by_account[account.id])

    def is_replaced(self, certificate_id: str, now: datetime) -> bool:
        """Whether an order that is not invalid replaces this certificate (RFC 9773 section 5)."""
        for order in self._replacements.get(certificate_id, []):
            order.update(now)
            if order.status is not Status.INVALID:
                return True
        return False

    def add_issued(self, issued: IssuedCertificate) -> None:
        """Enter a certificate in the issuance log."""
        self.issued[issued.id] = issued
        self._issued_by_certificate_id[issued.certificate_id] = issued

    def find_issued(self, certificate_id: str) -> IssuedCertificate | None:
        """The certificate with this RFC 9773 identifier."""
        return self._issued_by_certificate_id.get(certificate_id)

    def log(self) -> tuple[IssuedCertificate, ...]:
        """All certificates ever issued, in the order of issuance."""
        with self.lock:
            return tuple(self.issued.values())
