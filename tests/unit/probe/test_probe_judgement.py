"""What the probe makes of the certificates that it was sent."""

from cryptography.hazmat.primitives.serialization import Encoding

from certwright.probe import FailureKind, Observation, ProbeFailure, ProblemKind, Target
from certwright.probe.tls import _judge
from unit.probe.pki import NOW, issue

TARGET = Target("mail.contoso.test", 443)
LEAF = issue("mail.contoso.test", start=NOW.replace(year=2020), end=NOW.replace(year=2096)).certificate.public_bytes(
    Encoding.DER
)


def test_no_certificate_is_a_failure() -> None:
    seen = _judge(Observation(TARGET), None, None)
    assert seen.failure is not None
    assert seen.failure.kind is FailureKind.BAD_CERTIFICATE


def test_an_earlier_failure_is_kept() -> None:
    earlier = ProbeFailure(FailureKind.CLOSED, "It closed.")
    for chain in ((), (b"nonsense",)):
        assert _judge(Observation(TARGET, chain=chain, failure=earlier), None, None).failure == earlier


def test_a_damaged_certificate_is_a_failure_whatever_its_place() -> None:
    for chain in ((b"nonsense",), (LEAF, b"nonsense")):
        seen = _judge(Observation(TARGET, chain=chain), None, None)
        assert seen.failure is not None
        assert seen.failure.kind is FailureKind.BAD_CERTIFICATE
        assert seen.leaf is None


def test_without_roots_or_expectations_there_is_no_such_verdict() -> None:
    seen = _judge(Observation(TARGET, chain=(LEAF,)), None, None)
    assert (seen.trusted, seen.matches_expected, seen.covers_name) == (None, None, True)
    assert seen.leaf is not None
    assert seen.problems == ()
    assert _judge(seen, None, seen.leaf.sha256.upper()).matches_expected is True
    assert _judge(seen, None, "0" * 64).matches_expected is False


def test_dates_are_judged_without_roots() -> None:
    old = issue("mail.contoso.test", start=NOW.replace(year=2020), end=NOW.replace(year=2021))
    seen = _judge(Observation(TARGET, chain=(old.certificate.public_bytes(Encoding.DER),)), None, None)
    assert [problem.kind for problem in seen.problems] == [ProblemKind.EXPIRED]
    assert seen.trusted is None
