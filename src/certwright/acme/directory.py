"""The directory: where a CA keeps everything else (RFC 8555 section 7.1.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from certwright.acme.transport import Response
from certwright.acme.wire import Fields

LIFETIME = 12 * 3600.0
"""Seconds for which a client believes a directory that it has read."""


@dataclass(frozen=True, slots=True)
class Meta:
    """What the CA says about itself."""

    terms_of_service: str | None = None
    website: str | None = None
    caa_identities: tuple[str, ...] = ()
    """The domain names that CAA records may name for this CA."""
    external_account_required: bool = False
    profiles: Mapping[str, str] = field(default_factory=dict)
    """Profile name -> its description (draft-ietf-acme-profiles)."""


@dataclass(frozen=True, slots=True)
class Directory:
    """The URLs of one CA."""

    new_nonce: str
    new_account: str
    new_order: str
    revoke_cert: str | None
    key_change: str | None
    renewal_info: str | None
    """None: this CA does not speak RFC 9773."""
    meta: Meta

    @classmethod
    def parse(cls, response: Response) -> "Directory":
        """Read it; UnexpectedAnswer if it is none."""
        fields = Fields.of(response, "directory")
        meta = fields.object("meta")
        return cls(
            new_nonce=fields.url("newNonce"),
            new_account=fields.url("newAccount"),
            new_order=fields.url("newOrder"),
            revoke_cert=fields.url_or_none("revokeCert"),
            key_change=fields.url_or_none("keyChange"),
            renewal_info=fields.url_or_none("renewalInfo"),
            meta=Meta(
                terms_of_service=meta.text_or_none("termsOfService"),
                website=meta.text_or_none("website"),
                caa_identities=meta.texts("caaIdentities"),
                external_account_required=meta.flag("externalAccountRequired"),
                profiles=meta.map("profiles"),
            ),
        )


Directories: TypeAlias = dict[str, tuple[Directory, float]]
"""What was read, by the directory's URL, and the monotonic moment until which it is believed."""
