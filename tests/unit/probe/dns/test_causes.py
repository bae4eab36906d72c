"""Whatever a trace holds, its causes can be told; tests/e2e/test_probe_dns_causes.py makes each happen for real."""

from hypothesis import given
from hypothesis import strategies as st

from certwright.probe.dns.caa import Applicant, CaaRecord, CaaSet
from certwright.probe.dns.cause import Attempt, CauseId
from certwright.probe.dns.causes import find_causes
from certwright.probe.dns.dnssec import Dnssec, DnssecState
from certwright.probe.dns.query import Kind
from certwright.probe.dns.trace import Obstacle, ObstacleKind, Seen, Trace, View, ZoneView

NAME, CHALLENGE, VALUE = "www.contoso.test", "_acme-challenge.www.contoso.test", "v" * 43
KINDS = st.sampled_from(Kind)
TEXTS = st.lists(st.sampled_from([VALUE, f'"{VALUE}"', VALUE[:20], "other", ""]), max_size=3).map(tuple)
ADDRESSES = st.lists(st.sampled_from(["8.8.8.8", "10.0.0.1"]), max_size=2).map(tuple)


@st.composite
def answers(draw: st.DrawFn, name: str, kind: str, values: st.SearchStrategy[tuple[str, ...]]) -> Seen:
    outcome = draw(KINDS)
    found = draw(values) if outcome is Kind.RECORDS else ()
    chain = (name, "target.test") if draw(st.booleans()) else (name,)
    return Seen(name, kind, outcome, found, chain, "", draw(st.booleans()), draw(st.booleans()))


@st.composite
def views(draw: st.DrawFn) -> View:
    soa = answers("contoso.test", "SOA", st.just(("ns1. admin. 7 1 1 1 1",)))
    alias = answers(CHALLENGE, "CNAME", st.just(("target.test.",)))
    seen = [soa, alias, answers(CHALLENGE, "TXT", TEXTS), answers(NAME, "A", ADDRESSES)]
    count = draw(st.integers(0, len(seen)))
    return View("ns1", draw(st.sampled_from(["192.0.2.1", "2001:db8::1"])), tuple(map(draw, seen[:count])))


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    servers = tuple(draw(st.lists(views(), max_size=3)))
    zone = ZoneView("contoso.test", ("ns1",), draw(st.sampled_from([("ns1",), ("ns2",)])), servers)
    caa = CaaSet(NAME, "contoso.test", (CaaRecord(0, "issue", "other.test"),), draw(st.sampled_from(["", "SERVFAIL"])))
    return Trace(
        NAME,
        CHALLENGE,
        draw(st.sampled_from([(CHALLENGE,), (CHALLENGE, "target.test")])),
        tuple(draw(st.lists(st.just(zone), max_size=1))),
        tuple(draw(st.lists(views(), max_size=2))),
        tuple(Obstacle(kind, "No.") for kind in draw(st.lists(st.sampled_from(ObstacleKind), max_size=1))),
        tuple(draw(st.lists(answers(f"{CHALLENGE}.contoso.test", "TXT", TEXTS), max_size=1))),
        draw(st.none() | answers("_x.www.contoso.test", "TXT", TEXTS)),
        draw(st.none() | st.just(caa)),
        tuple(Dnssec("contoso.test", state, "It is.") for state in draw(st.lists(st.sampled_from(DnssecState)))),
    )


@given(traces(), st.sampled_from(["dns-01", "http-01"]), st.frozensets(st.just(VALUE)), st.sampled_from(["caa", "dns"]))
def test_every_cause_has_evidence_and_a_remedy(
    trace: Trace, challenge: str, expected: frozenset[str], problem: str
) -> None:
    applicant = Applicant(("ca.test",), challenge)
    causes = find_causes(trace, Attempt(challenge, expected, applicant=applicant, problem=problem, words="timed out"))

    for cause in causes:
        assert cause.sentence.endswith(".")
        assert cause.remedy.endswith(".")


def test_where_nobody_can_be_asked_that_is_the_cause() -> None:
    silent = View("the resolver", "192.0.2.53", (Seen("", "NS", Kind.TIMEOUT),))
    trace = Trace(NAME, CHALLENGE, (CHALLENGE,), (), (silent,))

    (cause,) = find_causes(trace, Attempt("dns-01"))

    assert cause.id is CauseId.RESOLVER_SILENT
    assert "192.0.2.53" in cause.sentence
