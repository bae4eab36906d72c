"""Who may do what."""

from datetime import UTC, datetime, timedelta

import pytest

from certwright.domain.access import ApiToken, Caller, Permission, permissions_of
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
        assert "read, edit" in refused.value.hint
