"""The view from outside: a program for a computer elsewhere, and the report that it brings back.

The program is `outside_prober.py`, one file that needs Python alone. Its code is handed out as it stands, with what to
look at written into its one line of data.
"""

import json
import re
from collections.abc import Iterable
from importlib import resources
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from certwright.domain.errors import ConfigurationError, InvalidMaterial
from certwright.probe.observation import StartTls, Target
from certwright.probe.wire import harmless

_PROBER = "outside_prober.py"
_DATA = 'JOB = "null"\n'
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES = 1_000_000
_MAX_ROWS = 1000
_MAIL: tuple[tuple[int, StartTls | None], ...] = (
    (25, "smtp"),
    (587, "smtp"),
    (143, "imap"),
    (993, None),
    (110, "pop3"),
    (995, None),
)
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}

Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:%-]+$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, AfterValidator(lambda text: str(ip_address(text)))]


class OutsideRow(BaseModel):
    """What one port looked like from outside.

    `verdict` is ok: the expected certificate, which that computer trusts for `server_name`; untrusted: the expected
    one, not trusted there; other: another one; closed: no connection; fault: a connection, but no TLS. `required` says
    that closed is a fault, too. `trusted` is None if the certificate was not put to the test.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    host: Host
    port: int = Field(gt=0, le=65_535)
    starttls: Literal["smtp", "imap", "pop3"] | None
    server_name: Host | None
    required: bool
    address: Address | None
    verdict: Literal["ok", "untrusted", "other", "closed", "fault"]
    protocol: Annotated[str, Field(pattern=r"^(TLSv1(\.[123])?|SSLv3)$")] | None
    sha256: Sha256 | None
    trusted: bool | None
    detail: str = Field(max_length=200, pattern=r"^[ -~]*$")

    @property
    def good(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.verdict == "ok" or (self.verdict == "closed" and not self.required)


class OutsideReport(BaseModel):
    """What was seen at a moment by a clock elsewhere, compared with the certificate of `expected_sha256`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["certwright-outside/1"]
    taken_at: AwareDatetime
    expected_sha256: Sha256
    rows: tuple[OutsideRow, ...] = Field(min_length=1, max_length=_MAX_ROWS)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for row in self.rows:
            if row.verdict in {"ok", "untrusted"} and row.sha256 != self.expected_sha256:
                raise ValueError(f"{row.host}:{row.port} is called {row.verdict} but serves another certificate")
            if row.verdict == "other" and row.sha256 in {None, self.expected_sha256}:
                raise ValueError(f"{row.host}:{row.port} is called other but does not serve another certificate")
        return self

    @property
    def good(self) -> bool:
        """Whether the expected certificate was seen, and nothing has to be done."""
        return all(row.good for row in self.rows) and any(row.verdict == "ok" for row in self.rows)


def public_targets(host: str, name: str) -> tuple[Target, ...]:
    """The standard ports of a mail server at `host`, asked for `name`; 443 without a name, too."""
    unnamed = Target(host, 443, expected_name=name)
    mail = (Target(host, port, starttls, name) for port, starttls in _MAIL)
    return (Target(host, 443, server_name=name), unnamed, *mail)


def outside_script(targets: Iterable[Target], expected_sha256: str, names: Iterable[str]) -> str:
    """The text of a program that looks at `targets` and `names`, for Python 3.9 and later on any computer.

    Args:
        targets: may be closed to the outside; that is told and is no fault.
        expected_sha256: SHA-256 of the leaf that should be served, in hex.
        names: public names that everybody uses; each has to serve on port 443 at all its addresses.

    Raises:
        ConfigurationError: if a target cannot be looked at from outside (LDAP), or what is expected is no SHA-256.
    """
    expected = expected_sha256.lower()
    if not _SHA256.fullmatch(expected):
        raise ConfigurationError("What should be served is named by the 64 hex digits of its SHA-256.")
    required = dict.fromkeys(Target(name, 443, server_name=name) for name in names)
    optional = dict.fromkeys(target for target in targets if target not in required)
    where = [_job_target(t, required=True) for t in required] + [_job_target(t, required=False) for t in optional]
    job = json.dumps({"expected_sha256": expected, "targets": where})
    code = resources.files("certwright.probe").joinpath(_PROBER).read_text("utf-8")
    before, _, after = code.partition(_DATA)
    return f"{before}JOB = {job!r}\n{after}"


def read_outside_report(text: str | bytes) -> OutsideReport:
    """The report that the program printed with ``--json``; as bytes also in UTF-16, as PowerShell writes files.

    Raises:
        InvalidMaterial: if it is not such a report, with the first reason.
    """
    if len(text) > _MAX_BYTES:
        raise _unreadable(f"it is longer than {_MAX_BYTES} bytes")
    try:
        decoded = text if isinstance(text, str) else text.decode(_BYTE_ORDER_MARKS.get(text[:2], "utf-8-sig"))
        return OutsideReport.model_validate_json(decoded.lstrip("\ufeff"))
    except UnicodeError:
        reason = "it is no text"
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        reason = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
    raise _unreadable(harmless(reason, 300))


def _unreadable(reason: str) -> InvalidMaterial:
    return InvalidMaterial(
        f"This is no report of the view from outside: {reason}.",
        hint="Run the program again with --json, and give all that it prints.",
    )


def _job_target(target: Target, *, required: bool) -> dict[str, Any]:
    if target.starttls == "ldap":
        raise ConfigurationError(f"{target.endpoint} speaks LDAP, which is not looked at from outside.")
    return {
        "host": target.host,
        "port": target.port,
        "starttls": target.starttls,
        "server_name": target.server_name,
        "required": required,
    }
