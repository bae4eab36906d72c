"""Any ACME authority (RFC 8555): Let's Encrypt, ZeroSSL, Google, step-ca, a company's own.

Those that `certwright issuer authorities` lists need no address: `--authority letsencrypt` is enough. The account is
found by its key if the authority knows it already. An authority inside the house usually has a root of its own: give it
as `ca_file`; names that exist only inside networks are then allowed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import Field, field_validator, model_validator

from certwright import __version__
from certwright.acme import account, certificate, flow, problem, renewal_info
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.directory import Directories, Directory
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
from certwright.acme.transport import Transport
from certwright.domain import authorities, identifiers
from certwright.domain.advice import Window
from certwright.domain.authorities import Authority
from certwright.domain.errors import (
    AuthorityAway,
    AuthorityFailed,
    CertwrightError,
    ConfigurationError,
    IssuanceError,
    LimitReached,
    NotProved,
    NotReplaced,
    OrderDead,
    Rejection,
    Unfinished,
    Unreachable,
)
from certwright.domain.identifiers import IdentifierType
from certwright.domain.managed import IssuerCapabilities
from certwright.domain.web_address import web_parts
from certwright.rest.proxied import in_the_way
from certwright.sdk.issuer import Asked, IssueRequest, IssuerPlugin, Registration, Solve
from certwright.sdk.params import ExistingFile, MailAddress
from certwright.sdk.proxy import ProxiedParams
from certwright.sdk.solver import Challenge

_NOT_FOUND = 404
_NO_DIRECTORY = frozenset({400, 401, 403, 404, 405, 410})
_OWN_FAULT = 500
_FINAL = frozenset({problem.BAD_CSR, problem.BAD_PUBLIC_KEY})  # the order keeps its request, and so its refusal
_directories: WeakKeyDictionary[Transport, Directories] = WeakKeyDictionary()
_REACH_SECONDS = 10.0  # a wrong address is told soon; once the authority has answered, it is waited for
_ELSEWHERE = (
    "Something else answered for the name: check that it points here, and which web server or balancer is before it."
)
_FAULT = "The fault is the authority's own: look at its status page, and try again later."
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
    problem.SERVER_INTERNAL: _FAULT,
    problem.EXTERNAL_ACCOUNT_REQUIRED: "The authority wants an external account: give --eab-kid and --eab-key-file.",
    problem.USER_ACTION_REQUIRED: "Visit the page that the authority names, agree there, then try again.",
    problem.ACCOUNT_DOES_NOT_EXIST: "The authority forgot this account: add the issuer again under another name.",
    problem.INVALID_CONTACT: "Give an e-mail address that exists.",
}


class Params(ProxiedParams):
    """Parameters of an ACME issuer."""

    authority: str | None = Field(
        None,
        description="One that is known by its name, for example letsencrypt; custom for any other.",
        json_schema_extra={"choices": [each.name for each in authorities.CATALOGUE]},
    )
    directory: str = Field("", description="Address of the authority's directory, if it is not known by its name.")
    email: MailAddress = Field(description="Where the authority may write to.")
    ca_file: ExistingFile | None = Field(
        None, description="PEM file with the root of the authority's own https certificate."
    )
    agree_tos: bool = Field(False, description="You agree to the authority's terms of service.")

    @model_validator(mode="before")
    @classmethod
    def _has_a_directory(cls, values: dict[str, Any]) -> dict[str, Any]:
        chosen = authorities.named(str(values["authority"])) if values.get("authority") else authorities.CUSTOM
        directory = values.get("directory") or chosen.directory
        if directory:
            return {**values, "directory": directory}
        raise ConfigurationError(
            f"Where is the authority ({chosen.title})? Its directory was not given.",
            causes=["directory: is needed, but missing"],
            hint=f"{chosen.note} Give --directory https://..., or --authority with one that is known: "
            "`certwright issuer authorities` lists them.".lstrip(),
        )

    @field_validator("directory")
    @classmethod
    def _is_https(cls, value: str) -> str:
        parts = web_parts(value)
        authorities.refuse_gone(parts.hostname or "")
        if parts.scheme != "https":
            raise ValueError("the directory's address must be https://HOST/...")
        return value


class AcmeIssuer(IssuerPlugin[Params]):
    """An account at an ACME authority."""

    Params: ClassVar[type[ProxiedParams]] = Params
    account_params = frozenset({"authority", "directory", "email", "agree_tos"})

    @classmethod
    def new_account_key(cls) -> bytes:
        """A fresh ES256 key."""
        return SigningKey.generate().to_pem()

    def register(self, eab: tuple[str, bytes] | None) -> Registration:
        """Make or find the account of this key."""
        with self._client("The account could not be registered") as client:
            directory = client.directory()
            asked = self._asked(directory)
            if asked.terms and not self.params.agree_tos:
                raise ConfigurationError(
                    f"The authority asks you to agree to its terms of service: {asked.terms}",
                    hint="Read them and add --agree-tos.",
                )
            if eab is None and asked.external_account:
                raise ConfigurationError(
                    f"The authority ({self._known.title}) wants an external account binding.",
                    hint=f"{asked.where} Then give --eab-kid and --eab-key-file.",
                )
            made = account.register(
                client,
                contact=[f"mailto:{self.params.email}"],
                agree_to_terms=self.params.agree_tos,
                external_account=_external_account(eab),
            )
        return Registration({"url": made.url}, self._said(directory))

    def asked(self) -> Asked:
        """What the directory, or the catalogue, says that is asked for."""
        with self._client("The authority could not be asked what it wants") as client:
            return self._asked(client.directory())

    def _asked(self, directory: Directory) -> Asked:
        known = self._known
        return Asked(
            directory.meta.terms_of_service or "",
            directory.meta.external_account_required or bool(known.external_account),
            known.external_account or "Ask whoever runs the authority for a key id and a MAC key.",
        )

    def capabilities(self) -> IssuerCapabilities:
        """What the directory says now."""
        with self._client("The directory could not be read") as client:
            return self._said(client.directory())

    @property
    def _known(self) -> Authority:
        return authorities.of(self.params.model_dump())

    def _said(self, directory: Directory) -> IssuerCapabilities:
        identities = directory.meta.caa_identities or self._known.caa_identities
        return IssuerCapabilities(profiles=dict(directory.meta.profiles), caa_identities=identities)

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
                    on_step=self._stepped,
                )
        except NotProved:
            raise
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

    def _stepped(self, step: flow.Step, detail: str) -> None:
        """Tell of a step; an order that is refused as a renewal counts as another kind, and is not placed unasked."""
        self.journal.note(f"{str(step).capitalize()}: {detail}")
        if step is flow.Step.REPLACES_REFUSED:
            raise NotReplaced("The authority does not take it for a renewal.", causes=[detail])

    def revoke(self, certificate_: x509.Certificate, reason: int) -> None:
        """Revoke by the account."""
        with self._client("The authority did not revoke the certificate") as client:
            der = certificate_.public_bytes(Encoding.DER)
            certificate.revoke(client, der, certificate.RevocationReason(reason))

    def renewal_window(self, certificate_: x509.Certificate) -> Window | None:
        """When the authority wishes the renewal."""
        wanted = _certificate_id(certificate_)
        if wanted is None:
            return None
        with self._client("The renewal information could not be read", remembers=True) as client:
            found = renewal_info.fetch(client, wanted, client.deadline(_REACH_SECONDS))
        if found is None:
            return None
        return Window(found.start, found.end, found.explanation_url, timedelta(seconds=found.retry_after))

    @contextmanager
    def _client(self, failed: str, *, remembers: bool = False) -> Iterator[AcmeClient]:
        """A client that has reached the authority, or `remembers` what its directory said to an earlier one.

        `failed` begins the sentence of every failure.
        """
        from certwright.acme.https_transport import shared  # noqa: PLC0415 - only who connects pays for it

        try:
            transport = shared(f"certwright/{__version__}", self.params.ca_file, self.proxy)
        except OSError as error:
            files = " or ".join(str(f) for f in (self.params.ca_file, self.proxy and self.proxy.roots) if f)
            raise ConfigurationError(
                f"{files} holds no readable PEM certificate.",
                hint="Give the authority's root in PEM, and the proxy's if that opens TLS.",
            ) from error
        with _in_our_words(failed):
            key = SigningKey.from_pem(self.account_key)
            known = _directories.setdefault(transport, {}) if remembers else {}
            client = AcmeClient(
                transport,
                self.params.directory,
                key,
                self.account.get("url"),
                on_pause=self.journal.note,
                directories=known,
            )
            self._reach(client, failed)
            try:
                yield client
            except AcmeError:
                known.pop(self.params.directory, None)  # the next one sees first whether it is there
                raise

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
        with solve(list(ours)) as chosen, _proved_or_told():
            yield [ours[challenge] for challenge in chosen]

    return adapted


def _name(base: str, *, wildcard: bool) -> str:
    return f"*.{base}" if wildcard else base


def _challenge(answer: Answer) -> Challenge:
    name = _name(answer.identifier.value, wildcard=answer.wildcard)
    identifier = identifiers.Identifier(IdentifierType(answer.identifier.type), name)
    return Challenge(
        identifier=identifier,
        type=answer.type,
        token=answer.token,
        key_authorization=answer.key_authorization,
        issuer_domain_names=answer.challenge.issuer_domain_names,
        account_uris=answer.account_uris,
    )


@contextmanager
def _proved_or_told() -> Iterator[None]:
    """What the authority says of the proofs, in our words while they still stand."""
    try:
        yield
    except OrderInvalid as error:
        rejections = [
            Rejection(_name(f.identifier.value, wildcard=f.wildcard), f.challenge, f.problem.name, str(f.problem))
            for f in error.failures
        ]
        told = _translated("The authority did not issue the certificate", error)
        raise NotProved(told.message, rejections, causes=told.causes, hint=told.hint) from error


@contextmanager
def _in_our_words(what: str) -> Iterator[None]:
    try:
        yield
    except AcmeError as error:
        raise _translated(what, error) from error


def _translated(what: str, error: AcmeError) -> CertwrightError:  # noqa: PLR0911 - one for each kind
    match error:
        case TransportError() if through := in_the_way(what, error):
            return through
        case NotTrusted():
            return _not_trusted(what, error)
        case TLSFailed():
            hint = "Check the address and its port: what listens there may not speak TLS, or only an old TLS."
            return AuthorityAway(f"{what}: no TLS connection came about.", causes=[str(error)], hint=hint)
        case TransportError():
            hint = (
                "Check the address, and that this machine may connect to it."
                if isinstance(error, ConnectionFailed)
                else "Try again; if it stays, check the address and what stands between."
            )
            return AuthorityAway(f"{what}: it could not be reached.", causes=[str(error)], hint=hint)
        case OrderInvalid(failures=failures) if failures:
            causes = [f"{f.identifier}: {f.problem}" for f in failures]
            return IssuanceError(f"{what}.", causes=causes, hint=_hint(failures[0].problem))
        case OrderInvalid(problem=told) if told:
            return IssuanceError(f"{what}.", causes=[str(told)], hint=_hint(told))
        case ServerProblem():
            return _refused(what, error)
        case UnexpectedAnswer():
            return AuthorityFailed(f"{what}: its answer makes no sense.", causes=[str(error)], hint=_FAULT)
        case DeadlineExceeded():
            return Unfinished(f"{what} in time.", causes=[str(error)], hint="The next run resumes it.")
        case _:
            return IssuanceError(f"{what}.", causes=[str(error)])


def _not_trusted(what: str, error: NotTrusted) -> Unreachable:
    if error.signer:
        told = f"its https certificate is signed by {error.signer}, which is not trusted here."
        hint = (
            "A proxy on the way seems to open TLS to look inside, or the authority is your own. Give the root of that "
            "signer, in PEM, with --ca-file; or have the proxy let the authority through untouched."
        )
    else:
        told = "its https certificate is not trusted."
        hint = "Check the address and the clock of this machine: the line above says what is wrong with it."
    return Unreachable(f"{what}: {told}", causes=[str(error)], hint=hint, retryable=not error.signer)


def _refused(what: str, error: ServerProblem) -> IssuanceError:
    told, causes = error.problem, [str(error), *error.links]
    wait = timedelta(seconds=error.retry_after) if error.retry_after else None
    when = f" It may be tried again in {wait}." if wait else ""
    if isinstance(error, RateLimited):
        hint = _HINTS[problem.RATE_LIMITED]
        return LimitReached(f"{what}: a rate limit.{when}", causes=causes, hint=hint, retry_after=wait)
    if told.type == problem.SERVER_INTERNAL or (told.status or 0) >= _OWN_FAULT:
        return AuthorityFailed(f"{what}.{when}", causes=causes, hint=_HINTS[problem.SERVER_INTERNAL], retry_after=wait)
    return IssuanceError(f"{what}.", causes=causes, hint=_hint(told))


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
