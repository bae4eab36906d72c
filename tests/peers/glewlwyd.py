"""Glewlwyd from Debian: an OpenID provider that demands PKCE, names itself in its answers, and knows groups."""

import gzip
import http.cookiejar
import json
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from peers.daemons import HOST, running, short_folder
from peers.debian import require
from peers.ports import free_port

CLIENT, SECRET = "certwright", "a:secret+of/the&client%"
_PASSWORD = "correct horse battery"
_SCHEMA = Path("/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz")
_MODULES = Path("/usr/lib/glewlwyd")
_SECONDS = 30
_CONFIGURATION = """
port={port}
bind_address="{host}"
external_url="http://{host}:{port}"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="INFO"
admin_scope="g_admin"
profile_scope="g_profile"
hash_algorithm="SHA512"
user_module_path="{modules}/user"
client_module_path="{modules}/client"
user_auth_scheme_module_path="{modules}/scheme"
plugin_module_path="{modules}/plugin"
database = {{ type="sqlite3" path="{folder}/database" }}
"""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class _Browser:
    """Keeps cookies, and follows no redirect."""

    base: str

    def __post_init__(self) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(_Stay, cookies)

    def ask(self, method: str, path: str, data: Any = None) -> tuple[str, bytes]:
        """Where the answer leads, and what it says."""
        body = None if data is None else json.dumps(data).encode()
        url = path if path.startswith("http") else f"{self.base}/api/{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                return "", answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                if answer.code != HTTPStatus.FOUND:
                    raise RuntimeError(f"{url} answered {answer.code}: {answer.read()!r}") from None
                return answer.headers["Location"], b""


class Glewlwyd:
    """The provider."""

    def __init__(self, base: str) -> None:
        self.issuer = f"{base}/api/oidc"
        self._base = base
        self._admin = _Browser(base)
        self._admin.ask("POST", "auth/", {"username": "admin", "password": "password"})
        users = json.loads(self._admin.ask("GET", "mod/user/database")[1])
        users["parameters"]["data-format"]["groups"] = {"multiple": True, "read": True, "write": True}
        self._admin.ask("PUT", "mod/user/database", users)
        self._admin.ask("PUT", "mod/reload/")
        self._admin.ask("POST", "mod/plugin/", _plugin(self.issuer))

    def register(self, redirect_uri: str) -> None:
        """Know the client, which is sent back there."""
        client = {
            "client_id": CLIENT,
            "enabled": True,
            "confidential": True,
            "client_secret": SECRET,
            "redirect_uri": [redirect_uri],
            "authorization_type": ["code"],
            "token_endpoint_auth_method": ["client_secret_post"],
            "scope": ["openid"],
        }
        known = json.loads(self._admin.ask("GET", "client/")[1])
        if any(each["client_id"] == CLIENT for each in known):
            self._admin.ask("PUT", f"client/{CLIENT}", client)
        else:
            self._admin.ask("POST", "client/", client)

    def person(self, name: str, groups: Sequence[str]) -> None:
        """Know somebody who is in these groups."""
        person = {"username": name, "password": _PASSWORD, "enabled": True, "scope": ["openid", "g_profile"]}
        known = json.loads(self._admin.ask("GET", "user/")[1])
        if any(each["username"] == name for each in known):
            self._admin.ask("PUT", f"user/{name}", {**person, "groups": list(groups)})
        else:
            self._admin.ask("POST", "user/", {**person, "groups": list(groups)})

    def sign_in(self, name: str, url: str) -> str:
        """Where a browser is led from the address to which a client sent it, once somebody has signed in there."""
        browser = _Browser(self._base)
        browser.ask("POST", "auth/", {"username": name, "password": _PASSWORD})
        browser.ask("PUT", f"auth/grant/{CLIENT}", {"scope": "openid"})
        return browser.ask("GET", f"{url}&g_continue")[0]

    def sign_out(self, name: str, url: str) -> None:
        """Take a browser of somebody who is signed in there, from the address to which a client sent it; it stays."""
        browser = _Browser(self._base)
        browser.ask("POST", "auth/", {"username": name, "password": _PASSWORD})
        browser.ask("GET", url)


def _plugin(issuer: str) -> dict[str, Any]:
    key = rsa.generate_private_key(65537, 2048)
    switched_on = ("auth-type-code-enabled", "auth-type-id-token-enabled", "auth-type-code-revoke-replayed")
    told = ("pkce-allowed", "pkce-required", "oauth-as-iss-id", "jwks-show", "session-management-allowed")
    off = ("token", "none", "password", "client", "device", "refresh")
    claims = [
        {"name": claim, "user-property": of, "type": "string", "mandatory": True}
        for claim, of in (("groups", "groups"), ("preferred_username", "username"))
    ]
    parameters = {
        "iss": issuer,
        "jwt-type": "rsa-pss",
        "jwt-key-size": "256",
        "key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "cert": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "access-token-duration": 3600,
        "refresh-token-duration": 3600,
        "code-duration": 600,
        "session-cookie-name": "GLEWLWYD2_OIDC_SID",
        "session-cookie-expiration": 3600,
        "front-channel-logout-allowed": False,
        "back-channel-logout-allowed": False,
        "subject-type": "public",
        "address-claim": {"type": "no"},
        "claims": claims,
        "allowed-scope": ["openid"],
        **dict.fromkeys((*switched_on, *told), True),
        **{f"auth-type-{each}-enabled": False for each in off},
    }
    return {"module": "oidc", "name": "oidc", "display_name": "OpenID", "parameters": parameters}


@contextmanager
def glewlwyd() -> Iterator[Glewlwyd]:
    """One that knows nobody yet."""
    require("glewlwyd")
    port = free_port()
    with short_folder("glewlwyd") as folder:
        connection = sqlite3.connect(folder / "database")
        with gzip.open(_SCHEMA, "rt") as schema:
            connection.executescript(schema.read())
        connection.close()
        configuration = folder / "glewlwyd.conf"
        configuration.write_text(_CONFIGURATION.format(host=HOST, port=port, folder=folder, modules=_MODULES))
        command: list[str | Path] = ["/usr/bin/glewlwyd", "--config-file", configuration]
        with running(command, [port], folder / "output"):
            yield Glewlwyd(f"http://{HOST}:{port}")
