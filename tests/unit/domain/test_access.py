"""Who may do what."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.domain.access import (
    ApiToken,
    Caller,
    Permission,
    Person,
    Role,
    check_password,
    pause_after,
    permissions_of,
)
from certwright.domain.actors import Actor, ActorKind
from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.sdk.params import read_params

SOMEBODY, PROGRAM = Actor(kind=ActorKind.PERSON, name="anna"), Actor(kind=ActorKind.TOKEN, name="ci")
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TOKEN = ApiToken(name="monitoring", permissions=(Permission.READ,), created_at=NOW, expires_at=NOW + timedelta(days=1))


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("held", [(), *((one,) for one in Permission), tuple(Permission)])
def test_only_what_is_held_is_allowed(held: tuple[Permission, ...], permission: Permission) -> None:
    for actor, hint in ((SOMEBODY, "another role"), (PROGRAM, f"--allow {permission.value}")):
        caller = Caller(actor, frozenset(held))
        if permission in held:
            caller.require(permission)
        else:
            with pytest.raises(Forbidden) as refused:
                caller.require(permission)
            assert hint in refused.value.hint


words = st.frozensets(st.sampled_from(["berlin", "hamburg", "mail"]))


@given(words, words)
def test_who_is_limited_sees_what_has_one_of_their_tags(limit: frozenset[str], tags: frozenset[str]) -> None:
    caller = Caller.limited(SOMEBODY, Permission, limit)
    assert caller.sees(tags) is (not limit or any(tag in limit for tag in tags))
    lost = {Permission.MANAGE, Permission.ADMINISTER, Permission.AUDIT}
    assert set(Permission) - caller.permissions == (lost if limit else set())


@given(words, words, words)
def test_no_tags_of_others_are_given_or_taken_and_nothing_gets_out_of_sight(
    limit: frozenset[str], before: frozenset[str], after: frozenset[str]
) -> None:
    caller = Caller.limited(SOMEBODY, Permission, limit)
    if not limit or (before - limit == after - limit and after & limit):
        caller.check_tags(before, after)
    else:
        with pytest.raises(Forbidden):
            caller.check_tags(before, after)


def test_a_token_ends_at_its_moment() -> None:
    assert TOKEN.is_valid(TOKEN.expires_at - timedelta(microseconds=1))
    assert not TOKEN.is_valid(TOKEN.expires_at)


def test_its_use_is_kept_to_the_hour() -> None:
    used = TOKEN.used(NOW)
    assert used is not None
    assert used.used_at == NOW
    assert used.used(NOW + timedelta(minutes=59)) is None
    assert used.used(NOW + timedelta(minutes=60)) is not None


@pytest.mark.parametrize("name", ["", " ", " x", "x\n", "\n", "a\x00b"[:2], "x" * 81])
def test_names_that_cannot_be_told_apart_in_a_list_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        read_params(ApiToken, {**TOKEN.model_dump(), "name": name}, "the token")


def test_permissions_are_named_once_and_must_exist() -> None:
    assert permissions_of(["read", "edit", "read"]) == (Permission.READ, Permission.EDIT)
    for names in (["read", "root"], []):
        with pytest.raises(ConfigurationError) as refused:
            permissions_of(names)
        assert "read, request, edit, manage" in refused.value.hint


def test_roles_contain_each_other() -> None:
    assert Role.VIEWER.permissions < Role.OPERATOR.permissions <= Role.ADMINISTRATOR.permissions == set(Permission)


def test_after_some_wrong_passwords_each_further_one_costs_twice_as_long() -> None:
    minutes = [pause_after(failures, 5) / timedelta(minutes=1) for failures in range(1, 16)]
    assert minutes == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64]
    person = Person(name="anna", role=Role.VIEWER, created_at=NOW).failed(NOW + timedelta(minutes=64))
    assert [person.locked(NOW + timedelta(minutes=each)) for each in (63, 64)] == [person.locked_until, None]


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "é", "x" * 65, "a\n", "<b>"])
def test_names_of_people_are_plain(name: str) -> None:
    with pytest.raises(ConfigurationError):
        read_params(Person, {"name": name, "role": "viewer", "created_at": NOW}, "the person")


@pytest.mark.parametrize(
    ("password", "fits"), [("x" * 11, False), ("ab" * 8, False), ("abcde" * 3, True), ("abcde" * 103, False)]
)
def test_a_password_is_long_and_not_of_one_letter(password: str, fits: bool) -> None:
    if fits:
        check_password(password)
    else:
        with pytest.raises(ConfigurationError):
            check_password(password)
