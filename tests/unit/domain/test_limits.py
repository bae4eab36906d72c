"""Token buckets: never more than the limit and its refill in any span, and the words for who must wait."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain import limits
from certwright.domain.authorities import named
from certwright.domain.identifiers import parse_all
from certwright.domain.limits import Bucket, Charge, Key, Kind, Limit, Scope, charges, hold

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LETS_ENCRYPT = named("letsencrypt").limits
SECOND = timedelta(seconds=1)
some_limits = st.builds(
    Limit,
    scope=st.just(Scope.ORDERS),
    most=st.integers(1, 20),
    within=st.integers(20, 10_000).map(lambda n: n * SECOND),
)
pauses = st.lists(st.integers(0, 2000), max_size=60)


def takes(limit: Limit, waits: list[int]) -> list[datetime]:
    """The moments at which a client that tries after each of these waits is let through."""
    bucket, now, passed = Bucket(NOW), NOW, []
    for wait in waits:
        now += wait * SECOND
        if bucket.ready(limit, now) <= now:
            bucket = bucket.take(limit, now)
            passed.append(now)
    return passed


@given(some_limits, pauses)
def test_in_any_span_no_more_than_the_limit_and_its_refill_is_taken(limit: Limit, waits: list[int]) -> None:
    passed = takes(limit, waits)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= limit.most + (passed[last] - start) // limit.refill


@given(some_limits, pauses)
def test_what_is_left_and_when_the_next_is_ready_agree(limit: Limit, waits: list[int]) -> None:
    bucket, now = Bucket(NOW), NOW
    for wait in waits:
        now += wait * SECOND
        left, ready = bucket.left(limit, now), bucket.ready(limit, now)
        assert 0 <= left <= limit.most
        assert (left > 0) == (ready <= now)
        assert ready <= now + limit.refill
        assert bucket.left(limit, ready) >= 1
        bucket = bucket.take(limit, now)


@given(some_limits, st.integers(1, 100), st.integers(0, 20))
def test_a_bulk_is_done_when_its_last_request_is(limit: Limit, count: int, before: int) -> None:
    bucket = Bucket(NOW)
    for _ in range(before):
        bucket = bucket.take(limit, NOW)
    promised, now = bucket.ready(limit, NOW, count), NOW
    for _ in range(count):
        now = bucket.ready(limit, now)
        bucket = bucket.take(limit, now)
    assert now == promised


@given(some_limits, st.integers(0, 30))
def test_an_untouched_bucket_fills_up_again_and_says_nothing_more(limit: Limit, count: int) -> None:
    bucket = Bucket(NOW)
    for _ in range(count):
        bucket = bucket.take(limit, NOW)
    later = NOW + limit.span
    assert bucket.left(limit, later) == limit.most
    assert bucket.is_idle(later)
    assert limit.within <= limit.span < limit.within + limit.most * timedelta(microseconds=1)


@given(some_limits)
def test_what_is_given_back_can_be_taken_again(limit: Limit) -> None:
    once = Bucket(NOW).take(limit, NOW)
    assert once.take(limit, NOW).give_back(limit) == once or limit.most == 1


def test_a_shut_bucket_opens_when_the_authority_said() -> None:
    limit = Limit(Scope.ORDERS, 5, timedelta(minutes=5))
    until = NOW + timedelta(hours=2)
    bucket = Bucket(NOW).shut(until, NOW).shut(NOW, NOW)
    assert bucket.ready(limit, NOW) == bucket.ready(None, NOW) == until
    assert bucket.ready(limit, NOW, 7) == until + timedelta(minutes=2)
    assert not bucket.is_idle(NOW)
    assert bucket.is_idle(until)


def asked(*names: str, kind: Kind = Kind.NEW) -> list[Charge]:
    return list(charges(LETS_ENCRYPT, "letsencrypt", "le", parse_all(names), kind))


def met(found: list[Charge]) -> set[tuple[str, str, bool]]:
    return {(c.key.scope.value, c.key.subject, c.takes) for c in found if c.limit}


def test_a_new_order_is_counted_for_the_account_each_domain_the_names_and_each_name() -> None:
    found = met(asked("www.contoso.co.uk", "*.contoso.co.uk", "shop.fabrikam.com", "203.0.113.7", "2001:4860::8888"))
    assert {(scope, subject) for scope, subject, _ in found if scope == "registered-domain"} == {
        ("registered-domain", "contoso.co.uk"),
        ("registered-domain", "fabrikam.com"),
        ("registered-domain", "203.0.113.7"),
        ("registered-domain", "2001:4860::/64"),
    }
    assert ("orders", "le", True) in found
    assert ("failed-validations", "contoso.co.uk (le)", False) in found
    assert len([scope for scope, _, _ in found if scope == "exact-names"]) == 1


def test_a_renewal_for_the_same_names_counts_for_them_alone_and_a_replacement_for_nothing() -> None:
    assert {scope for scope, _, _ in met(asked("a.contoso.com", kind=Kind.SAME_NAMES))} == {
        "exact-names",
        "failed-validations",
        "consecutive-failures",
    }
    replacement = asked("a.contoso.com", kind=Kind.REPLACEMENT)
    assert {scope for scope, _, takes in met(replacement) if takes} == set()
    assert {minded.key.scope for minded in replacement} == {Scope.NAMES, Scope.ORDERS, Scope.CONSECUTIVE}
    for minded in replacement:
        assert hold(replacement, {minded.key: Bucket(NOW).shut(NOW + SECOND, NOW)}, NOW)


def test_a_name_that_is_proved_begins_its_failures_anew() -> None:
    found = asked("mail.contoso.com", kind=Kind.REPLACEMENT)
    buckets: dict[Key, Bucket] = {}
    for _ in range(1152):
        assert hold(found, buckets, NOW) is None
        buckets |= limits.taken(limits.failures(LETS_ENCRYPT, "letsencrypt", "le", ["mail.contoso.com"]), buckets, NOW)
    held = hold(found, buckets, NOW)
    assert held
    assert held.until == NOW + timedelta(days=1)
    assert hold(found, buckets | limits.proved(found, buckets, NOW), NOW) is None


def test_the_order_of_names_makes_no_other_set() -> None:
    names = parse_all(["b.contoso.com", "a.contoso.com"])
    assert limits.name_set(names) == limits.name_set(names[::-1]) != limits.name_set(names[:1])


def test_the_sixth_certificate_for_the_same_names_is_held_with_the_reason() -> None:
    found = asked("mail.contoso.com")
    buckets: dict[Key, Bucket] = {}
    for _ in range(5):
        assert hold(found, buckets, NOW) is None
        buckets.update(limits.taken(found, buckets, NOW))
    held = hold(found, buckets, NOW)
    assert held
    assert held.until == NOW + timedelta(hours=33, minutes=36)
    assert held.reason == "allows 5 certificates for exactly these names within 7 days, and they are used up"
    assert hold(asked("www.contoso.com"), buckets, NOW) is None


def test_what_came_to_no_certificate_counts_as_an_order_alone() -> None:
    found = asked("mail.contoso.com")
    buckets = limits.taken(found, {}, NOW)
    left = buckets | limits.given_back(found, buckets)
    assert {key.scope for key, bucket in left.items() if bucket.full_at > NOW} == {Scope.ORDERS}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("too many new orders (300) from this account in the last 3h0m0s", {("orders", "le")}),
        (
            'too many certificates (50) already issued for "contoso.com" in the last 168h0m0s',
            {("registered-domain", "contoso.com")},
        ),
        (
            'too many failed authorizations (5) for "b.fabrikam.com" in the last 1h0m0s',
            {("failed-validations", "b.fabrikam.com (le)")},
        ),
        ("too many certificates (5) already issued for this exact set of identifiers", {("exact-names", None)}),
        (
            "It is temporarily prevented from requesting certificates for www.contoso.com, b.fabrikam.com and others.",
            {("consecutive-failures", "b.fabrikam.com (le)")},
        ),
        ("Your requests come too fast.", {("exact-names", None)}),
    ],
)
def test_a_refusal_shuts_the_bucket_that_it_speaks_of(words: str, expected: set[tuple[str, str | None]]) -> None:
    found = limits.refused(asked("a.contoso.com", "b.fabrikam.com"), words, None, {}, NOW)
    assert {bucket.shut_until for bucket in found.values()} == {NOW + limits.UNSAID}
    assert {(k.scope.value, None if k.scope is Scope.NAMES else k.subject) for k in found} == expected


def test_at_an_authority_without_known_limits_only_its_own_refusals_hold() -> None:
    found = list(charges((), "https://ca.test/", "ca", parse_all(["mail.contoso.com"]), Kind.NEW))
    assert limits.taken(found, {}, NOW) == {}
    shut = limits.refused(found, "later, please", 5 * SECOND, {}, NOW)
    assert hold(found, shut, NOW) == limits.Hold(
        NOW + 5 * SECOND, "refused with a rate limit, and is left alone until then"
    )


@given(st.lists(st.integers(0, 30), max_size=60), st.none() | st.timedeltas(SECOND, timedelta(days=60)))
def test_an_account_whose_refusals_name_nothing_is_asked_in_vain_at_most_twice(
    hosts: list[int], wait: timedelta | None
) -> None:
    buckets: dict[Key, Bucket] = {}
    in_vain = 0
    for host in hosts:
        order = list(charges((), "https://ca.test/", "ca", parse_all([f"h{host}.contoso.com"]), Kind.NEW))
        if hold(order, buckets, NOW) is None:
            in_vain += 1
            buckets |= limits.refused(order, "Slow down.", wait, buckets, NOW)
    assert in_vain == min(2, len(set(hosts)))
    assert all(bucket.shut_until <= NOW + timedelta(days=1) for bucket in buckets.values() if bucket.shut_until)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(days=7), "7 days"),
        (timedelta(hours=1), "an hour"),
        (timedelta(hours=160), "160 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=61), "61 seconds"),
        (timedelta(), "no time"),
    ],
)
def test_spans_in_words(span: timedelta, words: str) -> None:
    assert limits.span_in_words(span) == words


def test_a_moment_is_rounded_up_so_that_nobody_comes_too_early() -> None:
    assert limits.moment_in_words(NOW) == "Tue 2026-11-24 12:00 UTC"
    assert limits.moment_in_words(NOW + timedelta(microseconds=1)) == "Tue 2026-11-24 12:01 UTC"
