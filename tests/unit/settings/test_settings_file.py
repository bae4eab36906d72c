"""The settings file: what it says counts, and what is wrong in it is told with its line."""

from pathlib import Path

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.settings import KNOWN, Settings, shown

HOME = {"HOME": "/home/ann"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "certwright.toml"


def located(file: Path, **variables: str) -> Settings:
    return Settings.locate(None, {**HOME, **variables}, file=file, is_root=False)


def test_every_setting_can_be_given_there(file: Path) -> None:
    lines = {
        "data": '"/srv/certwright"',
        "store": '"postgresql://certwright@db/certs"',
        "store_password_file": '"db.password"',
        "master_key_file": '"/usb/master.key"',
        "listen": '"0.0.0.0:443"',
        "hosts": '["certs.contoso.com"]',
        "own_certificate": '"certs"',
        "tls_certificate_file": '"a.pem"',
        "tls_key_file": '"a.key"',
        "resolvers": '["9.9.9.9", "1.1.1.1:53"]',
        "proxy": '"http://proxy.contoso.com:3128"',
        "proxy_credential": '"proxy"',
        "proxy_ca_file": '"roots.pem"',
        "script_folders": '["scripts", "/opt/dns"]',
        "file_folders": '["/srv/www"]',
        "log_format": '"json"',
    }
    assert set(lines) == {known.name for known in KNOWN.values() if not known.only_environment}
    file.write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))
    settings = located(file)
    assert (settings.data_folder, settings.store_url) == (Path("/srv/certwright"), "postgresql://certwright@db/certs")
    assert (settings.listen, settings.hosts, settings.log_format) == ("0.0.0.0:443", ("certs.contoso.com",), "json")
    assert settings.resolvers == ("9.9.9.9", "1.1.1.1:53")
    assert settings.script_folders == (file.parent / "scripts", Path("/opt/dns"))
    assert settings.file_folders == (Path("/srv/www"),)
    assert settings.store_password_file == file.parent / "db.password"
    assert (settings.proxy.way, settings.proxy.credential) == ("http://proxy.contoso.com:3128", "proxy")
    assert {name: settings.where(name) for name in lines} == {
        name: f"{file}, line {number}" for number, name in enumerate(lines, 1)
    }


def test_the_command_line_beats_the_environment_which_beats_the_file(file: Path) -> None:
    file.write_text('data = "/srv/file"\nlisten = "127.0.0.1:1"\nresolvers = ["1.1.1.1"]\n')
    settings = Settings.locate(
        Path("/srv/arg"), {**HOME, "CERTWRIGHT_DATA": "/srv/env", "CERTWRIGHT_LISTEN": "none"}, file=file, is_root=False
    )
    assert (settings.data_folder, settings.listen, settings.resolvers) == (Path("/srv/arg"), "none", ("1.1.1.1",))
    where = [settings.where(name) for name in ("data", "listen", "resolvers", "hosts")]
    assert where == ["--data", "CERTWRIGHT_LISTEN", f"{file}, line 3", "default"]


def test_it_is_found_where_configuration_lies_and_need_not_be_there(tmp_path: Path) -> None:
    environ = {**HOME, "XDG_CONFIG_HOME": str(tmp_path)}
    assert Settings.locate(None, environ, is_root=False).file is None
    (tmp_path / "certwright").mkdir()
    usual = tmp_path / "certwright" / "certwright.toml"
    usual.write_text('listen = "none"')
    assert Settings.locate(None, environ, is_root=False).listen == "none"
    other = tmp_path / "other.toml"
    other.write_text("")
    settings = Settings.locate(None, {**environ, "CERTWRIGHT_SETTINGS": str(other)}, is_root=False)
    assert (settings.file, settings.listen) == (other, "127.0.0.1:8480")


def test_one_that_was_named_has_to_be_there(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"There is no settings file {file}"):
        located(file)


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('\n# x\nlissten = "none"', 3, "there is no setting 'lissten'"),
        ("a = 1\n[listen]\nx = 1", 1, "there is no setting 'a'"),
        ("[listen]\nx = 1", 1, "listen takes ADDRESS:PORT"),
        ('data = "/x"\n[extra]\nlisten = "none"', 2, "there is no setting 'extra'"),
        ('data = "/x"\nresolvers = "9.9.9.9"', 2, "resolvers takes a list of addresses"),
        ("resolvers = [1]", 1, "resolvers takes a list of addresses"),
        ('listen = ["none"]', 1, "listen takes ADDRESS:PORT"),
        ("listen = 8480", 1, "listen takes ADDRESS:PORT"),
        ('data = ""', 1, "data takes a folder"),
        ('data = "/x\\ty"', 1, "data takes a folder"),
        ('log_format = "xml"', 1, "log_format takes text or json, and not 'xml'"),
        ('master_key = "c4nary"', 1, "master_key is no part of this file"),
        ('data = "~no-such-user/x"', 1, "The home folder in ~no-such-user/x is not known"),
        ('data = "/x"\nlisten = none', 2, "this is no TOML"),
        ('data = "/x"\ndata = "/y"', 2, "this is no TOML"),
        ('\nproxy = "http://user:c4nary@proxy:3128"', 2, "holds a user name or a password"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file: Path, text: str, line: int, told: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        located(file)
    assert f"{file}, line {line}" in refused.value.message
    assert told in refused.value.message
    assert "c4nary" not in " ".join(refused.value.explain())


def test_a_name_that_is_nearly_right_is_proposed(file: Path) -> None:
    file.write_text("resolver = []")
    with pytest.raises(ConfigurationError) as refused:
        located(file)
    assert refused.value.hint == "Did you mean resolvers?"


@pytest.mark.parametrize("data", [b"\xff\xfe", b"#" * 70_000])
def test_what_is_no_settings_file_is_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(ConfigurationError, match=str(file)):
        located(file)


def test_one_that_anybody_can_write_is_refused(file: Path) -> None:
    file.write_text("")
    file.chmod(0o666)
    with pytest.raises(ConfigurationError, match="Anybody can write"):
        located(file)


def test_a_variable_that_is_wrong_is_named() -> None:
    with pytest.raises(ConfigurationError, match="CERTWRIGHT_LOG_FORMAT: log_format takes text or json"):
        Settings.locate(None, {**HOME, "CERTWRIGHT_LOG_FORMAT": "xml"})


def test_an_error_that_is_found_later_is_blamed_on_where_it_was_set() -> None:
    settings = Settings.locate(None, {**HOME, "CERTWRIGHT_RESOLVERS": "9.9.9.9;1.1.1.1"})
    with pytest.raises(ConfigurationError) as refused, settings.blaming("resolvers"):
        raise ConfigurationError("It is none.")
    assert refused.value.message == "CERTWRIGHT_RESOLVERS: resolvers cannot be used: It is none."
    assert "with commas between them" in refused.value.hint


@pytest.mark.parametrize(
    "store",
    ["postgresql://ann:c4nary@db/certs", "postgresql://ann@db/certs?password=c4nary&sslmode=require"],
)
def test_nothing_secret_is_shown(store: str) -> None:
    environ = {**HOME, "CERTWRIGHT_STORE": store, "CERTWRIGHT_MASTER_KEY": "c4nary"}
    rows = shown(Settings.locate(None, environ, is_root=False))
    assert [row.name for row in rows] == list(KNOWN)
    assert "c4nary" not in repr(rows)
    (key,) = [row for row in rows if row.name == "master_key"]
    assert (key.value, key.where) == ("given, and not shown", "CERTWRIGHT_MASTER_KEY")
