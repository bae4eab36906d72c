"""What of the Compose specification our file uses, read strictly: a word that is not in the specification is an error.

https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Span = Annotated[str, StringConstraints(pattern=r"^(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$", min_length=2)]
Image = Annotated[str, StringConstraints(pattern=r"^[a-z0-9._-]+(:[\w.-]+)?$")]
"""A short name: no registry's host is named."""


class Strict(BaseModel):
    """Nothing beside what is listed."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Build(Strict):
    """From what an image is built."""

    context: str
    dockerfile: str


class ServiceSecret(Strict):
    """A secret as one service gets it; `mode` is octal."""

    source: Name
    uid: Annotated[str, StringConstraints(pattern=r"^\d+$")] | None = None
    gid: Annotated[str, StringConstraints(pattern=r"^\d+$")] | None = None
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")] | None = None


class Condition(Strict):
    """When another service has come far enough."""

    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class HealthCheck(Strict):
    """A command and its times."""

    test: Annotated[list[str], Field(min_length=2)]
    interval: Span
    timeout: Span
    retries: Annotated[int, Field(gt=0)]
    start_period: Span | None = None

    @model_validator(mode="after")
    def _is_a_command(self) -> Self:
        if self.test[0] != "CMD":
            raise ValueError("the first word is CMD: no shell is needed")
        return self


class Service(Strict):
    """One service."""

    image: Image
    build: Build | None = None
    environment: dict[Name | Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")], str] = {}
    secrets: list[Name | ServiceSecret] = []
    depends_on: dict[Name, Condition] = {}
    healthcheck: HealthCheck
    restart: Literal["no", "always", "on-failure", "unless-stopped"]
    stop_grace_period: Span | None = None
    read_only: bool = False
    tmpfs: list[str] = []
    cap_drop: list[str] = []
    security_opt: list[str] = []
    sysctls: dict[str, str] = {}
    volumes: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+:/[\w/.-]+$")]] = []


class Secret(Strict):
    """A secret from a variable of whoever starts it."""

    environment: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")]


class Compose(Strict):
    """The file, without the parts that only others refer to (`x-...`)."""

    name: Name
    services: dict[Name, Service]
    volumes: dict[Name, None]
    secrets: dict[Name, Secret]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file, checked."""
        found: dict[str, Any] = yaml.safe_load(path.read_text())
        return cls.model_validate({key: value for key, value in found.items() if not key.startswith("x-")})

    @model_validator(mode="after")
    def _names_what_is_there(self) -> Self:
        for name, service in self.services.items():
            wanted = {volume.partition(":")[0] for volume in service.volumes}
            if missing := wanted - self.volumes.keys():
                raise ValueError(f"{name}: no volume {missing}")
            given = {each if isinstance(each, str) else each.source for each in service.secrets}
            if missing := given - self.secrets.keys():
                raise ValueError(f"{name}: no secret {missing}")
            if given and service.read_only:
                raise ValueError(f"{name}: a secret from a variable is copied into the container, which is read-only")
            if missing := service.depends_on.keys() - self.services.keys():
                raise ValueError(f"{name}: no service {missing}")
        return self
