"""The guide quotes what Certwright says, word for word, and leaves out no reason of Kerberos."""

from pathlib import Path

import pytest
from pypsrp.exceptions import WSManFaultError

from certwright.remoting import kerberos
from certwright.remoting.diagnosis import Reached, diagnose
from certwright.remoting.endpoint import EXCHANGE, Endpoint, Identity
from certwright.remoting.transport import Answer, HttpRefusal, NotEncrypted

GUIDE = (Path(__file__).parents[3] / "docs" / "guide" / "kerberos.md").read_text(encoding="utf-8")
QUOTED = [
    row.removeprefix("| ").split(" | ")[0].removeprefix("... ")
    for table in GUIDE.split("| It says | What to do |\n|---|---|\n")[1:]
    for row in table.partition("\n\n")[0].splitlines()
]
KNOWN = "svc-certs@CONTOSO.COM"
NAMES = {"service": "HTTP/mail01.contoso.com", "realm": "the domain CONTOSO.COM"}
NTLM = Identity("ntlm", KNOWN, "x")
REFUSALS: list[tuple[Exception, Identity, Answer | None]] = [
    (ImportError("no gssapi"), Identity(), None),
    (HttpRefusal(), NTLM, Answer(401, offered=("Kerberos",))),
    (HttpRefusal(), Identity(), Answer(401, offered=("Kerberos",))),
    (HttpRefusal(), NTLM, Answer(403)),
    (NotEncrypted(), NTLM, Answer(200)),
    (HttpRefusal(), NTLM, Answer(407)),
    (WSManFaultError(2150858811, None, "no such resource", None, None, None), NTLM, Answer(500)),
]


def spellings(reason: kerberos._Reason) -> set[str]:
    return {reason.what.format(who=who, **NAMES) for who in (KNOWN, "the current user")}


def told(error: Exception, identity: Identity, answer: Answer | None) -> str:
    endpoint = Endpoint("http://mail01.contoso.com/PowerShell/", EXCHANGE, identity)
    return "\n".join(diagnose(error, endpoint, answer, Reached.NOTHING).explain())


@pytest.mark.parametrize("reason", kerberos._REASONS, ids=lambda reason: reason.what[:40])
def test_each_reason_of_kerberos_is_in_the_guide(reason: kerberos._Reason) -> None:
    assert spellings(reason) & set(QUOTED)


@pytest.mark.parametrize("quoted", QUOTED, ids=lambda quoted: quoted[:40])
def test_what_the_guide_quotes_is_what_is_said(quoted: str) -> None:
    reasons = set().union(*map(spellings, kerberos._REASONS))
    assert quoted in reasons or any(quoted in told(*refusal) for refusal in REFUSALS)
