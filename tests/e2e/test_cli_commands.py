"""The command line against a real authority: what each command does, prints, writes, and how it ends."""

import json
import shlex
import stat
import subprocess
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from certwright.acme_server import AcmeServerConfig, CaConfig, Endpoint
from certwright.acme_server.problem import ErrorType
from certwright.domain.certificates import build_request, load_certificates
from certwright.domain.formats import PfxCipher, pkcs12_bytes
from certwright.domain.identifiers import parse_all
from certwright.domain.keys import KeyType, generate, key_type, load_own_key, private_key_pem
from world.processes import Ended
from world.site import Authority, Site, authority

pytestmark = pytest.mark.e2e
_names = (f"n{number}.contoso.test" for number in count(1))


@pytest.fixture(scope="module")
def ca() -> Iterator[Authority]:
    with authority(AcmeServerConfig(ca=CaConfig(alternate_root=True))) as made:
        yield made


@pytest.fixture(scope="module")
def site(ca: Authority, tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("site"))
    made.cli("init", code=0)
    made.cli("issuer", "add", "acme", "ca", *ca.issuer_options, code=0)
    return made


def _new(site: Site, ca: Authority, *options: str, name: str | None = None, key: str | None = "ecdsa-p256") -> str:
    """Describe a certificate for a name of its own, or for `name`; the name."""
    wanted = name or next(_names)
    kind = ["--key", key] if key else []
    site.cli("certificate", "new", wanted, "--issuer", "ca", *ca.http_options, *kind, *options, code=0)
    return wanted


def _issued(site: Site, ca: Authority, *options: str, name: str | None = None, key: str | None = "ecdsa-p256") -> str:
    wanted = _new(site, ca, *options, name=name, key=key)
    site.cli("certificate", "request", wanted, code=0)
    return wanted


def _json(site: Site, *arguments: str, code: int = 0, given: str = "") -> Any:
    return json.loads(site.cli(*arguments, "--json", code=code, given=given).out)


def _leaf(site: Site, name: str) -> x509.Certificate:
    versions = _json(site, "certificate", "show", name)["versions"]
    return load_certificates(versions[0]["chain_pem"].encode())[0]


def _exported(site: Site, folder: Path, name: str, form: str, *options: str, given: str = "") -> dict[str, Path]:
    written = _json(site, "certificate", "export", name, "--to", str(folder), "--format", form, *options, given=given)
    return {Path(each["path"]).name.removeprefix(f"{name}."): Path(each["path"]) for each in written}


def _openssl(*arguments: str, given: str = "") -> str:
    ended = subprocess.run(["openssl", *arguments], input=given, capture_output=True, text=True, timeout=30, check=True)
    return ended.stdout + ended.stderr


# --- exit codes -----------------------------------------------------------------------------------


def test_exit_codes_say_how_it_ended(site: Site, ca: Authority) -> None:
    """4 (waiting for a person) is shown where Exchange is gone for good."""
    name = _new(site, ca)
    assert site.cli("certificate", "request", name).code == 0
    assert site.cli("certificate", "request", name).code == 3
    assert site.cli("certificate", "renew", name).code == 3
    assert site.cli("certificate", "request", "nobody.contoso.test").code == 2
    assert site.cli("certificate", "no-such-command").code == 2
    assert site.cli("deploy", name).code == 2
    ca.server.faults.problem_next(Endpoint.NEW_ORDER, ErrorType.RATE_LIMITED)
    assert site.cli("certificate", "request", name, "--force").code == 1


def test_what_comes_next_is_said_for_exchange_and_for_other_services(tmp_path: Path) -> None:
    told = Site(tmp_path).cli("init", code=0).out
    assert "certwright exchange discover --server SERVER, then certwright exchange setup --email YOU" in told
    assert "certwright issuer add acme letsencrypt" in told


def test_a_second_init_leaves_the_store_alone(site: Site) -> None:
    refused = site.cli("init", code=1)
    assert "There is a store in" in refused.err
    site.cli("certificate", "list", code=0)


def test_the_recovery_key_brings_a_lost_master_key_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recovery = _json(site, "init")["recovery_key"]
    site.key_file.unlink()
    lost = site.cli("certificate", "list", code=1)
    assert "master key" in lost.err
    site.cli("init", "--recover", "--recovery-key-file", "-", given=f"{recovery}\n", code=0)
    site.cli("certificate", "list", code=0)


# --- what is printed ------------------------------------------------------------------------------


def _lists_that_are_added_to(site: Site, name: str) -> None:
    """What is added stays beside what was there; what an option replaces is told with the way back."""
    change = ["task", "change", name, "exchange"]
    more = ["--add", "servers=EX02", "--add", "servers=EX01", "--add", "connectors=To A, B", "--add", "connectors=C"]
    more += ["--add", "endpoint=EX01=https://ex01/PowerShell/", "--add", "endpoint=EX02=https://ex02/PowerShell/"]
    added = _json(site, *change, *more)
    assert "No longer" not in added["message"]
    assert (added["params"]["servers"], added["params"]["connectors"]) == (["EX01", "EX02"], ["To A, B", "C"])
    endpoint = added["params"]["endpoint"]
    assert sorted(endpoint) == ["EX01", "EX02"]
    narrow = ["--server", "EX01", "--connector", "D", "--endpoint", "EX01=https://ex01/PowerShell/"]
    replaced = _json(site, *change, *narrow)
    assert (replaced["params"]["servers"], replaced["params"]["connectors"]) == (["EX01"], ["D"])
    _, *told, back_again, _ = replaced["message"].splitlines()
    assert told == [
        "No longer in servers: EX02.",
        f"No longer in endpoint: EX02={endpoint['EX02']}.",
        "No longer in connectors: To A, B, C.",
    ]
    site.cli(*shlex.split(back_again.partition("certwright ")[2]), code=0)
    back = _json(site, *change, "--unset", "connectors")
    assert (back["params"]["servers"], back["params"]["endpoint"]) == (["EX01", "EX02"], endpoint)
    assert "No longer" not in back["message"]
    for wrong in ("colour=red", "servers", "servers=", "canary=EX02"):
        assert "added" in site.cli(*change, "--add", wrong, code=2).err
    _json(site, *change, "--server", "EX01", "--unset", "endpoint")


def test_everything_that_prints_data_prints_json(site: Site, ca: Authority, tmp_path: Path) -> None:
    name = _issued(site, ca)
    site.cli("credential", "add", "exchange", "json", "--username", "u", "--password-file", "-", given="p", code=0)
    exchange = ["exchange", "--server", "EX01", "--auth", "basic", "--credential", "json", "--title", "put"]
    task = _json(site, "task", "add", name, *exchange)
    assert task["params"]["servers"] == ["EX01"]
    assert _json(site, "issuer", "list")[0]["name"] == "ca"
    used = {each["name"]: each["used_by"] for each in _json(site, "credential", "list")}
    assert used["json"] == [f"'{name}' (task 'put')"]
    assert name in {each["title"] for each in _json(site, "certificate", "list")}
    assert _json(site, "certificate", "show", name)["reason"] == "fresh"
    assert _json(site, "certificate", "log", name)[0]["outcome"] == "done"
    assert _json(site, "task", "list", name)[0]["stage"] == "new"
    assert _json(site, "task", "show", name, "put")["id"] == task["id"]
    changed = _json(
        site, "task", "change", name, "exchange", "--canary", "EX01", "--unset", "auth", "--unset", "credential"
    )
    assert changed["id"] == task["id"]
    assert changed["params"] == {"servers": ["EX01"], "canary": "EX01"}
    assert "no parameter" in site.cli("task", "change", name, "exchange", "--unset", "colour", code=2).err
    _lists_that_are_added_to(site, name)
    assert "canary" in site.cli("task", "change", name, "exchange", "--canary", "EX09", code=2).err
    assert _json(site, "certificate", "request", name, code=3)["reason"] == "fresh"
    assert _json(site, "task", "remove", name, "put")["removed"] == task["id"]
    assert _json(site, "certificate", "preview", name)["tasks"] == []
    assert _json(site, "certificate", "renew", name, code=3)[0]["issued"] is None
    assert _json(site, "certificate", "test", name)["ready"] is True
    assert _json(site, "certificate", "export", name, "--to", str(tmp_path))[0]["secret"] is False
    address = ca.server.directory_url.split("/")[2]
    assert _json(site, "probe", address, "--ca-file", str(ca.server.ca_file))["ok"] is True
    assert _json(site, "certificate", "show", "nobody", code=2)["error"]["message"]
    assert _json(site, "certificate", "revoke", name, "--reason", "superseded", "--yes")["reason"] == "superseded"
    assert _json(site, "certificate", "remove", name, "--yes")["removed"]


def test_the_log_nests_what_was_done(site: Site, ca: Authority) -> None:
    name = _issued(site, ca)
    lines = site.cli("certificate", "log", name, code=0).out.splitlines()
    assert lines[0].startswith("request ")
    step = next(line.index("Obtain the certificate from ca") for line in lines if "Obtain" in line)
    note = next(line.index("Finalized: https://") for line in lines if "Finalized" in line)
    assert note == step + 2


def test_a_question_that_is_not_answered_changes_nothing(site: Site, ca: Authority) -> None:
    name = _issued(site, ca)
    for arguments in (["revoke", name, "--reason", "superseded"], ["remove", name]):
        assert "Nothing was" in site.cli("certificate", *arguments, code=2).err
        assert "Nothing was" in site.cli("certificate", *arguments, given="n\n", code=2).err
    assert site.cli("certificate", "remove", name, given="y\n").code == 0
    site.cli("certificate", "show", name, code=2)


# --- secrets are given by file, standard input or prompt ------------------------------------------


def test_a_password_comes_from_a_file_or_from_standard_input(site: Site, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("geheim\n")
    add = ["credential", "add", "exchange"]
    site.cli(*add, "by-file", "--username", "u", "--password-file", str(tmp_path / "password"), code=0)
    site.cli(*add, "by-stdin", "--username", "u", "--password-file", "-", given="geheim\r\n", code=0)
    site.cli(*add, "by-file", "--username", "other", "--password-file", "-", given="new", code=0)
    with site.engine() as engine, engine.store.read() as unit:
        assert unit.credentials.get("by-stdin", "exchange").password == "geheim"
        assert (
            unit.credentials.get("by-file", "exchange").username,
            unit.credentials.get("by-file", "exchange").password,
        ) == ("other", "new")
    nobody = site.cli(*add, "by-prompt", "--username", "u", given="geheim\n", code=2)
    assert "nobody can be asked" in nobody.err
    assert (
        "There is a credential"
        in site.cli("credential", "add", "pfx", "by-file", "--password-file", "-", given="x", code=2).err
    )
    assert (
        "is not text" in site.cli(*add, "x", "--username", "u", "--password-file", "-", given=b"\xff\xfe", code=2).err
    )
    site.cli("credential", "remove", "by-file", code=0)
    site.cli("credential", "remove", "by-file", code=2)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ecdsa-p384", "rsa-3072"])
def test_the_kind_of_key_is_chosen(kind: str, site: Site, ca: Authority) -> None:
    name = _issued(site, ca, key=kind)
    assert key_type(_leaf(site, name).public_key()) == kind  # type: ignore[arg-type]


def test_without_a_wish_the_key_is_one_that_exchange_takes(site: Site, ca: Authority) -> None:
    name = _issued(site, ca, key=None)
    assert key_type(_leaf(site, name).public_key()) == "rsa-2048"  # type: ignore[arg-type]


def test_each_renewal_makes_a_new_key_unless_it_is_to_be_kept(site: Site, ca: Authority) -> None:
    for options, kept in (([], False), (["--reuse-key"], True)):
        name = _issued(site, ca, *options)
        before = _leaf(site, name)
        site.cli("certificate", "renew", name, "--force", code=0)
        after = _leaf(site, name)
        assert before != after
        assert (before.public_key() == after.public_key()) is kept


@pytest.mark.parametrize("form", ["pem", "pfx", "encrypted pem"])
def test_a_key_of_ones_own_is_used_whenever_it_is_renewed(form: str, site: Site, ca: Authority, tmp_path: Path) -> None:
    key = generate(KeyType.ECDSA_P256)
    (tmp_path / "password").write_text("geheim")
    (tmp_path / "key").write_bytes(_written(key, form))
    password = [] if form == "pem" else ["--key-password-file", str(tmp_path / "password")]
    name = _issued(site, ca, "--key-file", str(tmp_path / "key"), *password, key=None)
    (tmp_path / "key").unlink()
    site.cli("certificate", "renew", name, "--force", code=0)
    assert _leaf(site, name).public_key() == key.public_key()
    exported = _exported(site, tmp_path, name, "pem")
    assert load_own_key(exported["key.pem"].read_bytes()).public_key() == key.public_key()


def _written(key: Any, form: str) -> bytes:
    if form == "pem":
        return private_key_pem(key)
    if form == "encrypted pem":
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, PrivateFormat

        data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"geheim"))
        return data
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    from certwright.wiring import utc_now

    now = utc_now()
    old = (x509.CertificateBuilder(name, name, key.public_key(), 1, now, now.replace(year=now.year + 1))).sign(
        key, hashes.SHA256()
    )
    return pkcs12_bytes(key, [old], "geheim", PfxCipher.LEGACY, "old")


def test_a_signing_request_of_ones_own_keeps_its_key_where_it_is(site: Site, ca: Authority, tmp_path: Path) -> None:
    name, key = next(_names), generate(KeyType.ECDSA_P256)
    request = x509.load_der_x509_csr(build_request(parse_all([name]), key))
    (tmp_path / "request.pem").write_bytes(request.public_bytes(Encoding.PEM))
    _issued(site, ca, "--csr", str(tmp_path / "request.pem"), name=name, key=None)
    assert _leaf(site, name).public_key() == key.public_key()
    assert set(_exported(site, tmp_path / "out", name, "pem")) == {"cert.pem", "chain.pem"}
    refused = site.cli("certificate", "export", name, "--format", "pfx", "--password-file", "-", given="p", code=2)
    assert "The private key is not here" in refused.err
    assert "own signing request" in refused.err


# --- the authority's offers -----------------------------------------------------------------------


def test_profile_and_chain_are_chosen(site: Site, ca: Authority) -> None:
    name = _issued(site, ca, "--profile", "shortlived")
    leaf = _leaf(site, name)
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days < 7
    refused = site.cli("certificate", "new", "x.contoso.test", "--issuer", "ca", "--profile", "gold", code=2)
    assert "It offers: classic, tlsserver, shortlived." in refused.err

    roots = {}
    for number in (1, 2):
        preferred = _issued(site, ca, "--preferred-chain", f"Certwright Test CA Root {number}")
        chain = _json(site, "certificate", "show", preferred)["versions"][0]["chain_pem"]
        roots[number] = load_certificates(chain.encode())[-1].issuer.rfc4514_string()
    assert "Root 1" in roots[1]
    assert "Root 2" in roots[2]


# --- renewal --------------------------------------------------------------------------------------


def test_renew_gets_what_is_due_and_nothing_else(ca: Authority, tmp_path: Path) -> None:
    site = Site(tmp_path).initialise()
    site.cli("issuer", "add", "acme", "ca", *ca.issuer_options, code=0)
    names = [_new(site, ca) for _ in range(2)]
    done = _json(site, "certificate", "renew")
    assert len(done) == 2
    assert all(each["issued"] for each in done)
    assert site.cli("certificate", "renew", code=3).out.strip() == "Nothing is due."
    site.cli("certificate", "revoke", names[0], "--reason", "key-compromise", "--yes", code=0)
    (again,) = _json(site, "certificate", "renew")
    assert again["reason"] == "revoked"
    assert "would meet rate limits" in site.cli("certificate", "renew", "--force", code=2).err


def test_changed_settings_make_a_certificate_due(site: Site, ca: Authority) -> None:
    name = _issued(site, ca)
    wanted = ("--name", name, "--name", f"www.{name}")
    seen = site.cli("certificate", "change", name, *wanted, "--preview", code=0).out
    assert "identifiers: " in seen
    assert "Would be due: yes. Its names, issuer, key settings, profile or preferred chain changed" in seen
    assert "not due" in site.cli("certificate", "preview", name, code=0).out
    assert _json(site, "certificate", "change", name, *wanted)["renewal"]["due"]
    assert "It is so already." in site.cli("certificate", "change", name, *wanted, "--preview", code=0).out
    shown = site.cli("certificate", "preview", name, code=0)
    assert "Request: due. Its names, issuer, key settings, profile or preferred chain changed" in shown.out
    site.cli("certificate", "request", name, code=0)
    names = _leaf(site, name).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name, f"www.{name}"]


def test_a_change_says_what_is_to_be_another_and_leaves_the_rest(site: Site, ca: Authority) -> None:
    name = _new(site, ca, "--profile", "shortlived")
    assert "Nothing is said" in site.cli("certificate", "change", name, code=2).err
    assert "no issuer 'nobody'" in site.cli("certificate", "change", name, "--issuer", "nobody", code=2).err
    done = _json(site, "certificate", "change", name, "--title", "front", "--reuse-key", "--without", "profile")
    assert done["after"]["title"] == "front"
    with site.engine() as engine, engine.store.read() as unit:
        wanted = unit.managed.get("front")
    assert (wanted.key.type, wanted.key.source, wanted.profile) == ("ecdsa-p256", "reused", None)
    assert wanted.identifiers == parse_all([name])


# --- export ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exportable(site: Site, ca: Authority) -> str:
    site.cli("credential", "add", "pfx", "files", "--password-file", "-", given="stored\n", code=0)
    return _issued(site, ca, "--pfx-password-credential", "files", key="rsa-2048")


def _is_private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) == 0o600


def test_pem_parts_are_what_openssl_reads(site: Site, exportable: str, tmp_path: Path, ca: Authority) -> None:
    files = _exported(site, tmp_path, exportable, "pem")
    assert set(files) == {"cert.pem", "chain.pem", "key.pem"}
    assert _is_private(files["key.pem"])
    assert not _is_private(files["cert.pem"])
    verified = _openssl(
        "verify", "-CAfile", str(ca.server.ca_file), "-untrusted", str(files["chain.pem"]), str(files["cert.pem"])
    )
    assert verified.strip().endswith(": OK")
    key = _openssl("pkey", "-in", str(files["key.pem"]), "-pubout")
    assert key == _openssl("x509", "-in", str(files["cert.pem"]), "-pubkey", "-noout")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "a half-written file was left"


def test_the_full_chain_is_leaf_first(site: Site, exportable: str, tmp_path: Path) -> None:
    files = _exported(site, tmp_path, exportable, "fullchain")
    assert set(files) == {"fullchain.pem", "key.pem"}
    chain = load_certificates(files["fullchain.pem"].read_bytes())
    assert len(chain) == 2
    assert chain[0] == _leaf(site, exportable)
    assert chain[0].issuer == chain[1].subject


@pytest.mark.parametrize(
    ("cipher", "says"),
    [("legacy", "pbeWithSHA1And3-KeyTripleDES-CBC"), ("modern", "PBES2, PBKDF2, AES-256-CBC")],
)
def test_a_pfx_is_encrypted_as_asked(cipher: str, says: str, site: Site, exportable: str, tmp_path: Path) -> None:
    given = ["--cipher", cipher, "--password-file", "-"]
    (file,) = _exported(site, tmp_path, exportable, "pfx", *given, given="geheim\n").values()
    assert _is_private(file)
    read = ["pkcs12", "-in", str(file), "-passin", "stdin", "-info", "-nodes"]
    shown = _openssl(*read, given="geheim")
    assert says in shown
    assert shown.count("BEGIN CERTIFICATE") == 2
    assert "BEGIN PRIVATE KEY" in shown
    with pytest.raises(subprocess.CalledProcessError):
        _openssl(*read, given="wrong")


def test_a_pfx_takes_the_password_of_the_certificates_credential(
    site: Site, ca: Authority, exportable: str, tmp_path: Path
) -> None:
    (file,) = _exported(site, tmp_path, exportable, "pfx").values()
    assert "BEGIN PRIVATE KEY" in _openssl("pkcs12", "-in", str(file), "-passin", "stdin", "-nodes", given="stored")
    other = _issued(site, ca)
    refused = site.cli("certificate", "export", other, "--format", "pfx", "--to", str(tmp_path), code=2)
    assert "A PFX needs a password." in refused.err


def test_der_is_the_certificate_alone(site: Site, exportable: str, tmp_path: Path) -> None:
    (issuers,) = _exported(site, tmp_path, exportable, "p7b").values()
    assert _openssl("pkcs7", "-inform", "DER", "-in", str(issuers), "-print_certs", "-noout").count("subject") == 1
    (file,) = _exported(site, tmp_path, exportable, "der").values()
    assert x509.load_der_x509_certificate(file.read_bytes()) == _leaf(site, exportable)
    assert exportable in _openssl("x509", "-inform", "DER", "-in", str(file), "-noout", "-text")


def test_an_export_replaces_what_was_there_and_narrows_its_mode(site: Site, exportable: str, tmp_path: Path) -> None:
    old = tmp_path / f"{exportable}.key.pem"
    old.write_text("old")
    old.chmod(0o644)
    files = _exported(site, tmp_path, exportable, "pem")
    assert files["key.pem"] == old
    assert _is_private(old)
    assert "BEGIN PRIVATE KEY" in old.read_text()


def _refusals(ended: Sequence[Ended]) -> list[str]:
    return [each.err for each in ended]


def test_what_cannot_be_exported_is_said(site: Site, ca: Authority, exportable: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    export = ["certificate", "export"]
    refused = _refusals(
        [
            site.cli(*export, exportable, "--to", str(tmp_path / "file" / "below"), code=2),
            site.cli(*export, exportable, "--format", "jks", code=2),
            site.cli(*export, _new(site, ca), code=2),
        ]
    )
    assert "cannot be written" in refused[0]
    assert "Choose one of: pem, fullchain, pfx, der, p7b." in refused[1]
    assert "has no certificate yet" in refused[2]
