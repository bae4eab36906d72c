"""Messages sealed by the security context that signed the connection in ([MS-WSMV] 2.2.9.1).

A sealed message is a multipart body whose parts have no blank line after their headers: a description with the length
of the plain text, then a 32-bit length (little endian), a signature of that length, and the cipher text.
"""

import re
import struct

import spnego

_HEADER = re.compile(
    r'multipart/encrypted;protocol="application/HTTP-([\w-]+)-session-encrypted";boundary="([^"]{1,70})"'
)
_DESCRIPTION = re.compile(
    rb"-- ?([^\r\n]{1,70})\r\n\tContent-Type: application/HTTP-([\w-]+)-session-encrypted\r\n"
    rb"\tOriginalContent: type=application/soap\+xml;charset=(?i:utf-8);Length=(\d{1,8})\r\n"
    rb"-- ?\1\r\n\tContent-Type: application/octet-stream\r\n"
)
_BOUNDARY = "Encrypted Boundary"


class Unreadable(ValueError):
    """The bytes are no sealed message, or not one of this context's."""


def is_sealed(content_type: str) -> bool:
    """Whether a body with this header says that it is sealed."""
    return content_type.lower().startswith("multipart/encrypted")


def content_type(protocol: str) -> str:
    """The header of a sealed body.

    Args:
        protocol: ``SPNEGO`` or ``Kerberos``, after the scheme that signed the connection in.
    """
    return f'multipart/encrypted;protocol="application/HTTP-{protocol}-session-encrypted";boundary="{_BOUNDARY}"'


def seal(message: bytes, context: spnego.ContextProxy, protocol: str, dashes: str = "--") -> bytes:
    """A sealed body.

    Args:
        message: A SOAP envelope in UTF-8.
        context: Signed in.
        protocol: As for `content_type`.
        dashes: What precedes a boundary: two hyphens; Exchange's front end puts a space after them.
    """
    sealed = context.wrap_winrm(message)
    description = (
        f"{dashes}{_BOUNDARY}\r\n"
        f"\tContent-Type: application/HTTP-{protocol}-session-encrypted\r\n"
        f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(message) + sealed.padding_length}\r\n"
        f"{dashes}{_BOUNDARY}\r\n"
        "\tContent-Type: application/octet-stream\r\n"
    )
    signed = struct.pack("<I", len(sealed.header)) + sealed.header + sealed.data
    return description.encode() + signed + f"{dashes}{_BOUNDARY}--\r\n".encode()


def unseal(body: bytes, header: str, context: spnego.ContextProxy, protocol: str) -> bytes:
    """The plain text of a sealed body.

    Args:
        body: What was sent.
        header: Its Content-Type.
        context: Signed in.
        protocol: As for `content_type`.

    Raises:
        Unreadable: It is malformed, of another protocol, or its signature is wrong.
    """
    declared, description = _HEADER.fullmatch(header), _DESCRIPTION.match(body)
    if declared is None or description is None:
        raise Unreadable("the framing is not that of a sealed message")
    if {declared[1], description[2].decode()} != {protocol} or declared[2].encode() != description[1]:
        raise Unreadable("header and body are of different protocols or boundaries")
    start = description.end()
    signature_start = start + 4
    data_start = signature_start + int.from_bytes(body[start:signature_start], "little")
    end = data_start + int(description[3])
    if not re.fullmatch(rb"-- ?" + re.escape(description[1]) + rb"--(\r\n)?", body[end:]):
        raise Unreadable("the lengths do not fit the body")
    try:
        return bytes(context.unwrap_winrm(body[signature_start:data_start], body[data_start:end]))
    except (spnego.exceptions.SpnegoError, ValueError, struct.error) as error:
        raise Unreadable(f"the seal is broken ({type(error).__name__})") from None
