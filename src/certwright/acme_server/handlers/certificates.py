"""Certificates: download, revocation, renewal information (RFC 8555 sections 7.4.2 and 7.6, RFC 9773)."""

from http import HTTPStatus

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme_server.ca import pem
from certwright.acme_server.context import Call, Context
from certwright.acme_server.encoding import b64url_decode
from certwright.acme_server.messages import Endpoint, Request, Response, json_response, link
from certwright.acme_server.problem import ErrorType, Problem, malformed, unauthorized
from certwright.acme_server.renewal_info import certificate_identifier, overdue_window, suggested_window
from certwright.acme_server.resources import IssuedCertificate, Revocation

_CHAIN_TYPE = "application/pem-certificate-chain"
_REASONS = frozenset({0, 1, 3, 4, 5, 9})  # of RFC 5280 section 5.3.1, those a subscriber may give
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.InvalidVersion)


def download(context: Context, call: Call) -> Response:
    """The certificate with the default chain; a Link names the alternate one."""
    issued = _own(context, call)
    alternates = [link(context.url(Endpoint.ALTERNATE, issued.id), "alternate")] if issued.chains[1:] else []
    return Response(HTTPStatus.OK, pem(*issued.chains[0]), _CHAIN_TYPE, tuple(alternates))


def download_alternate(context: Context, call: Call) -> Response:
    """The same certificate with the alternate chain."""
    issued = _own(context, call)
    if not issued.chains[1:]:
        raise malformed("This certificate has one chain only.", HTTPStatus.NOT_FOUND)
    default = link(context.url(Endpoint.CERTIFICATE, issued.id), "alternate")
    return Response(HTTPStatus.OK, pem(*issued.chains[1]), _CHAIN_TYPE, (default,))


def revoke_cert(context: Context, call: Call) -> Response:
    """Section 7.6: by the ordering account, an account authorized for all names, or the certificate's key."""
    der = b64url_decode(call.document.get("certificate"), "certificate")
    reason = call.document.get("reason", 0)
    issued = _find(context, der)
    if call.by_key:
        allowed = issued.certificate.public_key() == call.key.public_key
    else:
        allowed = issued.account_id == call.owner.id or all(
            context.state.valid_authorization(call.owner, identifier, context.clock())
            for identifier in issued.identifiers
        )
    if not allowed:
        raise unauthorized("Neither this key nor this account may revoke the certificate.")
    if issued.revocation is not None:
        raise Problem(ErrorType.ALREADY_REVOKED, "The certificate is revoked already.")
    if type(reason) is not int or reason not in _REASONS:
        raise Problem(ErrorType.BAD_REVOCATION_REASON, "A subscriber may give the reasons 0, 1, 3, 4, 5 and 9.")
    issued.revocation = Revocation(context.clock(), reason)
    return Response()


def renewal_info(context: Context, request: Request) -> Response:
    """RFC 9773 section 4: the window set by the operator, else one in the past for a revoked certificate."""
    _, certificate_id = request.endpoint_and_id
    if certificate_id.count(".") != 1:
        raise malformed("The path does not end in the identifier of a certificate.")
    issued = context.state.find_issued(certificate_id)
    if issued is None:
        raise malformed("This server issued no such certificate.", HTTPStatus.NOT_FOUND)
    window = context.state.windows.get(certificate_id)
    if window is None and issued.revocation is not None:
        window = overdue_window(context.clock())
    window = window or suggested_window(issued.certificate)
    return json_response(window.as_json(), ("Retry-After", str(context.config.renewal_info_retry_after)))


def _own(context: Context, call: Call) -> IssuedCertificate:
    call.require_empty()
    issued = context.state.issued.get(call.resource_id)
    if issued is None:
        raise malformed("There is no such certificate.", HTTPStatus.NOT_FOUND)
    if issued.account_id != call.owner.id:
        raise unauthorized("This is another account's certificate.")
    return issued


def _find(context: Context, der: bytes) -> IssuedCertificate:
    try:
        certificate_id = certificate_identifier(x509.load_der_x509_certificate(der))
    except _UNREADABLE as error:
        raise malformed("certificate is not a certificate in DER.") from error
    issued = context.state.find_issued(certificate_id)
    if issued is None or issued.certificate.public_bytes(Encoding.DER) != der:
        raise malformed("This server did not issue the certificate.", HTTPStatus.NOT_FOUND)
    return issued
