"""Who signed a certificate that is not trusted: told to people, so that they see who stands in the way."""

import socket
import ssl
from contextlib import suppress

from cryptography import x509

from certwright.acme.text import printable

_SHOWN = 200


def signer(plain: socket.socket, host: str) -> str:
    """The issuer of the certificate that is presented over a new connection, which is closed; empty if none is seen.

    Nothing is asked over it, since nobody knows who answers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with suppress(OSError, ValueError), plain, context.wrap_socket(plain, server_hostname=host) as connection:
        if presented := connection.getpeercert(binary_form=True):
            return printable(x509.load_der_x509_certificate(presented).issuer.rfc4514_string())[:_SHOWN]
    return ""
