"""Deployments to Exchange in every kind of organisation, with everything that can go wrong, everywhere it can.

Each case is played to its end: the first run ends as the rules say; then what was broken is well again, a person does
what was said, and the next runs bring it to its end. After every single change the ports are looked at.

`make test` plays some of the cases, `make soak` all of the matrices that SOAK names by their seeds.
"""

import os
from pathlib import Path

import pytest

from peers.exchange_task import PASSWORD, Ended, run, take_back
from world.matrix import SETTING, Case, Played, cases, flags, played
from world.oracle import BACK, DEPLOYED, REFUSED, STUCK, Expected, expected

pytestmark = pytest.mark.e2e
OURS = {
    "Import-ExchangeCertificate", "Enable-ExchangeCertificate", "Set-PopSettings", "Set-ImapSettings",
    "Restart-Service", *SETTING.values(),
}  # fmt: skip
PORTS = {"IIS": {443}, "SMTP": {25, 587}, "IMAP": {143, 993}, "POP": {110, 995}}
SEEDS = [int(seed) for seed in os.environ.get("SOAK", "").split()]
FOUND = [
    "one/EXCHANGE_SE/selected/with/IIS/receive/all/found/none/none/first/once/given",
    "mixed/EXCHANGE_SE/selected/with/IIS,SMTP,POP,IMAP/send/server/found/503/mail/second/for good/given",
    "balanced/EXCHANGE_2019_CU15/raw/with/IIS,SMTP,POP,IMAP/same name/all/found/drop/restart/first/once/given",
    "one/EXCHANGE_2019_CU14/raw/without/IIS,SMTP/same name/all/found/key lost/import/first/once/given",
    "one/EXCHANGE_SE/selected/with/IIS,SMTP/send/all/ours/none/none/first/once/missing",
    "balanced/EXCHANGE_2016/raw/without/IIS,SMTP/same name/all/ours/none/none/first/once/missing",
    "group/EXCHANGE_SE/selected/without/SMTP,IMAP/both/server/ours/power cut/hybrid/first/for good/given",
    "one/EXCHANGE_2016/raw/with/IIS,SMTP/send/server/found/none/none/first/once/given",
]
"""What once went wrong."""
SOME = [*(Case(*line.split("/")) for line in FOUND), *cases(1)[::16]]
MATRIX = [case for seed in SEEDS for case in cases(seed)] or SOME
ROUNDS = 4


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: case.id)
def test_case(case: Case, tmp_path: Path) -> None:
    rule = expected(case)
    with played(case, tmp_path) as play:
        play.inject()
        task = play.task()
        before = task.baseline()
        ended = run(task, before)
        assert ended.stage in rule.stages, f"{ended.stage}, not {sorted(rule.stages)}: {ended.told}"
        _check_told(play, ended, rule)
        _check_kept(play)
        _check_state(play, ended, rule)
        if ended.stage == REFUSED:
            assert not play.made.mutations
            return
        play.heal()
        play.obey(ended.told)
        for _ in range(ROUNDS):
            if ended.stage == DEPLOYED:
                break
            ended = take_back(play.task(), before) if ended.stage == STUCK else run(play.task())
            play.obey(ended.told)
        assert ended.stage == DEPLOYED, ended.told
        _check_kept(play)
        _check_new(play)
        _check_nothing_more(play)


def _check_told(play: Played, ended: Ended, rule: Expected) -> None:
    if ended.stage == DEPLOYED or (ended.stage == BACK and rule.stages != {BACK}):
        return
    struck = play.struck.spec
    for words in rule.says:
        filled = words.format(
            server=struck.fqdn,
            old=play.old.facts.thumbprint,
            new=play.new.facts.thumbprint,
            internal=play.internal[struck.name],
        )
        assert filled in ended.told, f"{filled!r} is not said:\n{ended.told}"


def _check_kept(play: Played) -> None:
    """What must hold at any time."""
    assert not play.wrong, play.wrong[:3]
    mutations = play.made.organisation.mutations
    assert {call.cmdlet for call in mutations} <= OURS
    assert "EDGE01" not in {call.server for call in mutations}
    for server in play.servers:
        assert server.state.served(444) is play.back_end[server.spec.name]
        made = sum(call.cmdlet.startswith("Import") and call.server == server.spec.name for call in mutations)
        assert made <= (2 if play.case.fault == "key lost" else 1)
    now = flags(play)
    for place, was in play.flags.items():
        assert now[place] & was == was, f"{place}: {was} became {now[place]}"
    told = play.made.journal.text + repr(play.made.memory.values)
    assert PASSWORD not in told
    assert "PRIVATE KEY" not in told
    assert set(play.connectors.values()) <= {None, play.name(play.old), play.name(play.new)}


def _check_state(play: Played, ended: Ended, rule: Expected) -> None:
    """What is where after the first run."""
    old, new = play.old.facts.thumbprint, play.new.facts.thumbprint
    if ended.stage == DEPLOYED:
        _check_new(play)
    if ended.stage in {BACK, REFUSED}:
        assert {play.site(server) for server in play.alive} == {old}
        assert play.connectors == play.named
    if ended.stage in {DEPLOYED, BACK, REFUSED}:
        assert {s.spec.name: s.state.internal_transport for s in play.servers} == play.internal
    if rule.left_alone:
        assert play.site(play.struck) == old
        others = {play.site(server) for server in play.servers if server is not play.struck}
        assert others <= {new if "IIS" in play.case.wanted else old}
    assert all(row.valid for row in ended.rows if row.now)


def _check_new(play: Played) -> None:
    """All that was wanted is served by the new certificate, and nothing else is."""
    old, new = play.old.facts.thumbprint, play.new.facts.thumbprint
    changed = {port for service in play.case.wanted for port in PORTS[service]}
    for server in play.servers:
        for port, thumbprint in play.served(server).items():
            if port in changed:
                assert thumbprint == new, f"{server.spec.name} {port}"
            elif port == 443:
                assert thumbprint == old
    assert {s.spec.name: s.state.internal_transport for s in play.servers} == play.internal
    name = play.name(play.new if play.case.following else play.old)
    assert play.connectors == {identity: value and name for identity, value in play.named.items()}


def _check_nothing_more(play: Played) -> None:
    done = len(play.made.organisation.mutations)
    again = run(play.task())
    assert again.stage == DEPLOYED, again.told
    assert len(play.made.organisation.mutations) == done
