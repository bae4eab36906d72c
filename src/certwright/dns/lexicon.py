"""The DNS services that the library dns-lexicon speaks to, about ninety: `lexicon:NAME`, each with its own parameters.

It comes with the extra `lexicon` (`pip install 'certwright[lexicon]'`). Choose it for a service that has no entry of
its own here. Its providers were each written by somebody who needed it, and few are tested by anybody else. So they
work in a process of their own, which is ended when it takes too long. Nothing is added that is there already. After
each change it is looked what else has changed at the name, and what was removed along is put back; only with a
provider that cannot list records this has to be left out, and the journal says so.

dns-lexicon signs in for a zone: give one as `zone`, and the credential is tried when it is stored. Without, try it by
`certwright credential test NAME DOMAIN`.
"""

import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from certwright.domain.errors import CertwrightError, ConfigurationError, SolverError, Unreachable
from certwright.lexicon import providers
from certwright.lexicon.worker import MOST_CALLS, Failure, Job, Report, run
from certwright.sdk.dns import DnsContext, DnsProvider, TxtRecord
from certwright.sdk.params import Params as PluginParams
from certwright.sdk.params import ZoneName, hide_secrets
from certwright.sdk.proxy import LibraryProxy

_MOST_WORDS = 300
_at_work: dict[str, threading.Lock] = {}  # one process for a service at a time, as each keeps the pace for itself
_QUERY = re.compile(r"""(?<=\S)\?[^\s'"]+""")


class Params(PluginParams):
    """What all of them take."""

    zone: ZoneName | None = Field(default=None, description="A zone of the account, to try the credential with.")
    ttl: int = Field(default=600, ge=1, description="Seconds for which resolvers may remember a record.")
    wait: float = Field(
        default=180, gt=0, le=86_400, description="Seconds until all servers of the zone show a change at most."
    )
    per_second: float = Field(
        default=4, gt=0, le=1000, description="How often the service is asked in a second at most, for all records."
    )


class Lexicon(DnsProvider[Params]):
    """One provider of dns-lexicon, by the name `provider`; `missing` is what is to be installed for it."""

    provider: ClassVar[str]
    missing: ClassVar[str] = ""
    seconds: ClassVar[float] = 120
    pauses: ClassVar[tuple[float, ...]] = (2.0, 10.0)
    run = staticmethod(run)

    def __init__(self, params: Any, context: DnsContext) -> None:
        super().__init__(params, context)
        if self.missing:
            raise ConfigurationError(
                f"The DNS provider 'lexicon:{self.provider}' is unavailable: it needs {self.missing}.",
                hint=_install(self.provider),
            )

    @property
    def wait(self) -> float:
        """As long as the service takes, by what its users know."""
        return float(self.params.wait)

    @property
    def per_second(self) -> float:
        """As much as the service allows, by what its users know."""
        return self.params.per_second

    def check(self) -> str:
        """Sign in for the zone, and list what stands at its challenge name."""
        zone = self.params.zone
        if zone is None:
            return "It was not tried, as no zone was given to sign in for."
        self._do("check", zone, [TxtRecord(f"_acme-challenge.{zone}", "")])
        return f"dns-lexicon has signed in for the zone {zone}."

    def add(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Add those that are not there; a service that gave up another value for one is of no use."""
        with self.context.alone(zone):  # some services know whole sets of records only, which the library reads before
            self._do("add", zone, records)

    def remove(self, zone: str, records: Sequence[TxtRecord]) -> None:
        """Delete by content, and put back what went along."""
        with self.context.alone(zone):  # as above
            self._do("remove", zone, records)

    def _do(self, action: Literal["check", "add", "remove"], zone: str, records: Sequence[TxtRecord]) -> None:
        """Have it done, again where the service was busy or could not be reached."""
        given = self.params.model_dump(exclude={"zone", "wait", "per_second"}, exclude_none=True)
        options = {key: v.get_secret_value() if isinstance(v, SecretStr) else v for key, v in given.items()}
        pairs = [(record.name, record.value) for record in records]
        pace, proxy = self.per_second, LibraryProxy.of(self.context.proxy)
        job = Job(
            provider=self.provider,
            action=action,
            zone=zone,
            options=options,
            records=pairs,
            per_second=pace,
            proxy=proxy,
        )
        for pause in (*self.pauses, None):
            with _at_work.setdefault(self.provider, threading.Lock()):
                report = self.run(job, self.seconds + MOST_CALLS * len(records) / pace)
            for note in report.notes:
                self.context.journal.note(self._clean(note))
            if report.failure is None:
                return
            if pause is None or report.failure is not Failure.UNREACHABLE:
                raise self._error(report, zone)
            time.sleep(pause)

    def _error(self, report: Report, zone: str) -> CertwrightError:
        who, causes = f"dns-lexicon's provider {self.provider}", [self._clean(report.words)]
        credential = f"the credential {self.context.credential!r}"
        if report.failure is Failure.IDENTITY:
            return SolverError(
                f"{who} could not sign in for the zone {zone}.",
                causes=causes,
                hint=f"Check that the account keeps this zone, and its key's rights, then store {credential} again.",
            )
        if report.failure is Failure.OTHER:
            return SolverError(
                f"{who} failed for the zone {zone}.",
                causes=causes,
                hint=f"Check what {credential} holds, and that the account keeps this zone.",
            )
        return Unreachable(
            f"{who} could not reach the service for the zone {zone}, or it is busy.",
            causes=causes,
            hint="Check that this machine may connect there, and whether the service has an outage.",
        )

    def _clean(self, words: str) -> str:
        """A stranger's words without secrets, nor what stands behind the ? of an address."""
        hidden = hide_secrets(self.params, _QUERY.sub("?...", words))
        return "".join(c if c.isprintable() else " " for c in hidden)[:_MOST_WORDS]


def members() -> Mapping[str, str]:
    """The providers, with what is to be installed before each can be used.

    Raises:
        ConfigurationError: if dns-lexicon is not installed.
    """
    return {name: providers.missing(name) for name in providers.names()}


def member(name: str) -> type[Lexicon]:
    """The provider of this name."""
    more = f" It needs more than the extra: `{_install(name)}`." if providers.needs(name) else ""
    page = f"{providers.title(name)}, through dns-lexicon.\n\nIts provider `{name}` is used.{more}"
    own = {"Params": providers.parameters(name, Params), "provider": name, "missing": providers.missing(name)}
    return type(f"Lexicon_{name}", (Lexicon,), {"__doc__": page, "__module__": __name__, **own})


def _install(name: str) -> str:
    return f"pip install '{providers.DISTRIBUTION}[{name}]'"
