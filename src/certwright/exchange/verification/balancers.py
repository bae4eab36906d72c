"""What stands in front of the servers with a copy of the certificate of its own, which a person has to replace."""

import shlex
from collections.abc import Collection, Sequence

from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.errors import NeedsPerson
from certwright.exchange.steps import steps
from certwright.exchange.verification.ports import Port


def own_copies(ports: Sequence[Port], rows: Sequence[ServedRow], earlier: Collection[str | None] = ()) -> list[Port]:
    """Shared ports that serve what they served before, although every server behind them serves the new certificate.

    What such a port serves comes from no server: something there ends TLS itself. If it was so before, that counts only
    for earlier versions of ours.

    Args:
        ports: what was looked at.
        rows: the verdicts.
        earlier: the earlier versions, as rows show them.
    """
    known = {port.key: port for port in ports}
    judged = [(known[row.key], row) for row in rows]
    found = []
    for port, row in judged:
        is_ours = row.verdict is Verdict.NOT_VERIFIED and row.now in earlier
        if not port.shared or row.now != row.before or not (row.verdict is Verdict.STALE or is_ours):
            continue
        behind = [r.verdict for p, r in judged if not p.shared and p.way == port.way and r.now]
        if behind and all(verdict is Verdict.OK for verdict in behind):
            found.append(port)
    return found


def install(title: str) -> str:
    """How a person brings the certificate to a balancer."""
    return steps(
        "Install the new certificate there, with its key and its issuers, from the file .pfx that this command writes "
        "(FILE holds a password for it); and let the balancer encrypt again on the way to the servers:",
        f"certwright certificate export {title} --format pfx --password-file FILE",
    )


def person_installs(copies: Sequence[Port], title: str) -> NeedsPerson:
    """What a person has to do for these ports."""
    where = ", ".join(dict.fromkeys(str(port.endpoint) for port in copies))
    return NeedsPerson(
        f"{where} still presents the earlier certificate, though every server presents the new one: a load balancer "
        "there ends TLS with a copy of its own. With Extended Protection, which is on by default, sign-in to the web "
        "site fails through it until both are the same; all else is done.",
        causes=[install(shlex.quote(title))],
        hint=f"After that run the deployment of {title!r} again to have it checked.",
    )
