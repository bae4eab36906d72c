"""The system: whether the service works, on what it stands, what is missing; a backup now, and what helps helpers."""

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError
from certwright.engine.backup import back_up_into
from certwright.engine.diagnostics import bundle
from certwright.engine.recovery import confirm
from certwright.engine.system import system
from certwright.settings import shown
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit

_SYSTEM = "/system"


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
    try:
        made = back_up_into(visit.engine, visit.service.settings.backups)
    except CertwrightError as error:
        return _page(visit, error=error)
    return _page(visit, _("The backup is in %(file)s. It was read back.") % {"file": made.backup.path})


def _confirm(visit: Visit) -> Response:
    try:
        confirm(visit.engine, visit.sent("recovery_key"))
    except CertwrightError as error:
        return _page(visit, error=error)
    return _page(visit, _("This is the recovery key of the store. Keep it away from this machine."))


def _diagnostics(visit: Visit) -> Response:
    packed, _names = bundle(visit.engine, visit.service.settings, pseudonyms="pseudonyms" in visit.fields)
    name = f"certwright-{visit.engine.now():%Y%m%d-%H%M}.zip"
    return Response(
        packed, media_type="application/zip", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _settings(visit: Visit) -> Response:
    settings = visit.service.settings
    return visit.page("settings.html", rows=shown(settings), file=settings.file)


PAGES = (
    Page("/settings", Permission.READ, _settings, label=later("Settings")),
    Page(_SYSTEM, Permission.READ, _page, label=later("System")),
    Page(f"{_SYSTEM}/backup", Permission.ADMINISTER, _back_up, "POST"),
    Page(f"{_SYSTEM}/recovery-key", Permission.ADMINISTER, _confirm, "POST"),
    Page(f"{_SYSTEM}/diagnostics", Permission.ADMINISTER, _diagnostics, "POST"),
)
