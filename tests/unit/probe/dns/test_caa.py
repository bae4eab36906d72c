"""CAA records are judged as RFC 8659 and RFC 8657 have it."""

import pytest

from certwright.probe.dns.caa import Applicant, CaaRecord, CaaSet, Verdict, judge

ACCOUNT = "https://ca.test/acct/1"
OURS = Applicant(("letsencrypt.org", "le.test"), "dns-01", ACCOUNT)


def found(*records: tuple[int, str, str]) -> CaaSet:
    return CaaSet("www.contoso.test", "contoso.test", tuple(CaaRecord(*record) for record in records))


@pytest.mark.parametrize("value", ["letsencrypt.org; accounturi", "letsencrypt.org;;", "letsencrypt.org; x=1;", "-x"])
def test_a_value_against_the_grammar_lets_nobody_issue(value: str) -> None:
    assert judge(found((0, "issue", value)), OURS, wildcard=False).verdict is Verdict.FORBIDDEN


@pytest.mark.parametrize(
    ("records", "wildcard", "verdict"),
    [
        ([], False, Verdict.ALLOWED),
        ([(0, "iodef", "mailto:a@contoso.test")], False, Verdict.ALLOWED),
        ([(0, "issue", "letsencrypt.org")], False, Verdict.ALLOWED),
        ([(0, "issue", "LetsEncrypt.ORG")], True, Verdict.ALLOWED),
        ([(0, "issue", "other.test"), (0, "issue", "le.test")], False, Verdict.ALLOWED),
        ([(0, "issue", "other.test")], False, Verdict.FORBIDDEN),
        ([(0, "issue", ";")], False, Verdict.FORBIDDEN),
        ([(0, "issue", "letsencrypt.org"), (0, "issuewild", ";")], True, Verdict.FORBIDDEN),
        ([(0, "issue", "letsencrypt.org"), (0, "issuewild", ";")], False, Verdict.ALLOWED),
        ([(0, "issue", ";"), (0, "issuewild", "letsencrypt.org")], True, Verdict.ALLOWED),
        ([(0, "issuewild", "other.test")], False, Verdict.ALLOWED),
        ([(0, "issuemail", ";")], False, Verdict.ALLOWED),
        ([(0, "tbs", "unknown")], False, Verdict.ALLOWED),
        ([(128, "tbs", "unknown"), (0, "issue", "letsencrypt.org")], False, Verdict.FORBIDDEN),
        ([(128, "issue", "letsencrypt.org")], False, Verdict.ALLOWED),
        ([(0, "issue", f"letsencrypt.org; accounturi={ACCOUNT}")], False, Verdict.ALLOWED),
        ([(0, "issue", f"letsencrypt.org; accounturi={ACCOUNT}0")], False, Verdict.FORBIDDEN),
        ([(0, "issue", "letsencrypt.org; validationmethods=http-01,dns-01")], False, Verdict.ALLOWED),
        ([(0, "issue", "letsencrypt.org; validationmethods=http-01")], False, Verdict.FORBIDDEN),
        ([(0, "issue", "letsencrypt.org; validationmethods=")], False, Verdict.FORBIDDEN),
        ([(0, "issue", f"letsencrypt.org; accounturi={ACCOUNT}; accounturi={ACCOUNT}")], False, Verdict.FORBIDDEN),
        ([(0, "issue", "letsencrypt.org; unheard=of")], False, Verdict.ALLOWED),
        (
            [(0, "issue", "letsencrypt.org; validationmethods=http-01"), (0, "issue", "le.test")],
            False,
            Verdict.ALLOWED,
        ),
    ],
)
def test_the_verdict(records: list[tuple[int, str, str]], wildcard: bool, verdict: Verdict) -> None:
    judgement = judge(found(*records), OURS, wildcard=wildcard)

    assert judgement.verdict is verdict
    assert bool(judgement.fix) == (verdict is not Verdict.ALLOWED)


def test_an_account_that_is_not_there_yet_cannot_be_compared() -> None:
    records = found((0, "issue", f"letsencrypt.org; accounturi={ACCOUNT}"))

    assert judge(records, Applicant(("letsencrypt.org",), "dns-01"), wildcard=False).verdict is Verdict.UNKNOWN


def test_an_authority_without_identity_cannot_be_judged() -> None:
    records = found((0, "issue", "letsencrypt.org"))

    assert judge(records, Applicant((), "dns-01"), wildcard=False).verdict is Verdict.UNKNOWN


def test_records_that_cannot_be_read_let_nobody_issue() -> None:
    judgement = judge(CaaSet("contoso.test", "contoso.test", failure="SERVFAIL"), OURS, wildcard=False)

    assert judgement.verdict is Verdict.UNKNOWN
    assert "SERVFAIL" in judgement.sentence


def test_the_fix_is_the_record_that_is_missing() -> None:
    judgement = judge(found((0, "issuewild", "other.test")), OURS, wildcard=True)

    assert judgement.fix == 'Add the CAA record 0 issuewild "letsencrypt.org" at contoso.test.'
