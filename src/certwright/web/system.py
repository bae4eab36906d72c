"""The system: whether the service works, on what it stands, what is missing; a backup now, and what helps helpers."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.engine.backup import back_up_into
from certwright.engine.context import Engine
from certwright.engine.diagnostics import bundle
from certwright.engine.recovery import confirm
from certwright.engine.system import system
from certwright.settings import shown
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit

_SYSTEM, _DIAGNOSTICS = "/system", "/system/diagnostics"


@dataclass(frozen=True, slots=True)
class _Collected:
    """What helps those who help, as one file of this name, and the names of the files in it."""

    packed: bytes
    files: Sequence[str]
    name: str


def _page(visit: Visit, done: str = "", error: CertwrightError | None = None) -> Response:
    service = visit.service
    return visit.page(
        "system.html",
        error=error,
        found=system(visit.engine, service),
        duties=service.duties(),
        presented=service.presented(),
        address=service.address,
        done=done,
    )


def _back_up(visit: Visit) -> Response:
    folder, told = visit.service.settings.backups, _("The backup is in %(file)s. It was read back.")
    return visit.begin(
        later("Back up"), lambda engine: told % {"file": back_up_into(engine, folder).backup.path}, None, _SYSTEM
    )


def _confirm(visit: Visit) -> Response:
    try:
        confirm(visit.engine, visit.sent("recovery_key"))
    except CertwrightError as error:
        return _page(visit, error=error)
    return _page(visit, _("This is the recovery key of the store. Keep it away from this machine."))


def _diagnostics(visit: Visit) -> Response:
    settings, pseudonyms = visit.service.settings, "pseudonyms" in visit.fields

    def collect(engine: Engine) -> _Collected:
        packed, files = bundle(engine, settings, pseudonyms=pseudonyms)
        return _Collected(packed, files, f"certwright-{engine.now():%Y%m%d-%H%M}.zip")

    return visit.begin(later("Collect what helps"), collect, lambda job: f"{_DIAGNOSTICS}/{job.id}", _SYSTEM)


def _collected(visit: Visit) -> Response:
    return visit.page("diagnostics.html", found=visit.came_of(_Collected))


def _download(visit: Visit) -> Response:
    found = visit.came_of(_Collected)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"'}
    return Response(found.packed, media_type="application/zip", headers=headers)


def _settings(visit: Visit) -> Response:
    settings = visit.service.settings
    return visit.page("settings.html", rows=shown(settings), file=settings.file)


PAGES = (
    Page("/settings", Permission.READ, _settings, label=later("Settings")),
    Page(_SYSTEM, Permission.READ, _page, label=later("System")),
    Page(f"{_SYSTEM}/backup", Permission.ADMINISTER, _back_up, "POST"),
    Page(f"{_SYSTEM}/recovery-key", Permission.ADMINISTER, _confirm, "POST"),
    Page(_DIAGNOSTICS, Permission.ADMINISTER, _diagnostics, "POST"),
    Page(f"{_DIAGNOSTICS}/{{id}}", Permission.ADMINISTER, _collected),
    Page(f"{_DIAGNOSTICS}/{{id}}/file", Permission.ADMINISTER, _download),
)
