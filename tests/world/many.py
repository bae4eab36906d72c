"""A store like that of a large company: rows are written straight into it, so that many of them take a minute."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert

from certwright.domain.credentials import SignIn
from certwright.domain.health import Condition
from certwright.domain.health_rules import Health
from certwright.domain.identifiers import parse_all
from certwright.domain.managed import Issuer, ManagedCertificate
from certwright.domain.runs import Entry, Outcome, Phase, Run, RunKind
from certwright.engine.context import Engine
from certwright.sdk.context import Credential
from certwright.store import schema
from certwright.store.uses import Used

BATCH = 20_000
ENTRIES_A_RUN = 50
UNDER_WAY = 3
SERVERS = 200
PFX = "pfx"
WORDS = ("mail", "www", "shop", "api", "vpn", "git", "wiki", "sso")
SAID = {
    Health.CRITICAL: (0.001, "It has ended.", "Look at its last run, and request a new one."),
    Health.FAILING: (0.004, "The authority did not find the proof.", "See what answers on port 80."),
    Health.ATTENTION: (0.01, "Another certificate is served on port 443.", "See who changed it on the server."),
    Health.RENEWING: (0.02, "A new one is requested.", ""),
    Health.OK: (1, "It is served everywhere.", ""),
}


def fill(engine: Engine, count: int, entries: int) -> None:
    """So many managed certificates that end within 90 days, most of them well, and so many lines of journals."""
    draw, now = random.Random(1), engine.now()
    with engine.store.write() as unit:
        unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"key", None)
        unit.credentials.add(SignIn.PFX, Credential(PFX, "", "a password"))
        connection = unit.managed.connection
        made: list[str] = []
        while len(made) < count:
            numbers = range(len(made), min(len(made) + BATCH, count))
            rows = [_certificate(number, draw, now) for number in numbers]
            connection.execute(insert(schema.managed), rows)
            named = [{"identifier": f"{row['title']}.contoso.com", "managed_id": row["id"]} for row in rows]
            connection.execute(insert(schema.names), named)
            connection.execute(insert(schema.searched), [_searched(row) for row in rows])
            connection.execute(insert(schema.uses), [use for row in rows for use in _uses(row)])
            connection.execute(insert(schema.targets), [_target(number, row) for number, row in enumerate(rows)])
            made += [str(row["id"]) for row in rows]
        _journals(connection, made, entries, now)


def _certificate(number: int, draw: random.Random, now: datetime) -> dict[str, object]:
    title = f"{WORDS[number % len(WORDS)]}{number}"
    names = parse_all([f"{title}.contoso.com"])
    one = ManagedCertificate(title=title, identifiers=names, issuer="le", pfx_password_credential=PFX)
    (health,) = draw.choices(list(SAID), [share for share, _, _ in SAID.values()])
    _share, message, hint = SAID[health]
    said = Condition(health=health, rule="many", message=message, hint=hint)
    ends = now + timedelta(days=90 * draw.random())
    return {
        "id": one.id,
        "title": title,
        "issuer": "le",
        "revision": 1,
        "referred": 1,
        "next_action_at": ends - timedelta(days=20) if health is Health.OK else now + timedelta(hours=1),
        "health": health,
        "health_until": None,
        "condition": said,
        "ends_at": ends,
        "body": one,
    }


def _searched(row: Mapping[str, object]) -> dict[str, object]:
    return {"title": row["title"], "managed_id": row["id"], "text": f"{row['title']}\n{row['title']}.contoso.com"}


def _uses(row: Mapping[str, object]) -> Iterator[dict[str, object]]:
    for used, name in ((Used.ISSUER, row["issuer"]), (Used.CREDENTIAL, PFX)):
        yield {"used": used, "name": name, "managed_id": row["id"]}


def _target(number: int, row: Mapping[str, object]) -> dict[str, object]:
    return {"target": f"ex{number % SERVERS}.contoso.com", "task_id": row["id"], "managed_id": row["id"]}


def _journals(connection: Connection, ids: Sequence[str], entries: int, now: datetime) -> None:
    """Runs that have ended, but for the last of them, with so many lines in all."""
    lines: list[dict[str, object]] = []
    count = entries // ENTRIES_A_RUN
    for number in range(count):
        ended = now if number < count - UNDER_WAY else None
        run = Run(managed_id=ids[number % len(ids)], kind=RunKind.REQUEST, started_at=now)
        run = run.model_copy(update={"ended_at": ended, "outcome": Outcome.DONE if ended else None})
        connection.execute(insert(schema.runs), [run.model_dump()])
        line = Entry(run_id=run.id, at=now, step=1, phase=Phase.NOTE, title="A line of a journal of a usual length")
        lines += [line.model_dump(exclude={"sequence"})] * ENTRIES_A_RUN
        if len(lines) >= BATCH or number == count - 1:
            connection.execute(insert(schema.entries), lines)
            lines = []
