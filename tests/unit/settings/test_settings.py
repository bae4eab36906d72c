import os
from pathlib import Path
from typing import NoReturn

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.settings import Settings

HOME = {"HOME": "/home/ann"}


def test_an_argument_beats_the_environment_which_beats_the_default() -> None:
    environ = {**HOME, "CERTWRIGHT_DATA": "/srv/env"}
    assert Settings.locate(Path("/srv/arg"), environ).data_folder == Path("/srv/arg")
    assert Settings.locate(None, environ).data_folder == Path("/srv/env")
    assert Settings.locate(None, HOME, is_root=False).data_folder == Path("/home/ann/.local/share/certwright")


def test_root_works_for_the_machine() -> None:
    settings = Settings.locate(None, {**HOME, "XDG_DATA_HOME": "/x", "XDG_CONFIG_HOME": "/y"}, is_root=True)
    assert settings.data_folder == Path("/var/lib/certwright")
    assert settings.key_file("ab12") == Path("/etc/certwright/keys/ab12.key")


def test_a_user_has_the_folders_of_the_xdg_specification() -> None:
    environ = {**HOME, "XDG_DATA_HOME": "/x", "XDG_CONFIG_HOME": "/y"}
    settings = Settings.locate(None, environ, is_root=False)
    assert settings.data_folder == Path("/x/certwright")
    assert settings.key_file("ab12") == Path("/y/certwright/keys/ab12.key")


def test_relative_xdg_folders_are_ignored() -> None:
    settings = Settings.locate(None, {**HOME, "XDG_CONFIG_HOME": "y"}, is_root=False)
    assert settings.key_file("ab12") == Path("/home/ann/.config/certwright/keys/ab12.key")


def test_empty_variables_count_as_missing() -> None:
    names = ("CERTWRIGHT_DATA", "CERTWRIGHT_MASTER_KEY", "CERTWRIGHT_MASTER_KEY_FILE", "XDG_DATA_HOME")
    settings = Settings.locate(None, {**HOME, **dict.fromkeys(names, "")}, is_root=False)
    assert settings == Settings.locate(None, HOME, is_root=False)


def test_another_key_file_and_the_key_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    environ = {**HOME, "CERTWRIGHT_MASTER_KEY_FILE": "usb/master", "CERTWRIGHT_MASTER_KEY": "canary-key"}
    settings = Settings.locate(None, environ)
    assert settings.key_file("ab12") == Path("/tmp/usb/master")
    assert settings.master_key == "canary-key"
    assert "canary-key" not in repr(settings)


def test_places_are_absolute_and_the_database_is_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    assert Settings.locate(Path("data"), HOME).database == Path("/tmp/data/certwright.db")


def test_a_user_whom_nobody_knows_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> NoReturn:
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    with pytest.raises(ConfigurationError) as refused:
        Settings.locate(None, {}, is_root=False)
    assert "XDG_CONFIG_HOME" in refused.value.hint
    folders = {"XDG_CONFIG_HOME": "/y", "XDG_DATA_HOME": "/x"}
    assert Settings.locate(None, folders, is_root=False).data_folder == Path("/x/certwright")


@pytest.mark.parametrize("variable", ["CERTWRIGHT_DATA", "CERTWRIGHT_MASTER_KEY_FILE"])
def test_the_home_of_nobody_is_refused(variable: str) -> None:
    with pytest.raises(ConfigurationError, match="no-such-user"):
        Settings.locate(None, {**HOME, variable: "~no-such-user/x"})


def test_the_store_may_be_elsewhere_and_its_address_is_not_in_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    environ = {**HOME, "CERTWRIGHT_STORE": "postgresql://c4nary", "CERTWRIGHT_STORE_PASSWORD_FILE": "password"}
    settings = Settings.locate(None, environ)
    assert settings.store_url == settings.place == "postgresql://c4nary"
    assert settings.store_password_file == Path("/tmp/password")
    assert "c4nary" not in repr(settings)
    assert Settings.locate(None, HOME).place == str(Settings.locate(None, HOME).data_folder)


def test_script_folders_are_separated_as_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/tmp")
    settings = Settings.locate(None, {**HOME, "CERTWRIGHT_SCRIPT_FOLDERS": os.pathsep.join(["/opt/dns", "", "here"])})
    assert settings.script_folders == (Path("/opt/dns"), Path("/tmp/here"))
    assert Settings.locate(None, HOME).script_folders == ()
