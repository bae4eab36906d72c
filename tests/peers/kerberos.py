"""A Kerberos realm on loopback with Debian's krb5-kdc, and the Python libraries that speak it.

No file of the system's is touched: programs find the realm through their environment.  The libraries have no wheels
for Linux; they are built once for each lock file, into a folder of their own beside the tests' environment, since
their mere presence changes what a client of "negotiate" does.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

from peers.daemons import running, short_folder
from peers.debian import require
from peers.fresh import run_fresh
from peers.ports import free_port

HOST = "127.0.0.1"
REALM = "CONTOSO.TEST"
PASSWORD = "the password"
_LOCKED = Path(__file__).parents[2] / "requirements" / "kerberos.txt"
_BUILD_SECONDS = 900
_SECONDS = 20

BUILDS_LIBRARIES = pytest.mark.timeout(_BUILD_SECONDS + 300)
"""For tests whose first use of a realm may have to build the libraries."""

_KRB5_CONF = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  qualify_shortname = ""
  udp_preference_limit = 1
  kdc_timesync = 0
  clockskew = 300
  default_rcache_name = none:
[realms]
  {realm} = {{
    kdc = {host}:{port}
    max_retries = 1
  }}
[domain_realm]
  localhost = {realm}
  .contoso.test = {realm}
"""
_KDC_CONF = """\
[kdcdefaults]
  kdc_listen = {host}:{port}
  kdc_tcp_listen = {host}:{port}
[realms]
  {realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
    max_life = 10h
    default_principal_flags = +preauth
    supported_enctypes = aes256-cts-hmac-sha1-96:normal
  }}
[logging]
  kdc = FILE:{folder}/kdc.log
"""


@dataclass(frozen=True)
class Realm:
    """A running realm.

    Attributes:
        folder: Its files, tickets and key tables.
        libraries: Where gssapi and krb5 are.
    """

    folder: Path
    libraries: Path
    _random: Iterator[int] = field(default_factory=lambda: iter(range(10_000)), repr=False)

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """What programs need to find the realm, and the tickets in `cache` (none if it is not given)."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("KRB5")},
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{cache or self.folder / 'no-tickets'}",
            "KRB5_CLIENT_KTNAME": str(self.folder / "no-keys"),
        }

    def add_user(self, name: str, password: str = PASSWORD, *, options: str = "") -> str:
        """A new user; `options` are kadmin's, for example ``-pwexpire yesterday``. Returns the principal."""
        principal = f"{name}@{REALM}"
        self._admin(f'addprinc {options} -pw "{password}" {principal}')
        return principal

    def add_service(self, *names: str) -> Path:
        """New services such as ``HTTP/localhost``, and the key table of them all."""
        table = self.folder / f"{next(self._random)}.keytab"
        for name in names:
            self._admin(f"addprinc -randkey {name}@{REALM}")
        self._admin(f"ktadd -k {table} {' '.join(f'{name}@{REALM}' for name in names)}")
        return table

    def user_keytab(self, principal: str) -> Path:
        """A key table for `principal`, whose password stays as it is."""
        table = self.folder / f"{next(self._random)}.keytab"
        self._admin(f"ktadd -norandkey -k {table} {principal}")
        return table

    def kinit(self, principal: str, password: str = PASSWORD, *options: str) -> Path:
        """A new ticket cache with a ticket for `principal`; CalledProcessError (with kinit's words) if refused."""
        cache = self.folder / f"{next(self._random)}.tickets"
        self._run(["kinit", *options, principal], given=f"{password}\n", cache=cache)
        return cache

    def expired_tickets(self, principal: str, password: str = PASSWORD) -> Path:
        """A ticket cache whose ticket has expired."""
        cache = self.kinit(principal, password, "-l", "1s")
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            told = subprocess.run(["klist", "-s"], env=self.environment(cache), check=False, timeout=_SECONDS)
            if told.returncode:
                time.sleep(1)  # the libraries, which know whole seconds, still sign in within that one
                return cache
            time.sleep(0.1)
        raise TimeoutError("the ticket does not expire")

    def run(
        self, function: Callable[..., Any], *arguments: Any, cache: Path | None = None, timeout: float = 120
    ) -> Any:
        """`run_fresh` with the libraries, in this realm, with the tickets in `cache`."""
        environment = self.environment(cache)
        return run_fresh(function, *arguments, environment=environment, libraries=self.libraries, timeout=timeout)

    def run_later(self, function: Callable[..., Any], *arguments: Any, cache: Path | None = None) -> Any:
        """As `run`, where the clock is a quarter of an hour ahead."""
        require("faketime")
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
        ahead = {**self.environment(cache), "LD_PRELOAD": str(library), "FAKETIME": "+900", "DONT_FAKE_MONOTONIC": "1"}
        return run_fresh(function, *arguments, environment=ahead, libraries=self.libraries)

    def _admin(self, query: str) -> None:
        self._run(["kadmin.local", "-r", REALM, "-q", query])

    def _run(self, command: list[str], given: str = "", cache: Path | None = None) -> None:
        environment = {**self.environment(cache), "LC_ALL": "C"}
        done = subprocess.run(
            command, input=given, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
        # kadmin.local says what went wrong and ends with 0.
        if done.returncode or "while" in done.stderr:
            raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)


@contextlib.contextmanager
def realm() -> Iterator[Realm]:
    """A realm with no user and no service yet."""
    require("krb5-kdc", "krb5-admin-server", "krb5-user")
    libraries = build_libraries()
    port = free_port(HOST)
    with short_folder("krb5") as folder:
        values = {"realm": REALM, "host": HOST, "port": port, "folder": folder}
        (folder / "krb5.conf").write_text(_KRB5_CONF.format(**values))
        (folder / "kdc.conf").write_text(_KDC_CONF.format(**values))
        (folder / "acl").touch()
        made = Realm(folder, libraries)
        made._run(["kdb5_util", "create", "-s", "-r", REALM, "-P", "the master password"])
        with _kdc(made, port):
            yield made


@contextlib.contextmanager
def _kdc(realm: Realm, port: int) -> Iterator[None]:
    command = ["/usr/bin/env", *(f"{n}={realm.environment()[n]}" for n in ("KRB5_CONFIG", "KRB5_KDC_PROFILE"))]
    with running([*command, "/usr/sbin/krb5kdc", "-n", "-r", REALM], [port], realm.folder / "output"):
        yield


def build_libraries() -> Path:
    """The folder with gssapi and krb5 as locked, built now if need be.

    Skips the test (fails it under ``CI=true``) if that cannot be done here.
    """
    require("gcc", "libc6-dev", "libkrb5-dev")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        require("python3-dev")
    digest = hashlib.sha256(_LOCKED.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = Path(sys.prefix) / "kerberos" / digest
    place.parent.mkdir(exist_ok=True)
    with (place.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the holder's build is bounded, and a dead process holds nothing
        if not place.exists():
            _build(place)
    return place


def _build(place: Path) -> None:
    unfinished = place.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    command: list[str | Path] = [
        Path(sys.prefix, "bin", "uv"),
        "pip",
        "install",
        "--python",
        sys.executable,
        "--target",
        unfinished,
    ]
    try:
        subprocess.run(
            [*command, "--no-deps", "--require-hashes", "-r", _LOCKED],
            env={**os.environ, "CFLAGS": "-O0 -g0"},  # a quarter of the work, which is most of what these tests cost
            capture_output=True,
            text=True,
            check=True,
            timeout=_BUILD_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        _unavailable(error.stderr.strip()[-1000:])
    except (OSError, subprocess.TimeoutExpired) as error:
        _unavailable(str(error))
    unfinished.rename(place)


def _unavailable(reason: str) -> NoReturn:
    message = f"gssapi and krb5 cannot be built: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
