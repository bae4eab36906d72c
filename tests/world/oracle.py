"""What must become of a case of the matrix: rules of the issue, by what goes wrong, where and for how long.

Nothing here looks at how the product decides.
"""

from dataclasses import dataclass

from world.matrix import BREAKS, GOES, PARTNER, SERVERS, SETTING, Case

DEPLOYED, WAITING, BACK, STUCK, REFUSED = "deployed", "waiting", "rolled-back", "undoing", "failed"


@dataclass(frozen=True, slots=True)
class Expected:
    """How the first run may end, and what a person must be told.

    `says` are words of which all must be told, unless the run ends well, or goes back where it need not; `{server}`,
    `{old}`, `{new}` and `{internal}` stand for the struck server and the thumbprints. `left_alone` is whether the
    struck server keeps what it had while all others change.
    """

    stages: frozenset[str]
    says: tuple[str, ...] = ()
    left_alone: bool = False


def expected(case: Case) -> Expected:
    """The rule for a case."""
    if case.is_untold or case.is_unacknowledged:
        return _refused(case)
    if case.fault in {"stale transport", "maintenance", "owa"}:
        return _surrounded(case)
    if case.step == "restart":
        return _restart(case)
    if _is_overcome(case):
        return _well(case)
    if case.fault == "german" and case.lasting == "once":
        return Expected(_well(case).stages | _fatal(case).stages)
    return _fatal(case)


def _ends(*stages: str, says: tuple[str, ...] = (), left_alone: bool = False) -> Expected:
    return Expected(frozenset(stages), says, left_alone)


def _refused(case: Case) -> Expected:
    """What Exchange does not tell is not guessed, what it may refuse is not risked; a person is told what to do."""
    if case.is_unacknowledged:
        return _ends(REFUSED, says=(f"certwright exchange acknowledge '{PARTNER}'",))
    inherited = case.wire == "raw" and case.services == "inherited"
    return _ends(REFUSED, says=("services",) if inherited else tuple(SETTING[kind] for kind in case.following))


def _well(case: Case) -> Expected:
    """All is new; but what only a restart of POP and IMAP brings about is asked of a person, where we cannot."""
    if case.wanted & {"POP", "IMAP"} and not case.has_host:
        return _ends(WAITING, says=("Restart-Service MSExchangeIMAP4, MSExchangeIMAP4BE",))
    return _ends(DEPLOYED)


def _is_overcome(case: Case) -> bool:
    """What passes is tried again, what was done is found by reading, and any server changes the organisation."""
    if case.fault in {"none", "lag", "session lost"}:
        return True
    if case.fault == "answer lost":
        return case.lasting == "once" or _is_read_back(case)
    if case.fault == "half" and case.step != "iis":
        return _is_read_back(case)
    if case.fault in {"gone", "gone after"} and case.step in {"send", "hybrid"}:
        return SERVERS[case.topology] > 1
    return case.lasting == "once" and case.fault in BREAKS | {"rpc", "rpc ends"}


def _is_read_back(case: Case) -> bool:
    """Whether Exchange shows that a change was made; raw certificates do not tell what they are assigned to."""
    return case.wire != "raw" or case.step not in {"iis", "mail", "internal"}


def _restart(case: Case) -> Expected:
    """What is not restarted goes on with the earlier certificate, which is valid."""
    if case.fault == "answer lost":
        return _well(case)
    if case.lasting == "once" and case.fault in BREAKS:
        return _well(case)
    return _ends(WAITING, says=("On {server} run: Restart-Service",))


def _surrounded(case: Case) -> Expected:
    if case.fault == "maintenance":
        return _ends(WAITING, says=("left alone",), left_alone=True)
    if case.fault == "stale transport":
        return _well(case) if case.has_host else _ends(WAITING, says=("Restart-Service MSExchangeFrontEndTransport",))
    if case.lasting == "once":
        return _well(case)
    return _ends(WAITING, says=("{server}",), left_alone=True) if _is_alone(case) else _ends(BACK, says=("owa",))


def _is_alone(case: Case) -> bool:
    """Whether the struck server is taken back without the others."""
    return case.rollback == "server" and case.position > 0


def _fatal(case: Case) -> Expected:
    """It cannot be overcome now."""
    if case.fault == "power cut":
        return _ends(BACK, STUCK, WAITING)
    if case.step == "import":
        return _import(case)
    if case.step in {"iis", "mail"}:
        return _before_mail_moved(case)
    # Mail has moved, which Exchange cannot take back: what completes it is left to a person, and all else is done. The
    # port of a receive connector that could not be set goes on with the earlier certificate.
    return _ends(WAITING, says=(SETTING.get(case.step, "-Thumbprint '{internal}' -Services 'SMTP'"),))


def _before_mail_moved(case: Case) -> Expected:
    alone = _is_alone(case)
    if not _can_be_restored(case):
        says = ("Enable-ExchangeCertificate -Server '{server}' -Thumbprint '{old}' -Services 'IIS'",)
        return _ends(WAITING if alone else STUCK, says=says if "IIS" in case.wanted else ("{server}",))
    return _ends(WAITING, says=("{server}",), left_alone=True) if alone else _ends(BACK)


def _import(case: Case) -> Expected:
    """Nothing is used yet; but that a key was lost is told at the import only where properties are read."""
    if case.fault == "key lost" and case.wire != "selected" and _is_alone(case):
        return _ends(
            WAITING, says=("Remove-ExchangeCertificate -Server '{server}' -Thumbprint '{new}'",), left_alone=True
        )
    return _ends(BACK)


def _can_be_restored(case: Case) -> bool:
    """Whether the struck server's web site, if it was bound already, can be bound to the earlier certificate now.

    Where only raw certificates are read nobody knows that it was not.
    """
    if case.fault in GOES:
        return False
    was_not = case.step == "iis" or "IIS" not in case.wanted
    return case.lasting == "once" or (was_not and case.wire != "raw")
