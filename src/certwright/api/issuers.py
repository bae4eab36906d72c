"""`/issuers`: the configured accounts at authorities."""

from fastapi import APIRouter
from pydantic import BaseModel

from certwright.api.access import READS, UsesEngine
from certwright.api.problems import answers
from certwright.domain.managed import IssuerCapabilities

router = APIRouter(tags=["issuers"])


class Issuer(BaseModel):
    """An account at an authority; nothing of it is secret.

    `name` is what the user calls it, `authority` what the authority is called, `kind` the plugin.
    """

    name: str
    authority: str
    kind: str
    capabilities: IssuerCapabilities


@router.get("/issuers", dependencies=[READS], responses=answers())
def list_issuers(engine: UsesEngine) -> list[Issuer]:
    """All issuers, by name."""
    with engine.store.read() as unit:
        found = unit.issuers.list()
    return [Issuer(name=i.name, authority=i.title, kind=i.kind, capabilities=i.capabilities) for i in found]
