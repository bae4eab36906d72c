"""Runs a program of yours: before a request, after one, or when something has failed.

It is run without a shell, with the arguments that you give. The environment is that of Certwright, without its own
variables, and with these:

- `CERTWRIGHT_EVENT`: what it runs for, `before-request`, `issued`, `request-failed`, `task-failed` or `by-hand`
- `CERTWRIGHT_CERTIFICATE`: what you call the certificate
- `CERTWRIGHT_NAMES`, `CERTWRIGHT_THUMBPRINT`, `CERTWRIGHT_SHA256`, `CERTWRIGHT_NOT_AFTER`: of the current version, if
  there is one: its names with commas between them, its digests in hex, and when it ends, `2026-11-29T08:30:00+00:00`
- `CERTWRIGHT_ERROR`: what has failed, if something has
- `CERTWRIGHT_USERNAME` and `CERTWRIGHT_SECRET`: of the stored credential, if you named one

A program ends with status 0 when it has done its work: also if that was done before, as it is run once more for the
same event if the machine stops while it runs. Any other status is a failure. What it prints is in the run's journal,
without the secret. Nothing looks at what it did: such a task *ran*, which says less than that a port was seen to serve
a certificate, and nothing is taken back when it fails. When it has ended, what it has left in the background is ended,
too, unless that has begun a session of its own (`setsid`). The private key is not given to it: where it needs the
certificate, let it run `certwright certificate export`.

Programs are run from folders that the administrator has named in the environment of Certwright, in
`CERTWRIGHT_SCRIPT_FOLDERS` (separated as in `PATH`), and only if nobody but root and the user that Certwright runs as
may write to the program or to a folder above it. On Windows only the place is looked at, not who may write there; a
program that takes too long is ended, but not what it has started; and batch files are refused, as Windows gives them to
a shell.
"""

import shlex
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from certwright.domain.deployment import Change, Plan
from certwright.domain.errors import DeploymentError
from certwright.probe.wire import harmless
from certwright.sdk.context import Credential
from certwright.sdk.params import ExistingFile, credential_field, hide
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.places import Places
from certwright.sdk.task import Action
from certwright.targets.program import allowed, run

_MOST_OF_ERROR = 1000


def _words(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f"it cannot be read as words: {error}") from None
    if "\0" in text:
        raise ValueError("it has a character in it that no argument can have")
    return text


class Params(PluginParams):
    """The program."""

    program: ExistingFile = Field(description="The program to run.")
    arguments: Annotated[str, AfterValidator(_words)] = Field(
        default="",
        description="Its arguments, with quotes around one that has blanks in it; no shell reads them. They are no "
        "place for a secret.",
    )
    credential: str | None = credential_field("script", "Stored credential that the program signs in with somewhere.")
    timeout: float = Field(default=60, gt=0, le=3600, description="Seconds that the program may take.")


class Script(Action[Params]):
    """Runs the program, once."""

    Params = Params
    commands = True

    @classmethod
    def check_places(cls, params: Any, places: Places) -> None:
        """The program must be one that the administrator has allowed."""
        allowed(params.program, places.scripts)

    def plan(self) -> Plan:
        """One change: the program runs."""
        why = f"It runs for: {self.context.occasion.kind}."
        change = Change(target="this machine", action="run", typed=shlex.join(self._command()), why=why)
        return Plan(changes=(change,))

    def apply(self, plan: Plan) -> None:  # noqa: ARG002 - there is one thing to do
        """Run it, and heed its status."""
        context, command = self.context, self._command()
        credential = context.credentials(self.params.credential) if self.params.credential else None
        told, secrets = self._told(credential), [credential.password] if credential else []
        context.guard()
        with context.journal.step(f"Run {command[0]}") as step:
            ended = run(command, told, self.params.timeout, lambda text: hide(secrets, text))
            for line in ended.told:
                step.note(line)
            if ended.status != 0:
                raise DeploymentError(
                    f"{command[0]} {ended.how}.", causes=ended.told, hint=self._by_hand(command, told)
                )

    def _command(self) -> list[str]:
        program = allowed(self.params.program, self.context.places.scripts)
        return [str(program), *shlex.split(self.params.arguments)]

    def _told(self, credential: Credential | None) -> dict[str, str]:
        occasion, version = self.context.occasion, self.context.version
        told = {"CERTWRIGHT_EVENT": occasion.kind.value, "CERTWRIGHT_CERTIFICATE": self.context.certificate_title}
        if version:
            told["CERTWRIGHT_NAMES"] = ",".join(map(str, version.facts.names))
            told["CERTWRIGHT_THUMBPRINT"] = version.facts.thumbprint
            told["CERTWRIGHT_SHA256"] = version.facts.sha256
            told["CERTWRIGHT_NOT_AFTER"] = version.facts.not_after.isoformat()
        if occasion.message:
            lines = (harmless(line, _MOST_OF_ERROR) for line in occasion.message.splitlines())
            told["CERTWRIGHT_ERROR"] = "\n".join(lines)
        if credential:
            told["CERTWRIGHT_USERNAME"] = credential.username
            told["CERTWRIGHT_SECRET"] = credential.password
        return told

    def _by_hand(self, command: list[str], told: Mapping[str, str]) -> str:
        """How a person runs it, without the secret."""
        shown = {name: value for name, value in told.items() if name != "CERTWRIGHT_SECRET"}
        variables = [f"{name}={shlex.quote(value)}" for name, value in shown.items() if "\n" not in value]
        secret = ["CERTWRIGHT_SECRET=..."] if "CERTWRIGHT_SECRET" in told else []
        return f"Run it by hand: {' '.join([*variables, *secret, shlex.join(command)])}"
