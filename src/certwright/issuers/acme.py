"""Any ACME authority (RFC 8555): Let's Encrypt, ZeroSSL, Google, step-ca, a company's own.

The account is found by its key if the authority knows it already. An authority inside the house usually has a root of
its own: give it as `ca_file`; names that exist only inside networks are then allowed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field, field_validator

from certwright import __version__
from certwright.acme import account, certificate, flow, problem, renewal_info
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.errors import (
    AcmeError,
    CertificateMismatch,
    ConnectionFailed,
    DeadlineExceeded,
    NotTrusted,
    OrderInvalid,
    RateLimited,
    ServerProblem,
    TLSFailed,
    TransportError,
    UnexpectedAnswer,
)
from certwright.acme.identifier import Identifier as AcmeIdentifier
from certwright.acme.jws import SigningKey
from certwright.acme.problem import Problem
from certwright.domain import identifiers
from certwright.domain.errors import ConfigurationError, IssuanceError, OrderDead, Unreachable
from certwright.domain.identifiers import IdentifierType
from certwright.domain.managed import IssuerCapabilities
from certwright.sdk.issuer import IssueRequest, IssuerPlugin, Registration, RenewalWindow, Solve
from certwright.sdk.params import ExistingFile
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.solver import Challenge

_NOT_FOUND = 404
_NO_DIRECTORY = frozenset({400, 401, 403, 404, 405, 410})
_FINAL = frozenset({problem.BAD_CSR, problem.BAD_PUBLIC_KEY})  # the order keeps its request, and so its refusal
_REACH_SECONDS = 10.0  # a wrong address is told soon; once the authority has answered, it is waited for
_ELSEWHERE = (
    "Something else answered for the name: check that it points here, and which web server or balancer is before it."
)
_HINTS = {
    problem.CAA: "A CAA record in DNS forbids this authority: add its name to the record, or choose another authority.",
    problem.CONNECTION: "The authority could not connect: TCP port 80 must be open from the internet to this listener, "
    "on every address the name has in DNS (also IPv6).",
    problem.DNS: "The name could not be resolved: check its A or AAAA record, and that its DNS servers answer.",
    problem.UNAUTHORIZED: _ELSEWHERE,
    problem.INCORRECT_RESPONSE: _ELSEWHERE,
    problem.TLS: "The authority met broken TLS: a redirect to https leads it to a certificate or port that fails.",
    problem.RATE_LIMITED: "Wait: trying again sooner only counts against you.",
    problem.REJECTED_IDENTIFIER: "This authority does not issue for this name: read its policy, or choose another.",
    problem.UNSUPPORTED_IDENTIFIER: "This authority does not issue for names of this kind: choose another authority.",
    problem.BAD_PUBLIC_KEY: "The authority does not accept this key: choose another one or another --key.",
    problem.BAD_CSR: "The authority does not sign such a request: another --key, or a plainer request, may do.",
    problem.SERVER_INTERNAL: "The fault is the authority's own: look at its status page, and try again later.",
    problem.EXTERNAL_ACCOUNT_REQUIRED: "The authority wants an external account: give --eab-kid and --eab-key-file.",
    problem.USER_ACTION_REQUIRED: "Visit the page that the authority names, agree there, then try again.",
    problem.ACCOUNT_DOES_NOT_EXIST: "The authority forgot this account: add the issuer again under another name.",
    problem.INVALID_CONTACT: "Give an e-mail address that exists.",
}


class Params(PluginParams):
    """Parameters of an ACME issuer."""

    directory: str = Field(description="Address of the authority's directory; it begins with https://.")
    email: str = Field(description="Where the authority may write to.")
    ca_file: ExistingFile | None = Field(
        None, description="PEM file with the root of the authority's own https certificate."
    )
    agree_tos: bool = Field(False, description="You agree to the authority's terms of service.")

    @field_validator("directory")
    @classmethod
    def _is_https(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname or parts.port == 0:
            raise ValueError("the directory's address must be https://HOST/...")
        if parts.username is not None:
            raise ValueError("the directory's address must hold no user name or password")
        return value

    @field_validator("email")
    @classmethod
    def _is_mail(cls, value: str) -> str:
        name, at, host = value.rpartition("@")
        if not (at and name and "." in host) or any(c.isspace() or c in ",?" for c in value):
            raise ValueError("that is not an e-mail address")
        return value


class AcmeIssuer(IssuerPlugin[Params]):
    """An account at an ACME authority."""

    Params: ClassVar[type[PluginParams]] = Params

    @classmethod
    def new_account_key(cls) -> bytes:
        """A fresh ES256 key."""
        return SigningKey.generate().to_pem()

    def register(self, eab: tuple[str, bytes] | None) -> Registration:
        """Make or find the account of this key."""
        with self._client("The account could not be registered") as client:
            directory = client.directory()
            if directory.meta.terms_of_service and not self.params.agree_tos:
                raise ConfigurationError(
                    f"The authority asks you to agree to its terms of service: {directory.meta.terms_of_service}",
                    hint="Read them and add --agree-tos.",
                )
            if directory.meta.external_account_required and eab is None:
                raise ConfigurationError(
                    "The authority wants an external account binding.", hint="Give --eab-kid and --eab-key-file."
                )
            made = account.register(
                client,
                contact=[f"mailto:{self.params.email}"],
                agree_to_terms=self.params.agree_tos,
                external_account=_external_account(eab),
            )
            profiles = dict(directory.meta.profiles)
        return Registration({"url": made.url}, IssuerCapabilities(profiles=profiles))

    def find_account(self) -> None:
        """See that the authority answers and knows the account."""
        with self._client("The account could not be looked up") as client:
            found = account.find(client)
            if found is None or found.status != "valid":
                state = found.status if found else "unknown to the authority"
                raise IssuanceError(f"The account is {state}.", hint="Add the issuer again under another name.")

    def obtain(
        self, request: IssueRequest, solve: Solve, on_order: Callable[[str], None]
    ) -> tuple[x509.Certificate, ...]:
        """The chain, leaf first; `request.order_url` is gone on with."""
        try:
            with self._client("The authority did not issue the certificate") as client:
                obtained = flow.obtain(
                    client,
                    [AcmeIdentifier(i.type, i.value) for i in request.identifiers],
                    request.csr,
                    _adapted(solve),
                    order_url=request.order_url,
                    profile=request.profile,
                    replaces=_certificate_id(request.replaces),
                    preferred_chain=request.preferred_chain,
                    on_order=on_order,
                    on_step=lambda step, detail: self.journal.note(f"{str(step).capitalize()}: {detail}"),
                )
        except IssuanceError as error:
            if _is_dead(error.__cause__, resumed=request.order_url is not None):
                raise OrderDead(
                    error.message,
                    causes=error.causes,
                    hint=error.hint,
                    retryable=error.retryable,
                    retry_after=error.retry_after,
                ) from error.__cause__
            raise
        return tuple(obtained.chain.certificates)

    def revoke(self, certificate_: x509.Certificate, reason: int) -> None:
        """Revoke by the account."""
        with self._client("The authority did not revoke the certificate") as client:
            der = certificate_.public_bytes(Encoding.DER)
            certificate.revoke(client, der, certificate.RevocationReason(reason))

    def renewal_window(self, certificate_: x509.Certificate) -> RenewalWindow | None:
        """When the authority wishes the renewal."""
        with self._client("The renewal information could not be read") as client:
            wanted = _certificate_id(certificate_)
            found = renewal_info.fetch(client, wanted) if wanted else None
        if found is None:
            return None
        again = datetime.now(UTC) + timedelta(seconds=found.retry_after)
        return RenewalWindow(found.start, found.end, found.explanation_url, again)

    @contextmanager
    def _client(self, failed: str) -> Iterator[AcmeClient]:
        """A client that has reached the authority; `failed` begins the sentence of every failure."""
        from certwright.acme.https_transport import HttpsTransport  # noqa: PLC0415 - only who connects pays for urllib3

        try:
            transport = HttpsTransport(f"certwright/{__version__}", self.params.ca_file)
        except OSError as error:
            raise ConfigurationError(
                f"{self.params.ca_file} holds no readable PEM certificate.", hint="Give the authority's root in PEM."
            ) from error
        with transport, _in_our_words(failed):
            key = SigningKey.from_pem(self.account_key)
            client = AcmeClient(
                transport, self.params.directory, key, self.account.get("url"), on_pause=self.journal.note
            )
            self._reach(client, failed)
            yield client

    def _reach(self, client: AcmeClient, failed: str) -> None:
        try:
            client.directory(client.deadline(_REACH_SECONDS))
        except (UnexpectedAnswer, ServerProblem) as error:
            if isinstance(error, ServerProblem) and error.problem.status not in _NO_DIRECTORY:
                raise
            raise IssuanceError(
                f"{failed}: {self.params.directory} is no authority's directory.",
                causes=[str(error)],
                hint="Check the directory's address: it usually ends in /directory.",
            ) from error


def _external_account(eab: tuple[str, bytes] | None) -> account.ExternalAccount | None:
    if eab is None:
        return None
    try:
        return account.ExternalAccount.from_text(eab[0], eab[1].decode("ascii"))
    except ValueError as error:
        raise ConfigurationError(
            "The EAB key is not base64url.", hint="Copy it from the authority's page exactly as it is shown."
        ) from error


def _certificate_id(predecessor: x509.Certificate | None) -> str | None:
    """The predecessor's name in RFC 9773 section 4.1, if it has one."""
    if predecessor is None:
        return None
    try:
        return renewal_info.certificate_id(predecessor)
    except ValueError:
        return None


def _adapted(solve: Solve) -> flow.Solve:
    """Our solvers behind the client's challenges."""

    @contextmanager
    def adapted(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        ours = {_challenge(answer): answer for answer in answers}
        with solve(list(ours)) as chosen:
            yield [ours[challenge] for challenge in chosen]

    return adapted


def _challenge(answer: Answer) -> Challenge:
    kind = IdentifierType(answer.identifier.type)
    return Challenge(
        identifiers.Identifier(kind, answer.identifier.value), answer.type, answer.token, answer.key_authorization
    )


@contextmanager
def _in_our_words(what: str) -> Iterator[None]:
    try:
        yield
    except AcmeError as error:
        raise _translated(what, error) from error


def _translated(what: str, error: AcmeError) -> IssuanceError | Unreachable:  # noqa: PLR0911 - one for each kind
    match error:
        case NotTrusted():
            hint = "If the authority is your own, give its root with --ca-file; else look for a proxy that opens TLS."
            return Unreachable(f"{what}: its https certificate is not trusted.", causes=[str(error)], hint=hint)
        case TLSFailed():
            hint = "Check the address and its port: what listens there may not speak TLS, or only an old TLS."
            return Unreachable(f"{what}: no TLS connection came about.", causes=[str(error)], hint=hint)
        case TransportError():
            hint = (
                "Check the address, and that this machine may connect to it."
                if isinstance(error, ConnectionFailed)
                else "Try again; if it stays, check the address and what stands between."
            )
            return Unreachable(f"{what}: it could not be reached.", causes=[str(error)], hint=hint)
        case OrderInvalid(failures=failures) if failures:
            causes = [f"{f.identifier}: {f.problem}" for f in failures]
            return IssuanceError(f"{what}.", causes=causes, hint=_hint(failures[0].problem))
        case OrderInvalid(problem=told) if told:
            return IssuanceError(f"{what}.", causes=[str(told)], hint=_hint(told))
        case RateLimited():
            wait = timedelta(seconds=error.retry_after) if error.retry_after else None
            when = f" It may be tried again in {wait}." if wait else ""
            return IssuanceError(
                f"{what}: a rate limit.{when}",
                causes=[str(error), *error.links],
                hint=_HINTS[problem.RATE_LIMITED],
                retryable=True,
                retry_after=wait,
            )
        case ServerProblem():
            return IssuanceError(f"{what}.", causes=[str(error), *error.links], hint=_hint(error.problem))
        case DeadlineExceeded():
            return IssuanceError(
                f"{what} in time.", causes=[str(error)], hint="The next run resumes it.", retryable=True
            )
        case _:
            return IssuanceError(f"{what}.", causes=[str(error)])


def _hint(told: Problem) -> str:
    """What to do: about the problem itself, or about the first of its parts that is known."""
    return next((_HINTS[each.type] for each in (told, *told.subproblems) if each.type in _HINTS), "")


def _is_dead(cause: BaseException | None, *, resumed: bool) -> bool:
    """Whether the order itself can never succeed; `resumed` if an earlier run began it."""
    match cause:
        case OrderInvalid() | CertificateMismatch():
            return True
        case ServerProblem(problem=told):
            return told.type in _FINAL or (resumed and told.status == _NOT_FOUND)
        case _:
            return False
