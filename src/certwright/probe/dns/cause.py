"""One cause of a failed validation as a value, and what the authority was to find."""

from dataclasses import dataclass
from enum import StrEnum

from certwright.probe.dns.caa import Applicant


class CauseId(StrEnum):
    """What can be wrong; the values are stable."""

    RESOLVER_SILENT = "dns-resolver-silent"
    ALIAS_LOOP = "dns-alias-loop"
    ALIAS_DEAD = "dns-alias-dead"
    NO_ZONE = "dns-no-zone"
    DELEGATION_DEAD = "dns-delegation-dead"
    SERVER_SILENT = "dns-server-silent"
    INTERCEPTED = "dns-intercepted"
    LAME_SERVER = "dns-lame-server"
    SERVFAIL = "dns-servfail"
    DELEGATION_MISMATCH = "dns-delegation-mismatch"
    DNSSEC = "dns-dnssec"
    CAA_UNREADABLE = "dns-caa-unreadable"
    CAA_FORBIDS = "dns-caa-forbids"
    CAA_SEEN_ELSEWHERE = "dns-caa-seen-elsewhere"
    DOUBLED_ZONE = "dns-doubled-zone"
    MISPLACED_TXT = "dns-misplaced-txt"
    ALTERED_TXT = "dns-altered-txt"
    WILDCARD = "dns-wildcard"
    WRONG_TXT = "dns-wrong-txt"
    LOST_TXT = "dns-lost-txt"
    RULE_UNSEEN = "dns-rule-unseen"
    NO_NAME = "dns-no-name"
    NO_TXT = "dns-no-txt"
    SERVERS_DIFFER = "dns-servers-differ"
    RESOLVER_REMEMBERS = "dns-resolver-remembers"
    SPLIT_HORIZON = "dns-split-horizon"
    NO_ADDRESS = "dns-no-address"
    PRIVATE_ADDRESS = "dns-private-address"
    SLOW = "dns-slow"
    SEEN_NOW = "dns-seen-now"


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong: `sentence` has the evidence, `remedy` the next step."""

    id: CauseId
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the authority was to find, and what it said.

    `expected` are the TXT values of dns-01 at the name of the challenge; empty for other challenges. `ruled` is where
    they are written by a rule, empty if the DNS alone leads there. `outside` tells that the authority sees the public
    DNS. `problem` is the last part of the problem's type (RFC 8555 section 6.7), such as `dns`, and `words` its detail.
    """

    challenge: str
    expected: frozenset[str] = frozenset()
    ruled: str = ""
    wildcard: bool = False
    applicant: Applicant | None = None
    outside: bool = False
    problem: str = ""
    words: str = ""
