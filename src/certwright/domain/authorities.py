"""The certificate authorities that we know: where they are, what they issue, what they ask for, how much they allow.

What a directory says of itself (profiles, CAA identities) is read from it and wins; here is what no directory says.
Each entry names the page that it was taken from. An authority of one's own has no entry but `step-ca` or `custom`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import KeyType
from certwright.domain.limits import Limit, Scope

_HOURS, _DAYS = timedelta(hours=1), timedelta(days=1)
_RSA = (KeyType.RSA_2048, KeyType.RSA_3072, KeyType.RSA_4096)
_EC = (KeyType.ECDSA_P256, KeyType.ECDSA_P384)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for the certificates of one profile, or of an authority without profiles.

    None is what the authority does not say: it is asked then, and nothing is refused before.
    """

    lifetime: timedelta | None = None
    max_names: int | None = None
    ip_addresses: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One authority as it describes itself on `page`.

    `directory` is None for one that is in your house. `external_account` says where its external account binding
    comes from; it is empty if none is asked for. With `counts_replacements` false a renewal that names its predecessor
    is exempt from all limits, and with `counts_renewals` false one for the same names from those of orders and domains.
    """

    name: str
    title: str
    directory: str | None
    page: str
    terms: Terms
    profiles: Mapping[str, Terms] = field(default_factory=dict)
    wildcards: bool | None = True
    key_types: tuple[KeyType, ...] = tuple(KeyType)
    external_account: str = ""
    caa_identities: tuple[str, ...] = ()
    limits: tuple[Limit, ...] = ()
    counts_replacements: bool = True
    counts_renewals: bool = True
    is_public: bool = True
    note: str = ""

    def terms_of(self, profile: str | None) -> Terms:
        """What holds for this profile; for one that is not known here, what holds for all."""
        return self.profiles.get(profile or "", self.terms)


_PAUSE = Limit(Scope.CONSECUTIVE, 1152, 1152 * _DAYS, "temporarily prevented from requesting")
"""Let's Encrypt forgives one of them each day, and all when the name is proved."""


def _lets_encrypt(name: str, title: str, host: str, page: str, limits: tuple[Limit, ...], note: str = "") -> Authority:
    return Authority(
        name=name,
        title=title,
        directory=f"https://{host}/directory",
        page=page,
        terms=Terms(lifetime=90 * _DAYS, max_names=100, ip_addresses=False),
        profiles={
            "classic": Terms(lifetime=90 * _DAYS, max_names=100, ip_addresses=False),
            "tlsserver": Terms(lifetime=45 * _DAYS, max_names=25, ip_addresses=False),
            "shortlived": Terms(lifetime=160 * _HOURS, max_names=25, ip_addresses=True),
        },
        caa_identities=("letsencrypt.org",),
        limits=limits,
        counts_replacements=False,
        counts_renewals=False,
        note=note,
    )


def _lets_encrypt_limits(orders: int, domain: int, names: int, failures: int, accounts: int) -> tuple[Limit, ...]:
    """Its five limits with the words of its refusals, of which the more exact come first."""
    return (
        Limit(Scope.NAMES, names, 7 * _DAYS, "already issued for this exact set"),
        Limit(Scope.DOMAIN, domain, 7 * _DAYS, "already issued for"),
        Limit(Scope.ORDERS, orders, 3 * _HOURS, "too many new orders"),
        Limit(Scope.FAILURES, failures, _HOURS, "too many failed authorizations"),
        Limit(Scope.ACCOUNTS, accounts, 3 * _HOURS, "too many new registrations"),
    )


_SSLCOM = (
    "Sign in at https://secure.ssl.com, open the dashboard's API credentials, and add ACME credentials: "
    "they are the account key (the key id) and the HMAC key."
)
_SSLCOM_NOTE = "Without funds: 90 days, one name and its www., no wildcards. With funds each certificate is charged."

CATALOGUE: tuple[Authority, ...] = (
    _lets_encrypt(
        "letsencrypt",
        "Let's Encrypt",
        "acme-v02.api.letsencrypt.org",
        "https://letsencrypt.org/docs/rate-limits/",
        (*_lets_encrypt_limits(orders=300, domain=50, names=5, failures=5, accounts=10), _PAUSE),
    ),
    _lets_encrypt(
        "letsencrypt-staging",
        "Let's Encrypt, staging",
        "acme-staging-v02.api.letsencrypt.org",
        "https://letsencrypt.org/docs/staging-environment/",
        _lets_encrypt_limits(orders=1500, domain=30_000, names=30_000, failures=60, accounts=50),
        "For trials: its certificates are trusted by nobody.",
    ),
    Authority(
        name="google",
        title="Google Trust Services",
        directory="https://dv.acme-v02.api.pki.goog/directory",
        page="https://pki.goog/faq/",
        terms=Terms(lifetime=90 * _DAYS, max_names=100, ip_addresses=True),
        external_account="In a Google Cloud project with the Public CA API switched on, type: gcloud publicca "
        "external-account-keys create. What it shows is good for one account, and for seven days.",
        caa_identities=("pki.goog",),
        note="Certificates for IP addresses live ten days at most.",
    ),
    Authority(
        name="zerossl",
        title="ZeroSSL",
        directory="https://acme.zerossl.com/v2/DV90",
        page="https://zerossl.com/documentation/acme/",
        terms=Terms(lifetime=90 * _DAYS, max_names=100, ip_addresses=False),
        external_account="Sign in at https://app.zerossl.com/developer and generate EAB credentials for ACME clients.",
        caa_identities=("sectigo.com",),
    ),
    Authority(
        name="sslcom-rsa",
        title="SSL.com (RSA)",
        directory="https://acme.ssl.com/sslcom-dv-rsa",
        page="https://www.ssl.com/guide/ssl-tls-certificate-issuance-and-revocation-with-acme/",
        terms=Terms(lifetime=90 * _DAYS, ip_addresses=False),
        wildcards=None,
        key_types=_RSA,
        external_account=_SSLCOM,
        caa_identities=("ssl.com",),
        note=_SSLCOM_NOTE,
    ),
    Authority(
        name="sslcom-ecc",
        title="SSL.com (ECC)",
        directory="https://acme.ssl.com/sslcom-dv-ecc",
        page="https://www.ssl.com/guide/ssl-tls-certificate-issuance-and-revocation-with-acme/",
        terms=Terms(lifetime=90 * _DAYS, ip_addresses=False),
        wildcards=None,
        key_types=_EC,
        external_account=_SSLCOM,
        caa_identities=("ssl.com",),
        note=_SSLCOM_NOTE,
    ),
    Authority(
        name="sectigo",
        title="Sectigo (DV)",
        directory="https://acme.sectigo.com/v2/DV",
        page="https://docs.sectigo.com/scm/scm-administrator/understanding-acme-endpoints.html",
        terms=Terms(),
        wildcards=None,
        external_account="In Sectigo Certificate Manager open Enrollment, ACME, choose the endpoint, add an account: "
        "it shows the key id and the HMAC key.",
        caa_identities=("sectigo.com",),
        note="Paid. If the manager shows another address for your endpoint, give that one as --directory.",
    ),
    Authority(
        name="actalis",
        title="Actalis",
        directory="https://acme-api.actalis.com/acme/directory",
        page="https://guide.actalis.com/ssl-certificate/acme.aspx",
        terms=Terms(lifetime=90 * _DAYS, max_names=5, ip_addresses=False),
        wildcards=False,
        external_account="Sign in at https://www.actalis.com and open Manage with ACME in the customer area.",
        caa_identities=("actalis.it",),
        note="Without a paid plan: one name for each certificate.",
    ),
    Authority(
        name="step-ca",
        title="step-ca, in your house",
        directory=None,
        page="https://smallstep.com/docs/step-ca/provisioners/#acme",
        terms=Terms(),
        wildcards=None,
        is_public=False,
        note="The directory is https://HOST/acme/PROVISIONER/directory; give its root as --ca-file.",
    ),
    Authority(
        name="custom",
        title="Any other authority",
        directory=None,
        page="https://www.rfc-editor.org/rfc/rfc8555",
        terms=Terms(),
        wildcards=None,
    ),
)
_BY_NAME = MappingProxyType({authority.name: authority for authority in CATALOGUE})
_BY_DIRECTORY = MappingProxyType({authority.directory: authority for authority in CATALOGUE if authority.directory})
CUSTOM = _BY_NAME["custom"]

_GONE = MappingProxyType({"buypass": "Buypass has issued no certificates since 31 October 2025."})
"""What was an authority once, by the part of its name that its hosts have too, and what to say of it.

https://www.buypass.com/products/tls-ssl-certificates
"""


def named(name: str) -> Authority:
    """The entry of this name.

    Raises:
        ConfigurationError: if there is none; if there was one, that is said.
    """
    wanted = name.strip().lower()
    refuse_gone(wanted)
    if found := _BY_NAME.get(wanted):
        return found
    close = get_close_matches(wanted, _BY_NAME, n=1)
    raise ConfigurationError(
        f"No authority is known here by the name {name[:80]!r}.",
        hint=f"Did you mean {close[0]}?" if close else f"Choose one of {', '.join(_BY_NAME)}.",
    )


def refuse_gone(name_or_host: str) -> None:
    """Return unless that authority has ended.

    Raises:
        ConfigurationError: with what became of it.
    """
    for part, sentence in _GONE.items():
        if part in name_or_host.lower().split("."):
            raise ConfigurationError(
                sentence, hint="Choose another authority: `certwright issuer authorities` lists those that are known."
            )


def of(params: Mapping[str, Any]) -> Authority:
    """The entry that an issuer's parameters name or lead to; `CUSTOM` if there is none."""
    return _BY_NAME.get(str(params.get("authority"))) or _BY_DIRECTORY.get(str(params.get("directory")), CUSTOM)
