"""The way of a sign-in: to the provider, and back with a code (OpenID Connect Core section 3.1, RFC 7636, RFC 9207).

And the way out: to the provider, which signs out there too (OpenID Connect RP-Initiated Logout 1.0).
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, Field, ValidationError

from certwright.domain.access import Identity
from certwright.domain.errors import CertwrightError, ConfigurationError, Forbidden, NotFound, NotSignedIn, Throttled
from certwright.domain.openid import BEGUN_FOR, Expected
from certwright.engine.context import Engine
from certwright.engine.openid.params import after_sign_out
from certwright.engine.openid.peer import Peer
from certwright.engine.openid.providers import provider_params, stored_params
from certwright.engine.sign_in import sign_in_vouched
from certwright.store import UnitOfWork

_KEY = "sign-in:key"
_PEERS_SECONDS = 3600
_AT_ONCE = 8
_SOON = timedelta(seconds=5)
_SHOWN = 300
_LONGEST_WANTED = 1000  # browsers keep cookies of 4096 bytes


class _Begun(BaseModel):
    """What a browser keeps of a sign-in that it began, sealed, until it comes back."""

    provider: str
    wanted: str
    state: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = Field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = Field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a browser is to keep; `address` is ours, as the provider knows it, and so how browsers reach us."""

    text: str
    address: str


class SignIns:
    """The sign-ins by providers of one process; what providers tell of themselves is kept for an hour."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._peers: dict[str, Peer] = {}
        self._rooms: dict[str, threading.Semaphore] = {}

    def begin(self, name: str, wanted: str) -> tuple[str, Kept]:
        """Where a browser goes to sign in, and what it keeps meanwhile; `wanted` is where it goes on afterwards.

        Raises:
            NotFound: if nothing of that name is stored.
            ConfigurationError, Unreachable: if it is no provider that can be used now; the trail tells it too.
            Throttled: if others wait for it already.
        """
        try:
            with self._asking(name) as peer:
                endpoint = peer.metadata.authorization_endpoint
        except (NotFound, Throttled):
            raise
        except CertwrightError as error:
            self._note(name, None, error)
            raise
        begun = _Begun(provider=name, wanted=wanted if len(wanted) <= _LONGEST_WANTED else "/")
        asked = {
            "response_type": "code",
            "client_id": peer.params.client_id,
            "redirect_uri": peer.redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *peer.params.scopes])),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": begun.challenge,
            "code_challenge_method": "S256",
        }
        return _with(endpoint, asked), Kept(self._sealed(begun.model_dump_json()), peer.params.address)

    def finish(self, name: str, told: Mapping[str, str], kept: str) -> tuple[Kept, str]:
        """The secret that a browser shows from now on that came back, and where it goes on.

        Args:
            name: the provider at whose address it came back.
            told: what the provider had it say.
            kept: what it kept.

        Raises:
            NotSignedIn, Forbidden, Unreachable, ConfigurationError: with why nobody is let in; the trail tells it too.
            Throttled: if others wait for the provider already; what the browser keeps is good until then.
        """
        begun = self._opened(name, told.get("state", ""), kept)
        identity: Identity | None = None
        try:
            with self._asking(name) as peer:
                code = _code(peer, told)
                tokens = peer.redeem(code, begun.verifier)
                claims = peer.claims(tokens.id_token)
                expected = Expected(peer.params.issuer, peer.params.client_id, begun.nonce)
                subject = expected.subject(claims, self._engine.now())
                identity = Identity(provider=name, issuer=peer.params.issuer, subject=subject)
                claims = peer.more_claims(tokens, claims)
            person = peer.params.mapped.person(claims)

            def still(unit: UnitOfWork) -> None:
                if stored_params(unit, name) != peer.params:
                    raise NotSignedIn(f"{peer.params.title} was set up anew at this moment.", hint="Sign in again.")

            secret = sign_in_vouched(self._engine, identity, *person, still)
            return Kept(secret, peer.params.address), begun.wanted
        except Throttled:
            raise
        except CertwrightError as error:
            self._note(name, identity, error)
            raise

    def way_out(self, name: str) -> tuple[str, str] | None:
        """The provider's title, and where a browser goes to sign out there; None if the provider has no such address.

        Raises:
            NotFound, ConfigurationError, Unreachable, Throttled: as `begin`.
        """
        with self._asking(name) as peer:
            endpoint = peer.end_session_endpoint
        if endpoint is None:
            return None
        asked = {
            "client_id": peer.params.client_id,
            "post_logout_redirect_uri": after_sign_out(peer.params.address),
            "state": self._sealed(name),
        }
        return peer.params.title, _with(endpoint, asked)

    def came_out(self, state: str) -> str:
        """The title of the provider that sends a browser back after it signed out there; empty if none does."""
        try:
            name = self._unsealed(state)
            return provider_params(self._engine, name).title
        except (InvalidToken, NotFound, ConfigurationError):
            return ""

    def _note(self, name: str, identity: Identity | None, error: CertwrightError) -> None:
        with self._engine.store.write() as unit:
            if identity and isinstance(error, Forbidden):
                unit.people.refuse_vouched(identity, error.message)
            else:
                unit.people.refuse_stranger({"provider": name, "reason": error.message})

    def _opened(self, name: str, state: str, kept: str) -> _Begun:
        """What the browser kept, if it began this very sign-in a short time ago."""
        try:
            begun = _Begun.model_validate_json(self._unsealed(kept))
        except (InvalidToken, ValidationError):
            begun = None
        if begun is None or begun.provider != name or not hmac.compare_digest(begun.state.encode(), state.encode()):
            minutes = int(BEGUN_FOR.total_seconds() // 60)
            raise NotSignedIn(
                f"This browser did not begin this sign-in here, or longer than {minutes} minutes ago.",
                hint="Sign in again, in one window, beginning at the address that the provider sends you back to.",
            )
        return begun

    @contextmanager
    def _asking(self, name: str) -> Iterator[Peer]:
        """The provider, for a few at a time: strangers could have it asked, and one that is slow keeps threads.

        Raises:
            Throttled: if those few are there already; who waited for them would keep one more.
        """
        params = provider_params(self._engine, name)
        room = self._rooms.setdefault(name, threading.Semaphore(_AT_ONCE))
        if not room.acquire(blocking=False):
            raise Throttled(
                f"{params.title} is slow, and others wait for it already.",
                hint="Try again in a few seconds.",
                retry_after=_SOON,
            )
        try:
            peer = self._peers.get(name)
            if peer is None or peer.params != params or time.monotonic() - peer.since > _PEERS_SECONDS:
                peer = self._peers[name] = Peer.of(self._engine, name, params)
            yield peer
        finally:
            room.release()

    def _sealed(self, text: str) -> str:
        return self._seal().encrypt_at_time(text.encode(), self._second()).decode()

    def _unsealed(self, text: str) -> str:
        """What was sealed a short time ago.

        Raises:
            InvalidToken: if nothing was.
        """
        seconds = int(BEGUN_FOR.total_seconds())
        return self._seal().decrypt_at_time(text.encode(), seconds, self._second()).decode()

    def _seal(self) -> Fernet:
        """What seals and opens what browsers keep, on all nodes."""
        with self._engine.store.read() as unit:
            key = unit.secrets.find(_KEY)
        if key is None:
            with self._engine.store.write() as unit:
                key = unit.secrets.find(_KEY)
                if key is None:
                    key = Fernet.generate_key()
                    unit.secrets.put(_KEY, key)
        return Fernet(key)

    def _second(self) -> int:
        return int(self._engine.now().timestamp())


def _with(endpoint: str, asked: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


def _code(peer: Peer, told: Mapping[str, str]) -> str:
    """The code with which a provider sent the browser back.

    Raises:
        NotSignedIn: if another provider did (RFC 9207), or it says that it did not sign anybody in.
    """
    title, issuer = peer.params.title, told.get("iss")
    is_silent = issuer is None and not peer.metadata.authorization_response_iss_parameter_supported
    if not is_silent and issuer != peer.params.issuer:
        raise NotSignedIn(f"The answer to this sign-in is not from {title}.", hint="Sign in again.")
    if error := told.get("error"):
        words = ": ".join(each for each in (error, told.get("error_description", "")) if each)
        raise NotSignedIn(
            f"{title} did not sign you in: {ascii(words[:_SHOWN])[1:-1].rstrip('.')}.",
            hint="Sign in again; what stays refused is a matter of that provider.",
        )
    if code := told.get("code"):
        return code
    raise NotSignedIn(f"{title} sent you back without a word.", hint="Sign in again.")
