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


LET_IN = [(0, "issue", "letsencrypt.org"), (0, "issue", "other.test")]


@pytest.mark.parametrize(
    "record",
    [(1, "tbs", "x"), (1, "issuevmc", ";"), (128, "issuevmc", ";"), (129, "contactemail", "a@contoso.test")],
    ids=str,
)
def test_what_lets_encrypt_takes_for_critical_and_unknown_is_a_doubt_for_others(record: tuple[int, str, str]) -> None:
    records = found(*LET_IN, record)

    theirs = judge(records, OURS, wildcard=False)
    assert theirs.verdict is Verdict.FORBIDDEN
    assert f'{record[0]} {record[1]} "{record[2]}"' in theirs.sentence
    assert "flags to 0" in theirs.fix
    assert judge(records, Applicant(("other.test",), "dns-01"), wildcard=False).verdict is Verdict.UNKNOWN
    assert judge(records, Applicant(("third.test",), "dns-01"), wildcard=False).verdict is Verdict.FORBIDDEN


@pytest.mark.parametrize("record", [(2, "tbs", "x"), (129, "iodef", "mailto:a@contoso.test"), (128, "issuemail", ";")])
def test_other_flags_and_tags_that_every_authority_knows_restrict_nobody(record: tuple[int, str, str]) -> None:
    assert judge(found(*LET_IN, record), OURS, wildcard=False).verdict is Verdict.ALLOWED


def test_lets_encrypt_compares_its_name_letter_by_letter() -> None:
    records = found((0, "issue", "LetsEncrypt.ORG"), (0, "issue", "Other.test"))

    judgement = judge(records, OURS, wildcard=True)
    assert judgement.verdict is Verdict.FORBIDDEN
    assert "LetsEncrypt.ORG" in judgement.sentence
    assert "letsencrypt.org" in judgement.fix
    assert judge(records, Applicant(("other.test",), "dns-01"), wildcard=True).verdict is Verdict.ALLOWED


@pytest.mark.parametrize("methods", [",dns-01", "dns-01,", "http_01,dns-01"])
def test_methods_against_the_grammar_are_a_doubt(methods: str) -> None:
    records = found((0, "issue", f"letsencrypt.org; validationmethods={methods}"))

    judgement = judge(records, OURS, wildcard=False)
    assert judgement.verdict is Verdict.UNKNOWN
    assert "http-01,dns-01" in judgement.fix


def test_a_record_that_forbids_does_not_hide_one_that_may_let_in() -> None:
    records = [(0, "issue", f"le.test; accounturi={ACCOUNT}"), (0, "issue", "le.test; validationmethods=http-01")]
    for order in (records, records[::-1]):
        assert judge(found(*order), Applicant(("le.test",), "dns-01"), wildcard=False).verdict is Verdict.UNKNOWN


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
