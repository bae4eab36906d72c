"""What a test before the request found."""

from certwright.domain.readiness import Check, Readiness, Report


def test_checks_are_counted_by_their_verdict_or_by_its_word() -> None:
    verdicts = (Readiness.OK, Readiness.FAILED, Readiness.FAILED)
    checks = tuple(Check(check="ports", subject="mail", verdict=verdict, evidence="Seen.") for verdict in verdicts)
    report = Report(managed_id="1", title="mail", checks=checks)
    assert not report.is_ready
    assert report.count(Readiness.FAILED) == report.count("failed") == 2
