"""`/certificates`: what is to be kept valid is described, changed and removed."""

from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field, SecretStr, StrictBool

from certwright.api.access import EDITS, REMOVES, UsesEngine, Wakes
from certwright.api.certificates import Certificate, Renewal, get_certificate
from certwright.api.changes import CHANGES, GUARDED, READS_FILES, Body, Id, Line, Revision, pem_or_base64, show_place
from certwright.api.repeats import RepeatableRoute
from certwright.domain.identifiers import MAX_NAMES
from certwright.domain.keys import MAX_KEY_FILE, KeyType
from certwright.domain.managed import Tags
from certwright.domain.validation import Validation
from certwright.engine import managed
from certwright.engine.change import Change, change, preview_change
from certwright.engine.key_files import read_private_key
from certwright.engine.managed import KeyWish, Wish

router = APIRouter(tags=["certificates"], route_class=RepeatableRoute)
_MOST_VALIDATIONS = 100
_MOST_ISSUERS = 10
Names = Annotated[
    list[str], Field(min_length=1, max_length=MAX_NAMES, examples=[["mail.contoso.com", "autodiscover.contoso.com"]])
]
Issuers = Annotated[
    list[Line],
    Field(
        min_length=1,
        max_length=_MOST_ISSUERS,
        description="Who signs it; the others stand in while the first fails by a fault of its own.",
        examples=[["letsencrypt"]],
    ),
]
Validations = Annotated[
    list[Validation],
    Field(
        min_length=1,
        max_length=_MOST_VALIDATIONS,
        description="How the names are proved; one of them may be without `names`, for all that no rule fits.",
        examples=[[{"challenge": "dns-01", "solver": "dns", "params": {"credential": "cloudflare"}}]],
    ),
]


class Key(Body):
    """Where the key comes from: made here, of a `type`; or your own, or a signing request of yours."""

    type: KeyType | None = Field(default=None, description="The kind of key that is made [default: rsa-2048].")
    reuse: StrictBool = Field(default=False, description="Keep the key when it is renewed.")
    private_key: SecretStr | None = Field(
        default=None, max_length=2 * MAX_KEY_FILE, description="Your own: PEM, or DER or PFX in base64."
    )
    password: SecretStr | None = Field(default=None, max_length=1000, description="Of that key, if it is encrypted.")
    request: str | None = Field(
        default=None, max_length=MAX_KEY_FILE, description="Your own signing request, as PEM; its key stays with you."
    )

    def wish(self) -> KeyWish:
        """As the engine takes it.

        Raises:
            InvalidMaterial: if the key cannot be read.
        """
        password = self.password.get_secret_value().encode() if self.password else None
        given = pem_or_base64(self.private_key.get_secret_value(), "private key") if self.private_key else None
        own = None if given is None else read_private_key(given, password)
        return KeyWish(self.type, own, None if self.request is None else self.request.encode(), self.reuse)


class NewCertificate(Body):
    """A certificate that is to be kept valid."""

    names: Names
    issuers: Issuers
    validations: Validations = Field(default=[Validation()])
    title: Line | None = Field(default=None, description="What you call it [default: its first name].")
    key: Key = Key()
    profile: Line | None = Field(default=None, description="The authority's profile.", examples=["classic"])
    preferred_chain: Line | None = Field(default=None, description="Choose the chain with this issuer.")
    pfx_password_credential: Line | None = Field(default=None, description="Credential for exported PFX files.")
    window: Line | None = Field(default=None, description="The maintenance window in which it is deployed.")
    tags: Tags = Field(default=(), description="By which it is found.", examples=[["mail"]])
    waits: StrictBool = Field(
        default=False, description="It is held back until somebody requests it, as what is described on the pages is."
    )

    def wish(self) -> Wish:
        """As the engine takes it."""
        key = self.key.wish()
        return Wish(
            names=tuple(self.names),
            issuer=self.issuers[0],
            fallback_issuers=tuple(self.issuers[1:]),
            validation=self.validations[0],
            others=tuple(self.validations[1:]),
            title=self.title,
            key_type=key.kind,
            own_key=key.own_key,
            own_csr=key.own_csr,
            reuse_key=key.is_reused,
            profile=self.profile,
            preferred_chain=self.preferred_chain,
            pfx_password_credential=self.pfx_password_credential,
            window=self.window,
            tags=self.tags,
            waits=self.waits,
        )


class ChangedCertificate(Body):
    """What is to be another; what is left out stays. Null takes away a profile, a preferred chain or a credential."""

    names: Names | None = None
    issuers: Issuers | None = None
    validations: Validations | None = None
    title: Line | None = None
    key: Key | None = None
    profile: Line | None = None
    preferred_chain: Line | None = None
    pfx_password_credential: Line | None = None

    def change(self) -> Change:
        """As the engine takes it."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        staying = [name for name in ("names", "issuers", "validations", "title", "key") if given.get(name) is None]
        wanted = {name: value for name, value in given.items() if name not in staying}
        if self.key and "key" in wanted:
            wanted["key"] = self.key.wish()
        return cast("Change", wanted)


class Foreseen(BaseModel):
    """What a change would come to: the fields that differ, as they are and as they would be, and whether it is due."""

    before: dict[str, Any]
    after: dict[str, Any]
    renewal: Renewal


@router.post("/certificates", dependencies=[EDITS], status_code=HTTPStatus.CREATED, responses=CHANGES | READS_FILES)
def post_certificate(engine: UsesEngine, wanted: NewCertificate, wake: Wakes, response: Response) -> Certificate:
    """Describe a certificate that is to be kept valid; it is due at once, unless it `waits`."""
    made = managed.create(engine, wanted.wish())
    wake()
    show_place(response, "certificates", made.id)
    return get_certificate(engine, made.id, response)


@router.patch("/certificates/{id}", dependencies=[EDITS], responses=GUARDED | READS_FILES)
def patch_certificate(
    engine: UsesEngine,
    id: Id,  # noqa: A002 - the API's word
    wanted: ChangedCertificate,
    revision: Revision,
    wake: Wakes,
    response: Response,
) -> Certificate:
    """Change it; a new version is due if what is issued depends on what changes."""
    change(engine, id, wanted.change(), revision)
    wake()
    return get_certificate(engine, id, response)


@router.post("/certificates/{id}/change/preview", dependencies=[EDITS], responses=CHANGES | READS_FILES)
def post_change_preview(engine: UsesEngine, id: Id, wanted: ChangedCertificate) -> Foreseen:  # noqa: A002 - the API's word
    """Say what a change would come to, and whether a new version would be due; nothing is changed."""
    found = preview_change(engine, id, wanted.change())
    return Foreseen(before=found.before, after=found.after, renewal=Renewal.of(found.renewal))


@router.delete("/certificates/{id}", dependencies=[REMOVES], status_code=HTTPStatus.NO_CONTENT, responses=GUARDED)
def delete_certificate(engine: UsesEngine, id: Id, revision: Revision) -> None:  # noqa: A002 - the API's word
    """Stop managing it, and forget its versions and keys; refused while a task has it in use."""
    managed.remove(engine, id, revision)
