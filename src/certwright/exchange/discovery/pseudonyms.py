"""Replaces every name in a text by a made-up one, always the same for the same: what may leave an organisation. Pure.

A text that is data keeps only words that every Exchange organisation has; each other word is replaced. So a host's
name, short or in full, and its part of a distinguished name stay recognisable as the same, and no list of names to look
for can be incomplete. A text that is prose keeps its plain words too.
"""

import hashlib
import ipaddress
import re

from certwright.exchange.commands import CHANGE, LANGUAGE, READ

# What every organisation has, and therefore tells nothing of it.
_COMMON = frozenset(
    """
    active administrative authority authoritative auth autodiscover back backend basic build ca certificate certificates
    certwright client clientaccess cn com configuration connections connector contacts controllers cs current dag
    database databases dc default deny domain domains edge encrypt end enterprise ews exchange exchangeadmin
    exchangepsh external false federation first frontend frontendtransport full gateway group groups
    hklm http https hub hubtransport iis imap imap4 inc inbound integrated internal internalrelay internet isrg
    kerberos lab lan let limited local localhost localmachine mail mailbox management mapi messaging mgmt microsoft
    microsoftexchange my name negotiate net network nt null oab office office365 onmicrosoft org organization
    outbound outlook owa partner policy pop pop3 powershell private proxy public receive relay root rpc schannel se
    secure send server servers serverwideoffline service services settings sha2 site sites smtp software solution
    ssl standard state store svc sync system task test tls to transport true ts trust ui unified users valid version
    virtual w3svc web webservices wmsvc www
    activesync ecp asmx xml rfr svc a an and are as at be been by can cannot could did do does error
    failed for from has have in is it no none not of on or operation or please specified that the there this was will
    with you
    cmdlet failurecategory invalidoperationexception requestid timestamp
    """.split()  # noqa: SIM905 - a list of words is read as such
)
_CMDLETS = frozenset(part.lower() for name in (*READ, *CHANGE, *LANGUAGE) for part in name.split("-"))
_KEPT = _COMMON | _CMDLETS
_SHORT_NUMBER = 5
_DOMAIN_PARTS = 5  # sub-authorities of a SID that names an account of a domain, with its first two
_TOKEN = re.compile(
    r"(?P<guid>\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b)"
    r"|(?P<sid>\bS-1-\d+(?:-\d+)+\b)"
    r"|(?P<six>(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:]))"
    r"|(?P<four>(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]))"
    r"|(?P<hex>(?<![^\W_])[0-9a-f]{16,}(?![^\W_]))"
    r"|(?P<word>[^\W_]+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_QUOTED = re.compile(
    r"(?<!\w)'.*?'(?!\w)|\".*?\"|\u2018.*?\u2019(?!\w)|\u201c.*?\u201d|\u201e.*?[\u201c\u201d]|\u00ab.*?\u00bb",
    re.DOTALL,
)
_IDENTIFIER = re.compile(r"(?<![^\s,\[])[^\s,\[\]=]+")
_CAMEL_CASE = re.compile(r"(?:[A-Z][a-z]+){2,}")
_TYPE_NAME = re.compile(r"(?:System|Microsoft)(?:\.[A-Z][A-Za-z0-9]+)+\W*")
_SPECIAL = ("0.0.0.0", "255.255.255.255", "127.0.0.1", "::", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")  # noqa: S104


class Pseudonyms:
    """What was made up so far.

    Args:
        reserved: words that were originals; none of them is made up.
    """

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._certificates: dict[str, str] = {}
        self._reserved = reserved
        self._made: dict[str, str] = {}
        self._count = 0

    @property
    def originals(self) -> frozenset[str]:
        """The words that were replaced, in lower case."""
        return frozenset(self._made)

    def equate(self, original: str, made: str) -> None:
        """Let `made` stand for the thumbprint or serial number `original`; both in upper-case hex."""
        self._certificates[original] = made

    def data(self, text: str) -> str:
        """`text` with every word replaced that not every organisation has."""
        return _TOKEN.sub(self._replace, text)

    def prose(self, text: str) -> str:
        """A sentence: what is quoted or does not look like a plain word is data; plain words are kept unless known."""
        parts, at = [], 0
        for quoted in _QUOTED.finditer(text):
            parts += [self._plain(text[at : quoted.start()]), self.data(quoted[0])]
            at = quoted.end()
        return "".join([*parts, self._plain(text[at:])])

    def error_id(self, text: str) -> str:
        """A FullyQualifiedErrorId: it keeps the names of types and of errors."""
        parts, at = [], 0
        for found in _IDENTIFIER.finditer(text):
            kept = _TYPE_NAME.fullmatch(found[0]) or (_CAMEL_CASE.fullmatch(found[0]) and not self._is_known(found[0]))
            parts += [self.data(text[at : found.start()]), found[0] if kept else self.data(found[0])]
            at = found.end()
        return "".join([*parts, self.data(text[at:])])

    def _plain(self, text: str) -> str:
        pieces = re.split(r"(\s+)", text)
        return "".join(self._piece(piece, pieces[at - 2] if at > 1 else "") for at, piece in enumerate(pieces))

    def _piece(self, piece: str, before: str) -> str:
        """A word between blanks; one with a capital that begins no sentence may be a name."""
        core = piece.strip(".,;:!?()[]")
        if _TYPE_NAME.fullmatch(core):
            return piece
        is_plain = core.replace("'", "").isalpha() and not self._is_known(core)
        begins = not before or before[-1:] in ".!?:]"
        return piece if is_plain and (begins or not core[:1].isupper()) else self.data(piece)

    def _is_known(self, word: str) -> bool:
        return word.lower() in self._made or word.lower() in self._reserved

    def _replace(self, found: re.Match[str]) -> str:
        kind, text = found.lastgroup or "word", found[0]
        if kind == "word":
            return self._word(text, found)
        if kind == "hex":
            return self._hex(text)
        if kind in {"four", "six"}:
            return self._address(text)
        return self._sid(text) if kind == "sid" else self._guid(text)

    def _word(self, text: str, found: re.Match[str]) -> str:
        if text.isdigit():
            return text if len(text) <= _SHORT_NUMBER else self._digits(text)
        if len(text) == 1 or text.lower() in _KEPT:
            return text
        if _is_country(found):
            return "org"
        made = self._make(text.lower(), "n{}")
        return made.upper() if text.isupper() else made

    def _digits(self, text: str) -> str:
        return self._make(text, "9{:0" + str(len(text) - 1) + "d}")

    def _hex(self, text: str) -> str:
        made = self._certificates.get(text.upper())
        if made is None:
            number = self._make(text.lower(), "{}")
            made = hashlib.shake_256(number.encode()).hexdigest(len(text)).upper()[: len(text)]
        return made if text.isupper() or text.isdigit() else made.lower()

    def _address(self, text: str) -> str:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return _WORD.sub(lambda part: self._word(part[0], part), text)
        if str(address) in _SPECIAL:
            return text
        number = int(self._make(address.compressed, "{}"))
        return f"198.18.{number // 256 % 256}.{number % 256}" if address.version == 4 else f"2001:db8::{number:x}"  # noqa: PLR2004

    def _sid(self, text: str) -> str:
        if text.count("-") <= _DOMAIN_PARTS:
            return text  # well-known everywhere
        return f"S-1-5-21-1-1-1-{self._make(text.lower(), '{}')}"

    def _guid(self, text: str) -> str:
        if not text.strip("0-"):
            return text
        return f"00000000-0000-4000-8000-{int(self._make(text.lower(), '{}')):012x}"

    def _make(self, original: str, form: str) -> str:
        if original not in self._made:
            self._count += 1
            while form.format(self._count) in self._reserved:
                self._count += 1
            self._made[original] = form.format(self._count)
        return self._made[original]


def _is_country(found: re.Match[str]) -> bool:
    """Whether a word is the country at the end of a host's name; which one it is would tell too much."""
    text, start, end = found.string, found.start(), found.end()
    ends = not re.match(r"[\w.-]", text[end : end + 1] or " ")
    return found[0].isalpha() and end - start == 2 and text[start - 1 : start] == "." and start > 1 and ends  # noqa: PLR2004
