"""One managed certificate, tab by tab: what is wanted, how it is, what was issued, where it is, and what was tried."""

from collections.abc import Callable, Iterator
from typing import Any

from starlette.responses import Response

from certwright.domain.access import Permission, UseCase
from certwright.domain.certificates import CertificateFacts
from certwright.domain.errors import CertwrightError, Changed, ConfigurationError, NotFound
from certwright.domain.managed import CertificateVersion, ManagedCertificate, TaskSettings
from certwright.domain.validation import choose
from certwright.engine import hold
from certwright.engine.managed import Details, details
from certwright.engine.material import version_facts
from certwright.web.forms import told
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit, attempt, with_query
from certwright.web.received import Sent, text, whole
from certwright.web.runs import journal

_RUNS = 50
TABS = {
    "": later("Names"),
    "/validation": later("Validation"),
    "/issuer": later("Issuer & key"),
    "/deployment": later("Deployment"),
    "/renewal": later("Renewal"),
    "/history": later("History"),
    "/log": later("Log"),
}

RENEWAL = "/certificates/{id}/renewal"


def id_of(visit: Visit) -> str:
    """The id of the certificate that is visited."""
    found: str = visit.request.path_params["id"]
    return found


def address(visit: Visit, tab: str = "") -> str:
    """That of the certificate that is visited, or of one of its tabs."""
    return f"/certificates/{id_of(visit)}{tab}"


def tab(visit: Visit, which: str, error: CertwrightError | None = None, **values: Any) -> Response:
    """A tab, with the head that all have in common; `error` is why a change was not made, unless `told` says it.

    `revision` goes along with its forms: that which was seen first, also where a form comes again from beside, as long
    as nobody was told that it was changed meanwhile.
    """
    found: Details = details(visit.engine, id_of(visit))
    again = None if visit.fields else visit.again()
    sent, why = (again.sent, again.error) if again else (visit.fields, error)
    seen = None if isinstance(why, Changed) else _revision(sent)
    with visit.engine.store.read() as unit:
        state = unit.renewals.get(found.managed.id)
    return visit.page(
        f"certificate-{which}.html",
        error=error,
        found=found,
        kept=lambda name, now: visit.sent(name) if error and name in visit.fields else now,
        state=state,
        revision=found.revision if seen is None else seen,
        tabs={f"/certificates/{found.managed.id}{path}": title for path, title in TABS.items()},
        **values,
    )


def task_of(visit: Visit, managed: ManagedCertificate) -> TaskSettings:
    """The task of this certificate that the address names.

    Raises:
        NotFound: if it was removed meanwhile.
    """
    try:
        return managed.task(visit.request.path_params["task"])
    except NotFound as error:
        raise NotFound(
            _("This task was removed meanwhile."),
            hint=_("Its certificate's tasks: %(place)s") % {"place": f"certwright task list {managed.id}"},
        ) from error


def revision(visit: Visit) -> int | None:
    """That at which the certificate was seen before it is changed, as the form says."""
    return _revision(visit.fields)


def _revision(sent: Sent) -> int | None:
    return whole(text(sent, "revision").strip())


def changed(
    visit: Visit, make: Callable[[], Any], shown: Callable[[Visit, CertwrightError], Response], to: str = ""
) -> Response:
    """Make a change and show a tab; where it cannot be made, show what led to it again, with the reason."""
    return attempt(visit, make, shown, address(visit, to))


def names(visit: Visit, error: CertwrightError | None = None) -> Response:
    """Its names, with how each is proved."""
    managed = details(visit.engine, id_of(visit)).managed
    proofs = [(each, choose(managed.validations, each).title) for each in managed.identifiers]
    typed = "\n".join(each.unicode for each in managed.identifiers)
    wrong, rest = told(error, ("title",))
    return tab(visit, "names", error, proofs=proofs, typed=typed, wrong=wrong, told=rest)


def renewal(visit: Visit, error: CertwrightError | None = None) -> Response:
    """When it is renewed and deployed, and whether it is held back."""
    with visit.engine.store.read() as unit:
        windows = [window.name for window in unit.windows.list()]
    return tab(visit, "renewal", error, windows=windows)


def _history(visit: Visit) -> Response:
    """Every version, with the tasks that have it in use."""
    known = details(visit.engine, id_of(visit))
    facts = [(version, version_facts(version)) for version in known.versions]
    return tab(visit, "history", versions=[(*each, list(uses(known, *each))) for each in facts])


def uses(known: Details, version: CertificateVersion, facts: CertificateFacts) -> Iterator[str]:
    """The tasks that have a version in use, with the servers that were seen to serve it."""
    for state in known.states:
        title = next((task.title for task in known.managed.tasks if task.id == state.task_id), None)
        seen = [(row.server, row.certificate_now.sha256) for row in state.served if row.certificate_now]
        servers = dict.fromkeys(server for server, sha256 in seen if sha256 == facts.sha256)
        if title and (servers or (not seen and state.last_in_use == version.id)):
            yield f"{title} ({', '.join(servers)})" if servers else title


def _log(visit: Visit) -> Response:
    """Its runs, newest first, page by page; with the journal of the first on the page."""
    with visit.engine.store.read() as unit:
        found = unit.runs.list(unit.managed.get(id_of(visit)).id, _RUNS + 1, visit.asked("before") or None)
        entries = unit.runs.entries(found[0].id) if found else []
    runs = found[:_RUNS]
    following = with_query(address(visit, "/log"), before=runs[-1].id) if len(found) > _RUNS else ""
    return tab(visit, "log", runs=runs, following=following, **journal(entries))


def _hold(visit: Visit) -> Response:
    def make() -> None:
        reason = visit.sent("reason")
        if not reason:
            raise ConfigurationError(_("Say why it is held back: whoever looks at it next wants to know."))
        hold.hold(visit.engine, id_of(visit), f"{reason} ({visit.person.name})", None, revision(visit))

    return changed(visit, make, renewal, "/renewal")


def _release(visit: Visit) -> Response:
    return changed(visit, lambda: hold.release(visit.engine, id_of(visit), revision(visit)), renewal, "/renewal")


PAGES = (
    Page("/certificates/{id}", Permission.READ, names),
    Page(RENEWAL, Permission.READ, renewal),
    Page("/certificates/{id}/history", Permission.READ, _history),
    Page("/certificates/{id}/log", Permission.READ, _log),
    Page("/certificates/{id}/hold", UseCase.HOLD.permission, _hold, "POST", sent_from=RENEWAL),
    Page("/certificates/{id}/release", UseCase.HOLD.permission, _release, "POST", sent_from=RENEWAL),
)
