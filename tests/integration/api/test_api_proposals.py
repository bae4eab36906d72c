"""What a new certificate could be, over the API: by typed names, a web server, or a file."""

import base64
from datetime import UTC, datetime

from certwright.domain.keys import KeyType
from peers.old_tls import s_server
from peers.ports import free_port
from world.api import Service
from world.existing import existing

PASSWORD = "an unlikely word"


def test_names_are_judged_one_by_one(service: Service) -> None:
    client = service.client("edit", "read")
    told = client.ended(client.ask("POST", "/proposals/names", {"names": ["www.contoso.com", "ex01", "a b"]}))["result"]
    assert [(each["text"], each["name"], each["usable"]) for each in told["names"]] == [
        ("www.contoso.com", "www.contoso.com", True),
        ("ex01", "ex01", False),
        ("a b", None, False),
    ]
    assert (told["present"], told["place"], told["key_type"]) == (None, None, None)


def test_what_a_web_server_presents_is_proposed(service: Service) -> None:
    client = service.client("manage", "read")
    made = existing(service.folder, "www.contoso.com", now=datetime.now(UTC), kind=KeyType.RSA_3072)
    with s_server(service.folder, made.files) as port:
        wanted = {"host": "127.0.0.1", "port": port}
        told = client.ended(client.ask("POST", "/proposals/server", wanted))["result"]
    assert [each["name"] for each in told["names"]] == ["www.contoso.com", "127.0.0.1"]
    assert (told["key_type"], told["present"]["issuer"]) == ("rsa-3072", "CN=Fabrikam CA")
    assert told["place"] == {"host": "127.0.0.1", "port": port, "starttls": None, "name": None}
    gone = client.ended(client.ask("POST", "/proposals/server", {"host": "127.0.0.1", "port": free_port()}))
    assert "refuses the connection" in gone["job"]["fault"]["message"]
    assert client.ask("POST", "/proposals/server", {"host": "https://www.contoso.com/"}).status == 422


def test_a_file_is_proposed_and_nothing_secret_of_it_is_kept(service: Service) -> None:
    client = service.client("manage", "read")
    made = existing(service.folder, "www.contoso.com", now=service.clock())
    sent = {"content": base64.b64encode(made.pfx(PASSWORD).read_bytes()).decode(), "password": PASSWORD}
    told = client.ended(client.ask("POST", "/proposals/file", sent))
    assert [each["name"] for each in told["result"]["names"]] == ["www.contoso.com"]
    assert (told["result"]["key_type"], told["result"]["remarks"]) == ("ecdsa-p384", [])
    wrong = client.ended(client.ask("POST", "/proposals/file", sent | {"password": "wrong"}))
    assert "the password is wrong" in wrong["job"]["fault"]["message"]
    for kept in (service.folder / "data").rglob("*"):
        assert not kept.is_file() or PASSWORD.encode() not in kept.read_bytes()
    for path in ("server", "file"):
        assert service.client("edit").ask("POST", f"/proposals/{path}", sent).status == 403
