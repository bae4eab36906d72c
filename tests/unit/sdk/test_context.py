"""What plugins are handed shows no secret by accident."""

from certwright.domain.certificates import CertificateFacts
from certwright.domain.identifiers import Identifier
from certwright.sdk.context import Credential, Material
from certwright.sdk.solver import Challenge
from unit.domain.workshop import ec_key, leaf

CANARY = "hunter2-canary"


def test_a_credential_does_not_show_its_password() -> None:
    credential = Credential("exchange", "CONTOSO\\svc", CANARY)
    assert CANARY not in f"{credential} {credential!r}"
    assert "svc" in repr(credential)


def test_a_key_authorization_is_not_shown() -> None:
    challenge = Challenge(Identifier.parse("mail.contoso.com"), "http-01", "token", f"token.{CANARY}")
    assert CANARY not in f"{challenge} {challenge!r}"


def test_a_key_is_not_shown() -> None:
    certificate = leaf("mail.contoso.com")
    material = Material(CertificateFacts.of(certificate), (certificate,), ec_key())
    assert "key=<" not in repr(material)
    assert "PrivateKey" not in repr(material)
