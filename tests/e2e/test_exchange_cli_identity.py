"""Signing in to Exchange from the command line: each thing that can be in the way is told in its own words."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations, repeat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certwright.domain.certificates import CertificateFacts
from certwright.exchange_simulator import Access, Intercepted, RoleGroup, Scheme
from certwright.exchange_simulator.certificates import self_signed
from peers import kerberos
from peers.ports import free_port
from peers.powershell import PASSWORD, USERNAME, ForwardProxy, Relay, Simulated, simulated
from world import processes
from world.contoso import OUTBOUND, Contoso, contoso
from world.contoso import PASSWORD as CONTOSO_PASSWORD
from world.contoso import USERNAME as CONTOSO_USER
from world.hurry import command_line
from world.processes import Ended
from world.site import Site

pytestmark = [pytest.mark.e2e, kerberos.BUILDS_LIBRARIES]

SERVER = "ex01.contoso.test"
WRONG = "hunter2"
PROGRESS = re.compile(r"^\d\d:\d\d:\d\d ")


@dataclass(frozen=True)
class Told:
    """What a person reads: what happened, and the rest with what to do."""

    message: str
    whole: str


@contextmanager
def installed(folder: Path, username: str = USERNAME, password: str = PASSWORD) -> Iterator[Site]:
    """An installation that knows the right password and a wrong one."""
    folder.mkdir()
    site = Site(folder).initialise()
    for name, word in (("right", password), ("wrong", WRONG)):
        site.cli(
            "credential", "add", "exchange", name, "--username", username, "--password-file", "-", given=word, code=0
        )  # fmt: skip
    yield site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with installed(tmp_path_factory.mktemp("identity") / "site") as made:
        yield made


def run(site: Site, *arguments: str, environment: Mapping[str, str] | None = None) -> Ended:
    """A command, in what else its environment is."""
    together = {**site.environment, **(environment or {})}
    ended = processes.run(command_line, *arguments, folder=site.folder, environment=together)
    assert "Traceback" not in ended.told
    assert WRONG not in ended.told
    return ended


def discovered(site: Site, url: str, *options: str, server: str = SERVER, **environment: str) -> Ended:
    """`exchange discover` at `url`."""
    reach = ["--server", server, "--endpoint", f"{server}={url}"]
    return run(site, "exchange", "discover", *reach, *options, environment=environment)


def told(ended: Ended) -> Told:
    """The error that a command ended in."""
    assert ended.code == 1, ended.told
    lines = [line for line in ended.err.splitlines() if line and not PROGRESS.match(line)]
    assert len(lines) > 1, f"there is nothing to do about it:\n{ended.err}"
    return Told(lines[0], "\n".join(lines))


def basic(one: Simulated, folder: Path, credential: str = "right") -> list[str]:
    """How to sign in by the password itself."""
    root = folder / f"root-{id(one)}.pem"
    root.write_bytes(one.authorities)
    return ["--auth", "basic", "--credential", credential, "--ca-file", str(root)]


NTLM = ["--auth", "ntlm", "--credential", "right"]


@pytest.fixture(scope="module")
def one() -> Iterator[Simulated]:
    with simulated() as made:
        yield made


def refusals(site: Site, one: Simulated, folder: Path) -> Iterator[tuple[str, Told, tuple[str, ...]]]:
    """What is in the way, what is told, and the evidence and remedy that have to be in it."""
    https, http = one.server.powershell_url, one.server.powershell_http_url
    right = basic(one, folder)
    wrong = basic(one, folder, "wrong")
    yield (
        "basic password",
        told(discovered(site, https, *wrong)),
        (USERNAME, f"certwright credential add exchange wrong --username {USERNAME}"),
    )
    closed = f"127.0.0.1:{free_port()}"
    yield "refused", told(discovered(site, f"http://{closed}/PowerShell/", *NTLM)), (closed, "refused")
    nowhere = run(site, "exchange", "discover", "--server", "ex01.contoso.invalid", *NTLM)
    yield "no such name", told(nowhere), ("ex01.contoso.invalid", "DNS", "full name")
    with ForwardProxy(repeat("407 Proxy Authentication Required")) as gateway:
        url = f"{gateway.url}/PowerShell/"
        yield "gateway 407", told(discovered(site, url, *NTLM)), ("asks for a sign-in of its own", "gateway")
        proxied = told(discovered(site, https, *right, "--proxy", gateway.url))
        yield "proxy 407", proxied, (gateway.url, "407 Proxy Authentication Required")
    with ForwardProxy(repeat("200 OK")) as gateway:
        url = f"{gateway.url}/PowerShell/"
        yield "a page", told(discovered(site, url, *NTLM)), ("answered with a web page", "gateway")
    with Relay(https, "127.0.0.2") as relay:
        yield "another host", told(discovered(site, relay.url, *right)), ("127.0.0.2", "is not for this host name")
    unknown = ["--auth", "basic", "--credential", "right"]
    yield "another authority", told(discovered(site, https, *unknown)), ("is not trusted", "ca_file")
    one.server.wire.intercept(Intercepted(403))
    yield "403", told(discovered(site, http, *NTLM)), ("HTTP 403", "RemotePowerShellEnabled")
    one.server.wire.clear()
    yield "no https there", told(discovered(site, http.replace("http:", "https:"), *right)), ("speaks no https", "http")
    assert not one.organisation.mutations


def of_their_own(site: Site, folder: Path) -> Iterator[tuple[str, Told, tuple[str, ...]]]:
    """The same of servers that were set up otherwise."""
    certificate, key = self_signed("localhost", ("localhost",), now=datetime.now(UTC))
    chain = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with simulated(tls_chain=chain, tls_key=private) as made:
        url = made.server.powershell_url.replace("127.0.0.1", "localhost")
        answer = told(discovered(site, url, "--auth", "basic", "--credential", "right"))
        yield "self-signed", answer, ("self-signed certificate", "The server made it itself")
    with simulated(Access(schemes=(Scheme.NEGOTIATE,))) as made:
        answer = told(discovered(site, made.server.powershell_url, *basic(made, folder)))
        yield "only Negotiate", answer, ("does not take auth=basic", "offers Negotiate", "Choose auth=")
    with simulated(Access(schemes=(Scheme.KERBEROS,))) as made:
        answer = told(discovered(site, made.server.powershell_http_url, *NTLM))
        yield "only Kerberos", answer, ("does not take auth=ntlm", "offers Kerberos", "auth=current or kerberos")


def assert_distinct(found: Mapping[str, Told]) -> None:
    """No two sentences are the same, whatever the addresses and numbers in them."""
    for (one, first), (other, second) in combinations(found.items(), 2):
        blurred = [re.sub(r"https?://[^ ]*|\d+", "...", text.message) for text in (first, second)]
        assert blurred[0] != blurred[1], (one, other, first.message)


def test_each_obstacle_is_told_in_its_own_words(site: Site, one: Simulated, tmp_path: Path) -> None:
    found: dict[str, Told] = {}
    for what, answer, words in (*refusals(site, one, tmp_path), *of_their_own(site, tmp_path)):
        assert all(word in answer.whole for word in words), (what, words, answer.whole)
        found[what] = answer
    assert_distinct(found)


def test_a_wrong_password_by_ntlm_is_told_once(site: Site, one: Simulated) -> None:
    answer = told(discovered(site, one.server.powershell_http_url, "--auth", "ntlm", "--credential", "wrong"))
    assert f"refused the sign-in of '{USERNAME}'" in answer.message
    assert f"certwright credential add exchange wrong --username {USERNAME}" in answer.whole


def test_what_the_account_may_not_is_told_and_how_to_give_it(site: Site, tmp_path: Path) -> None:
    for name, options, missing in (
        ("looks", {"role_group": RoleGroup.VIEW_ONLY}, "Import-ExchangeCertificate"),
        ("hidden", {"hidden_cmdlets": ["Set-SendConnector"]}, "Set-SendConnector"),
    ):
        with simulated(**options) as made:
            url, sign_in = made.server.powershell_url, basic(made, tmp_path)
            seen = discovered(site, url, *sign_in)
            assert seen.code == 0, (name, seen.told)
            (line,) = (line for line in seen.out.splitlines() if "lacks rights" in line)
            assert missing in line
            assert "certwright exchange account" in line
            account = run(
                site, "exchange", "account", "--server", SERVER, "--endpoint", f"{SERVER}={url}", *sign_in
            )  # fmt: skip
            assert account.code == 1
            assert f"does not see {missing}" in account.out
            assert "exchange account --script" in account.out


# --- whole deployments by NTLM and by Kerberos, over http ------------------------------------------------------------


def deployed(organisation: Contoso, site: Site, sign_in: list[str], host: str, **environment: str) -> list[str]:
    """From discovery to `apply`; the cmdlets that changed something."""
    (server,) = organisation.servers
    exchange, windows = (url.replace("127.0.0.1", host) for url in (server.powershell_http_url, server.winrm_http_url))
    name = server.spec.fqdn
    reach = ["--server", name, "--endpoint", f"{name}={exchange}", "--winrm", f"{name}={windows}"]
    ca = organisation.ca
    ports = [word for port in organisation.verify for word in ("--verify", port)]

    def do(*arguments: str) -> str:
        ended = run(site, *arguments, environment=environment)
        assert ended.code == 0, ended.told
        return ended.out

    do("exchange", "discover", *reach, *sign_in)
    assert "Judged against" in do("exchange", "names")
    made = do(
        "exchange", "setup", "--yes", "--json", "--email", "postmaster@contoso.test", *ports, *ca.http_options,
        "--directory", ca.server.directory_url, "--directory-ca-file", str(ca.server.ca_file),
    )  # fmt: skip
    managed = str(json.loads(made)["id"])
    do("certificate", "request", managed)
    do("exchange", "acknowledge", OUTBOUND)
    planned = json.loads(do("exchange", "plan", managed, "--json"))
    do("exchange", "apply", managed, "--plan", planned[0]["hash"][:8])
    facts = organisation.ca.server.issued[-1].certificate
    assert set(organisation.served().values()) == {CertificateFacts.of(facts).sha256}
    return organisation.mutations


def test_a_deployment_by_ntlm_over_http(tmp_path: Path) -> None:
    with (
        contoso(tmp_path / "exchange", ("EX01",)) as organisation,
        installed(tmp_path / "site", CONTOSO_USER, CONTOSO_PASSWORD) as site,
    ):
        assert "Import-ExchangeCertificate" in deployed(organisation, site, NTLM, "127.0.0.1")


@dataclass(frozen=True)
class Realm:
    """A running realm with the organisation's account, and the key table of its servers."""

    realm: kerberos.Realm
    keytab: Path
    user: str

    def cache(self, path: Path) -> dict[str, str]:
        """The environment of somebody with these tickets."""
        return {name: value for name, value in self.realm.environment(path).items() if name.startswith("KRB5")}


@pytest.fixture(scope="module")
def domain() -> Iterator[Realm]:
    with kerberos.realm() as realm:
        user = realm.add_user(CONTOSO_USER.partition("@")[0], CONTOSO_PASSWORD)
        yield Realm(realm, realm.add_service("HTTP/localhost"), user)


@contextmanager
def kerberised(keytab: str, folder: str) -> Iterator[tuple[Contoso, Site]]:
    """In the other process: an organisation that takes Kerberos alone."""
    access = Access(schemes=(Scheme.KERBEROS,), keytab=Path(keytab))
    with ExitStack() as stack:
        organisation = stack.enter_context(contoso(Path(folder) / "exchange", ("EX01",), access=access))
        site = stack.enter_context(installed(Path(folder) / "site", CONTOSO_USER, CONTOSO_PASSWORD))
        yield organisation, site


def by_ticket(keytab: str, folder: str, environment: dict[str, str]) -> list[str]:
    """In the other process: a whole deployment with the tickets of the current user."""
    with kerberised(keytab, folder) as (organisation, site):
        return deployed(organisation, site, ["--auth", "current"], "localhost", **environment)


def in_the_way(keytab: str, folder: str, scenes: dict[str, tuple[list[str], dict[str, str]]]) -> dict[str, list[str]]:
    """In the other process: what is told where Kerberos does not come about."""
    with kerberised(keytab, folder) as (organisation, site):
        url = organisation.servers[0].powershell_http_url.replace("127.0.0.1", "localhost")
        found = {
            what: told(discovered(site, url, *options, **environment))
            for what, (options, environment) in scenes.items()
        }
        assert not organisation.mutations
    return {what: [one.message, one.whole] for what, one in found.items()}


def test_a_deployment_by_a_ticket_over_http(domain: Realm, tmp_path: Path) -> None:
    tickets = domain.realm.kinit(domain.user, CONTOSO_PASSWORD)
    arguments = (str(domain.keytab), str(tmp_path), domain.cache(tickets))
    assert "Import-ExchangeCertificate" in domain.realm.run(by_ticket, *arguments, cache=tickets)


def test_each_obstacle_of_kerberos_is_told_in_its_own_words(domain: Realm, tmp_path: Path) -> None:
    realm = domain.realm
    expired = realm.expired_tickets(domain.user, CONTOSO_PASSWORD)
    good = domain.cache(realm.kinit(domain.user, CONTOSO_PASSWORD))
    stranger = ["--auth", "current", "--service-host", "balancer.contoso.test"]
    scenes = {
        "no ticket": (["--auth", "current"], domain.cache(tmp_path / "nothing")),
        "expired": (["--auth", "current"], domain.cache(expired)),
        "wrong password": (["--auth", "kerberos", "--credential", "wrong"], domain.cache(tmp_path / "nothing")),
        "unknown service": (stranger, good),
        "ntlm": (NTLM, good),
    }
    words = {
        "no ticket": ("There is no Kerberos ticket of the current user", "kinit"),
        "expired": ("ticket of the current user has expired", "kinit"),
        "wrong password": ("The domain refused the password", "credential add exchange wrong --username"),
        "unknown service": ("knows no service HTTP/balancer.contoso.test", "setspn -Q", "service_host"),
        "ntlm": ("it offers Kerberos", "auth=current or kerberos"),
    }
    answers = realm.run(in_the_way, str(domain.keytab), str(tmp_path), scenes)
    found = {what: Told(*lines) for what, lines in answers.items()}
    for what, wanted in words.items():
        assert all(word in found[what].whole for word in wanted), (what, found[what].whole)
    assert_distinct(found)
