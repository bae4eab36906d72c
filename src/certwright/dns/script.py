"""Programs of yours create and delete the TXT records, for a DNS service that nothing else here speaks to.

Each is run once for a record, without a shell, with these arguments:

1. the record's name, `_acme-challenge.mail.contoso.com`
2. its value, 43 characters; the first may be a hyphen
3. the zone, `contoso.com`
4. the name within the zone, `_acme-challenge.mail`; `@` for the zone itself

The environment is that of Certwright, without its own variables, and with two more: `CERTWRIGHT_ACTION` is `create` or
`delete`, so that one program can do both; `CERTWRIGHT_SECRET` is what you stored as `secret`, if you did. A program
ends with status 0 when the record is there, or is gone, respectively: also if it was before. What else stands at the
name must stay. What it prints is in the run's journal, without the secret. When it has ended, what it has left in the
background is ended, too, unless that has begun a session of its own (`setsid`).

Programs are run from folders that the administrator has named in the environment of Certwright, in
`CERTWRIGHT_SCRIPT_FOLDERS` (separated as in `PATH`), and only if nobody but root and the user that Certwright runs as
may write to the program or to a folder above it. On Windows only the place is looked at, not who may write there; a
program that takes too long is ended, but not what it has started; and batch files are refused, as Windows gives them to
a shell.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, field_validator

from certwright.domain.errors import CertwrightError, SolverError
from certwright.sdk.dns import DnsContext, DnsProvider, TxtRecord
from certwright.sdk.pace import await_turn
from certwright.sdk.params import ExistingFile, hide_secrets
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.places import Places
from certwright.targets.program import allowed, run

Action = Literal["create", "delete"]


class Params(PluginParams):
    """The programs."""

    create: ExistingFile = Field(description="Program that creates a TXT record.")
    delete: ExistingFile = Field(description="Program that deletes a TXT record; it may be the same.")
    secret: SecretStr | None = Field(default=None, description="What they sign in with, if they need to be told.")
    timeout: float = Field(default=60, gt=0, le=3600, description="Seconds that a program may take for one record.")
    wait: float = Field(
        default=180, gt=0, le=86_400, description="Seconds until all servers of the zone show a change at most."
    )
    per_second: float = Field(
        default=2, gt=0, le=1000, description="How often each program is run in a second at most, for all records."
    )

    @field_validator("secret")
    @classmethod
    def _fits_an_environment(cls, value: SecretStr | None) -> SecretStr | None:
        if value and "\0" in value.get_secret_value():
            raise ValueError("there is a zero byte in it, which no program can be given")
        return value


class Script(DnsProvider[Params]):
    """Runs the programs, one record after the other."""

    Params = Params
    commands = True

    def __init__(self, params: Any, context: DnsContext) -> None:
        super().__init__(params, context)
        self.check_places(params, context.places)

    @classmethod
    def check_places(cls, params: Any, places: Places) -> None:
        """Both programs must be ones that the administrator has allowed."""
        for program in (params.create, params.delete):
            allowed(program, places.scripts)

    @property
    def wait(self) -> float:
        """As the administrator knows the servers."""
        return self.params.wait

    @property
    def per_second(self) -> float:
        """As the administrator knows the service."""
        return self.params.per_second

    def check(self) -> str:
        """See that both may be run; what they do only a record shows."""
        programs = dict.fromkeys(
            allowed(p, self.context.places.scripts) for p in (self.params.create, self.params.delete)
        )
        return f"{' and '.join(map(str, programs))} may be run."

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Create them, up to the first that fails."""
        for record in records:
            self._run("create", self.params.create, zone, record)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Delete each of them that can be deleted."""
        failures: list[CertwrightError] = []
        for record in records:
            try:
                self._run("delete", self.params.delete, zone, record)
            except CertwrightError as error:
                failures.append(error)
        if len(failures) > 1:
            raise SolverError(f"{len(failures)} of {len(records)} records could not be deleted.", causes=failures)
        if failures:
            raise failures[0]

    def _run(self, action: Action, program: Path, zone: str, record: TxtRecord) -> None:
        executable = allowed(program, self.context.places.scripts)
        command = [str(executable), record.name, record.value, zone, record.relative_to(zone)]
        await_turn(str(executable), self.per_second)
        with self.context.journal.step(f"{program.name}: {action} the TXT record at {record.name}") as step:
            ended = run(command, self._told(action), self.params.timeout, lambda text: hide_secrets(self.params, text))
            by_hand = self._by_hand(action, command)
            for line in ended.told:
                step.note(line)
            if ended.status is None:
                raise SolverError(
                    f"{executable} took longer than {self.params.timeout:g} s and was ended.",
                    causes=ended.told[-1:],
                    hint=f"{by_hand}\nOr store {self.context.credential!r} anew with a longer timeout.",
                    retryable=True,
                )
            if ended.status:
                raise SolverError(
                    f"{executable} did not {action} the record at {record.name}: it {ended.how}.",
                    causes=ended.told,
                    hint=by_hand,
                )

    def _told(self, action: Action) -> dict[str, str]:
        secret = {"CERTWRIGHT_SECRET": self.params.secret.get_secret_value()} if self.params.secret else {}
        return {"CERTWRIGHT_ACTION": action, **secret}

    def _by_hand(self, action: Action, command: Sequence[str]) -> str:
        """How a person runs it, without the secret."""
        secret = "CERTWRIGHT_SECRET=... " if self.params.secret else ""
        which = f", with the secret of the credential {self.context.credential!r}" if secret else ""
        return f"Run it by hand{which}: CERTWRIGHT_ACTION={action} {secret}{shlex.join(command)}"
