"""The conversations that lead to TLS: SMTP (RFC 3207), IMAP (RFC 9051), POP3 (RFC 2595) and LDAP (RFC 4511)."""

import re
from typing import NoReturn, Protocol

from certwright.probe.observation import FailureKind, Greeting, ProbeError, StartTls
from certwright.probe.wire import harmless, quoted

_MAX_LINE = 8192
_MAX_LINES = 100
_MAX_MESSAGE = 65_536
_MAX_SHOWN = 200
_SMTP_REPLY = re.compile(r"(?P<code>[2-5][0-9]{2})(?:(?P<more>[ -])(?P<text>.*))?", re.DOTALL)
_LDAP_STARTTLS = b"1.3.6.1.4.1.1466.20037"
_LDAP_EXTENDED_RESPONSE = 0x78
_SEQUENCE = 0x30


class Peer(Protocol):
    """What the conversations need of a connection."""

    @property
    def local_host(self) -> str:
        """Our own address."""
        ...

    def recv(self) -> bytes:
        """Some bytes; none at the end."""
        ...

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        ...


class Conversation:
    """What is said until the next byte is TLS; reads piece by piece, within limits.

    `greeting` tells how the server introduced itself, also when the conversation has failed after that.
    """

    def __init__(self, peer: Peer, protocol: StartTls) -> None:
        self.greeting: Greeting | None = None
        self._peer = peer
        self._protocol = protocol
        self._name = protocol.upper()
        self._buffer = b""
        self._lines = 0

    def start_tls(self, ehlo_name: str | None = None) -> None:
        """Talk until the server has agreed to TLS; `ehlo_name` as in `Target`.

        Raises:
            ProbeError: if it does not speak the protocol, offers no TLS, or refuses it.
        """
        match self._protocol:
            case "smtp":
                _smtp(self, ehlo_name or _address_literal(self._peer.local_host))
            case "imap":
                _imap(self)
            case "pop3":
                _pop3(self)
            case "ldap":
                _ldap(self)
        self._expect_silence()

    def say(self, line: str) -> None:
        """Send one line."""
        self._peer.send(f"{line}\r\n".encode("ascii"))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._peer.send(data)

    def line(self) -> str:
        """The next line without its end."""
        self._lines += 1
        if self._lines > _MAX_LINES:
            self._too_much()
        while b"\n" not in self._buffer:
            if len(self._buffer) > _MAX_LINE:
                self._too_much()
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("latin-1").removesuffix("\r")

    def octets(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > _MAX_MESSAGE:
            self._too_much()
        while len(self._buffer) < count:
            self._more()
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def bad(self, what: str) -> NoReturn:
        """The peer does not keep to the protocol."""
        raise ProbeError(FailureKind.BAD_GREETING, f"This is no {self._name} server we can talk to: it {what}.")

    def no_starttls(self, what: str) -> NoReturn:
        """The peer offers no TLS."""
        raise ProbeError(FailureKind.NO_STARTTLS, f"The {self._name} server {what}.")

    def _expect_silence(self) -> None:
        """Refuse plain text that came after the agreement: it would be taken for protected (CVE-2011-0411)."""
        if self._buffer:
            self.bad(f"sent {quoted(self._buffer)} in clear after it had agreed to start TLS")

    def _more(self) -> None:
        data = self._peer.recv()
        if not data:
            said = f"said only {quoted(self._buffer)} and" if self._buffer else "said nothing more and"
            raise ProbeError(FailureKind.CLOSED, f"The {self._name} server {said} closed the connection.")
        self._buffer += data

    def _too_much(self) -> NoReturn:
        raise ProbeError(FailureKind.TOO_MUCH, f"The {self._name} server does not stop talking; we gave up.")


def _address_literal(host: str) -> str:
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


def _smtp(conversation: Conversation, ehlo_name: str) -> None:
    code, text = _smtp_reply(conversation)
    banner = harmless(text[0], _MAX_SHOWN)
    conversation.greeting = Greeting(banner)
    if code != "220":
        conversation.bad(f"greets with {_words(f'{code} {text[0]}')}")
    conversation.say(f"EHLO {ehlo_name}")
    code, text = _smtp_reply(conversation)
    if code != "250":
        conversation.no_starttls(f"refuses EHLO {ehlo_name} with {_words(f'{code} {text[0]}')}")
    conversation.greeting = Greeting(banner, harmless(text[0].strip().partition(" ")[0], _MAX_SHOWN))
    if not any(keyword.strip().upper() == "STARTTLS" for keyword in text[1:]):
        conversation.no_starttls("offers no STARTTLS")
    conversation.say("STARTTLS")
    code, text = _smtp_reply(conversation)
    if code != "220":
        conversation.no_starttls(f"offers STARTTLS but answers it with {_words(f'{code} {text[0]}')}")


def _smtp_reply(conversation: Conversation) -> tuple[str, list[str]]:
    """A whole reply (RFC 5321 section 4.2): its code and the text of each line."""
    text: list[str] = []
    while True:
        line = conversation.line()
        reply = _SMTP_REPLY.fullmatch(line)
        if not reply:
            conversation.bad(f"says {_words(line)}")
        text.append(reply["text"] or "")
        if reply["more"] != "-":
            return reply["code"], text


def _imap(conversation: Conversation) -> None:
    greeting = conversation.line()
    conversation.greeting = Greeting(harmless(greeting, _MAX_SHOWN))
    if not greeting.upper().startswith("* OK"):
        conversation.bad(f"greets with {_words(greeting)}")
    capabilities = _imap_command(conversation, "CAPABILITY")
    if not any("STARTTLS" in line.upper().split() for line in capabilities):
        conversation.no_starttls("offers no STARTTLS")
    _imap_command(conversation, "STARTTLS")


def _imap_command(conversation: Conversation, command: str) -> list[str]:
    """Send a command; the untagged lines of a response that says OK."""
    conversation.say(f"c {command}")
    untagged: list[str] = []
    while (line := conversation.line()).startswith("* "):
        untagged.append(line)
    status = line.upper().split(maxsplit=2)[:2]
    if status in (["C", "NO"], ["C", "BAD"]):
        conversation.no_starttls(f"answers {command} with {_words(line)}")
    if status != ["C", "OK"]:
        conversation.bad(f"says {_words(line)}")
    return untagged


def _pop3(conversation: Conversation) -> None:
    greeting = conversation.line()
    conversation.greeting = Greeting(harmless(greeting, _MAX_SHOWN))
    if not greeting.upper().startswith("+OK"):
        conversation.bad(f"greets with {_words(greeting)}")
    conversation.say("CAPA")
    if _pop3_status(conversation)[0]:
        capabilities = list(iter(conversation.line, "."))
        if not any(line.strip().upper() == "STLS" for line in capabilities):
            conversation.no_starttls("offers no STLS")
    # A server without CAPA (RFC 2449) may still know STLS: asking is the only way to know.
    conversation.say("STLS")
    agreed, line = _pop3_status(conversation)
    if not agreed:
        conversation.no_starttls(f"answers STLS with {_words(line)}")


def _pop3_status(conversation: Conversation) -> tuple[bool, str]:
    line = conversation.line()
    if not line.upper().startswith(("+OK", "-ERR")):
        conversation.bad(f"says {_words(line)}")
    return line.startswith("+"), line


def _ldap(conversation: Conversation) -> None:
    """The StartTLS extended operation (RFC 4511 section 4.14), as message 1."""
    request = _element(0x77, _element(0x80, _LDAP_STARTTLS))
    conversation.send(_element(_SEQUENCE, b"\x02\x01\x01" + request))
    try:
        operation, code, words = _ldap_result(_ldap_message(conversation))
    except (ValueError, IndexError):
        conversation.bad("sends what is no LDAP message")
    if operation != _LDAP_EXTENDED_RESPONSE:
        conversation.bad(f"answers StartTLS with an operation of type {operation:#x}")
    if code != 0:
        conversation.no_starttls(f"refuses StartTLS with result {code}, {_words(words)}")


def _ldap_message(conversation: Conversation) -> bytes:
    """The contents of the next LDAPMessage."""
    tag, length = conversation.octets(2)
    if tag != _SEQUENCE:
        conversation.bad(f"sends {_words(bytes([tag, length]))}, which is no LDAP message")
    if length & 0x80:
        length = int.from_bytes(conversation.octets(length & 0x7F))
    return conversation.octets(length)


def _ldap_result(message: bytes) -> tuple[int, int, bytes]:
    """The type, result code and diagnostic message of a response.

    Raises:
        ValueError, IndexError: if it is not one.
    """
    _message_id, rest = _read_element(message)[1:]
    operation, body, _controls = _read_element(rest)
    _, code, body = _read_element(body)
    _, _matched_dn, body = _read_element(body)
    _, words, _ = _read_element(body)
    return operation, int.from_bytes(code), words


def _element(tag: int, contents: bytes) -> bytes:
    return bytes([tag, len(contents)]) + contents


def _read_element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and contents of the first BER element of `data`, and what follows it."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    if start + length > len(data):
        raise ValueError("truncated element")
    return tag, data[start : start + length], data[start + length :]


def _words(said: str | bytes) -> str:
    return quoted(said, 120)
