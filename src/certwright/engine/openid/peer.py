"""One OpenID provider, as it is asked: its documents and keys, which are kept for a while, and tokens for a code."""

import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import quote_plus, urlsplit

from pydantic import AfterValidator, BaseModel, Field

from certwright.domain.errors import ConfigurationError, NotSignedIn, Unreachable
from certwright.domain.openid import Claims, values_of
from certwright.domain.proxy import Proxy
from certwright.engine.context import Engine
from certwright.engine.openid.params import ProviderParams, guarded, redirect_uri
from certwright.engine.openid.signature import JwkSet, KeyMissing, Keys
from certwright.engine.outbound import proxy_for
from certwright.rest import Answer, Api
from certwright.sdk.params import hide_secrets

_OK = 200
_DOCUMENT = "/.well-known/openid-configuration"
_KEYS_AGAIN_SECONDS = 30
_SILENT_SECONDS = 10
_SHOWN = 200
_UNKNOWN_CLIENT = ("invalid_client", "unauthorized_client")
_NO_CODE = ("invalid_grant", "invalid_request", "invalid_code")
_PER_SECOND = 50
_Guarded = Annotated[str, AfterValidator(guarded)]


class _Asked(Api):
    """A person waits: nothing is tried twice, and a code counts once anyway."""

    pauses: ClassVar[tuple[float, ...]] = ()
    timeout: ClassVar[float] = 10.0


class Metadata(BaseModel):
    """What a provider tells of itself (OpenID Connect Discovery section 3, RFC 8414, RFC 9207)."""

    issuer: str
    authorization_endpoint: _Guarded
    token_endpoint: _Guarded
    jwks_uri: _Guarded
    userinfo_endpoint: _Guarded | None = None
    end_session_endpoint: str | None = None
    token_endpoint_auth_methods_supported: list[str] = Field(default=["client_secret_basic"])
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


class Tokens(BaseModel):
    """What a code is worth (OpenID Connect Core section 3.1.3.3)."""

    id_token: str = Field(repr=False)
    access_token: str = Field(default="", pattern=r"^[!-~]*$", repr=False)


@dataclass
class Peer:
    """One provider, for several threads; what it said of itself is kept as long as this is."""

    name: str
    params: ProviderParams
    proxy: Proxy | None
    since: float = field(default_factory=time.monotonic)
    _told: Metadata | None = field(default=None, init=False, repr=False)
    _silence: tuple[float, Unreachable] | None = field(default=None, init=False, repr=False)
    _shown: Keys | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(cls, engine: Engine, name: str, params: ProviderParams) -> Self:
        """The provider, by the way that it is reached."""
        return cls(name, params, proxy_for(engine, params))

    @property
    def redirect_uri(self) -> str:
        """Where it sends browsers back to."""
        return redirect_uri(self.name, self.params.address)

    @property
    def end_session_endpoint(self) -> str | None:
        """Where browsers end what they are signed in as at the provider; None if it names no address for that.

        One to which nobody should be sent counts as none: it is not needed to sign in.

        Raises:
            Unreachable, ConfigurationError: as `metadata`.
        """
        try:
            return guarded(self.metadata.end_session_endpoint or "")
        except ValueError:
            return None

    @property
    def metadata(self) -> Metadata:
        """What it tells of itself.

        Raises:
            Unreachable: if it does not answer, or not as it must; or did not a moment ago.
            ConfigurationError: if it is another one than was meant.
        """
        if self._told:
            return self._told
        if (silence := self._silence) and time.monotonic() - silence[0] < _SILENT_SECONDS:
            raise Unreachable(silence[1].message, causes=silence[1].causes, hint=silence[1].hint)
        try:
            self._told = self._described()
        except Unreachable as error:
            kept = Unreachable(error.message, causes=error.causes, hint=error.hint)  # without what its frames hold
            self._silence = time.monotonic(), kept
            raise
        return self._told

    def _described(self) -> Metadata:
        answer = self._ask("GET", self.params.issuer.rstrip("/") + _DOCUMENT)
        if answer.status != _OK:
            raise Unreachable(
                f"{answer.asked} answered {answer.status}, where the provider should describe itself.",
                hint=f"Look up how the provider writes its issuer: with {_DOCUMENT} behind it, a browser shows a page.",
            )
        found = answer.read(Metadata)
        if found.issuer != self.params.issuer:
            raise ConfigurationError(
                f"The provider calls itself {found.issuer[:_SHOWN]!r}, and not {self.params.issuer!r}.",
                hint="Write the issuer exactly as the provider does, slashes included.",
            )
        return found

    def claims(self, token: str) -> Claims:
        """What a token says that this provider signed.

        Raises:
            NotSignedIn: if it did not.
            Unreachable: if its keys cannot be read.
        """
        keys = self._shown = self._shown or self._keys()
        try:
            return keys.verified(token)
        except KeyMissing as error:
            if time.monotonic() - keys.since < _KEYS_AGAIN_SECONDS:
                raise NotSignedIn(error.message, hint=error.hint) from None
        self._shown = self._keys()
        return self._shown.verified(token)

    def _keys(self) -> Keys:
        answer = self._ask("GET", self.metadata.jwks_uri)
        if answer.status != _OK:
            raise Unreachable(f"{answer.asked} answered {answer.status}, where the provider should show its keys.")
        return Keys.of(answer.read(JwkSet))

    def redeem(self, code: str, verifier: str) -> Tokens:
        """The tokens for a code.

        Raises:
            NotSignedIn: if the provider gives none, with its words.
            Unreachable: if it does not answer, or not as it must.
        """
        answer = self._exchange(code, verifier)
        if answer.is_success:
            return answer.read(Tokens)
        if answer.words("error") in _UNKNOWN_CLIENT:
            raise NotSignedIn(
                f"{self.params.title} does not know this installation: {self._words(answer)}.",
                hint="An administrator tests the provider under People & tokens: its client ID or secret is wrong.",
            )
        raise NotSignedIn(
            f"{self.params.title} did not complete the sign-in: {self._words(answer)}.", hint="Sign in again."
        )

    def more_claims(self, tokens: Tokens, claims: Claims) -> Claims:
        """Those of the token and, where some that are wanted are not among them, of the userinfo endpoint too.

        Raises:
            NotSignedIn: if that tells of somebody else.
            Unreachable: if it does not answer as it must.
        """
        endpoint = self.metadata.userinfo_endpoint
        is_whole = all(values_of(claims, name) for name in self.params.mapped.claims)
        if endpoint is None or not tokens.access_token or is_whole:
            return claims
        answer = self._ask("GET", endpoint, headers={"Authorization": f"Bearer {tokens.access_token}"})
        if answer.status != _OK:
            raise Unreachable(f"{answer.asked} answered {answer.status}, where the provider should tell who you are.")
        told = answer.read(dict[str, Any])
        if told.get("sub") != claims["sub"]:
            raise NotSignedIn("The provider's userinfo endpoint tells of somebody else.", hint="Sign in again.")
        return {**told, **claims}

    def judge(self) -> str:
        """What can be seen of it without a person.

        Raises:
            CertwrightError: with what does not work, and what to do.
        """
        found, count = self.metadata, len(self._keys().keys)
        if not count:
            raise Unreachable(
                "The provider shows no key with which a token could be proved.",
                hint="Have it sign ID tokens with RSA, elliptic curves or Ed25519, and not with the client secret.",
            )
        said = [f"{self.params.issuer} answers, and shows {count} key{'s' if count > 1 else ''}."]
        methods = found.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            said.append("It does not say that it knows PKCE with S256, which is used anyway.")
        return " ".join([*said, self._judge_client()])

    def _judge_client(self) -> str:
        """A code that is none is refused in other words than a client that is none (RFC 6749 section 5.2)."""
        answer = self._exchange(secrets.token_urlsafe(), secrets.token_urlsafe(32))
        error = answer.words("error")
        if error in _UNKNOWN_CLIENT:
            raise ConfigurationError(
                f"The provider does not take the client ID, or its secret: {self._words(answer)}.",
                hint=f"Compare both with what it shows of the client; the redirect URI there is {self.redirect_uri}",
            )
        if error in _NO_CODE:
            return "It takes the client."
        return f"Whether it takes the client shows at the first sign-in: it answered {self._words(answer)}."

    def _exchange(self, code: str, verifier: str) -> Answer:
        """Ask for the tokens of a code, as the client that the provider knows (RFC 6749 section 2.3.1, RFC 7636).

        Some take the secret in one of two ways alone, or read odd characters in the first one otherwise than was meant.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        client, secret = self.params.client_id, self.params.client_secret
        endpoint, known = self.metadata.token_endpoint, secret.get_secret_value() if secret else ""
        named = {**form, "client_id": client}
        if not known:
            return self._ask("POST", endpoint, form=named)
        pair = f"{quote_plus(client)}:{quote_plus(known)}".encode()
        basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        ways = {"client_secret_basic": (form, basic), "client_secret_post": ({**named, "client_secret": known}, {})}
        able = [way for way in ways if way in self.metadata.token_endpoint_auth_methods_supported]
        answer = self._ask("POST", endpoint, *ways[able[0] if able else "client_secret_basic"])
        if answer.words("error") in _UNKNOWN_CLIENT and len(able) > 1:
            return self._ask("POST", endpoint, *ways[able[1]])
        return answer

    def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        with _Asked(origin, per_second=_PER_SECOND, ca_file=self.params.ca_file, proxy=self.proxy) as api:
            return api.request(method, url.removeprefix(origin), form=form, headers=headers)

    def _words(self, answer: Answer) -> str:
        told = [answer.words("error"), answer.words("error_description")]
        words = ": ".join(each for each in told if each) or f"{answer.asked} answered {answer.status}"
        return ascii(hide_secrets(self.params, words)[:_SHOWN])[1:-1].rstrip(".")
