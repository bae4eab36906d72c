"""Who may do what."""

from datetime import UTC, datetime, timedelta

import pytest

from certwright.domain.access import ApiToken, Caller, Permission, Person, Role, check_password, permissions_of
from certwright.domain.errors import ConfigurationError, Forbidden
from certwright.sdk.params import read_params

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TOKEN = ApiToken(name="monitoring", permissions=(Permission.READ,), created_at=NOW, expires_at=NOW + timedelta(days=1))


@pytest.mark.parametrize("permission", Permission)
@pytest.mark.parametrize("held", [(), *((one,) for one in Permission), tuple(Permission)])
def test_only_what_is_held_is_allowed(held: tuple[Permission, ...], permission: Permission) -> None:
    caller = Caller("somebody", frozenset(held))
    if permission in held:
        caller.require(permission)
    else:
        with pytest.raises(Forbidden) as refused:
            caller.require(permission)
        assert f"--allow {permission.value}" in refused.value.hint


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
        assert "read, request, edit" in refused.value.hint


def test_roles_contain_each_other() -> None:
    assert Role.VIEWER.permissions < Role.OPERATOR.permissions <= Role.ADMINISTRATOR.permissions == set(Permission)


def test_after_some_wrong_passwords_each_further_one_costs_twice_as_long() -> None:
    person, pauses = Person(name="anna", role=Role.VIEWER, created_at=NOW), []
    for _ in range(15):
        person = person.failed(NOW)
        pauses.append((person.locked(NOW) or NOW) - NOW)
    minutes = [pause / timedelta(minutes=1) for pause in pauses]
    assert minutes == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64]
    assert person.locked(NOW + timedelta(minutes=64)) is None


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
