"""The pages System and Settings."""

import io
import re
import zipfile
from threading import Event

from certwright.domain.access import Role
from certwright.domain.errors import Unreachable
from certwright.engine import duties
from certwright.engine.backup import backups
from certwright.engine.context import Engine
from certwright.store import leases
from world.web import House, landed


def test_who_may_only_look_sees_how_it_is_and_changes_nothing(house: House) -> None:
    duties.failed(house.engine, "backup", "The daily backup", Unreachable("The disk is away.", hint="Mount it."))
    seen = house.signed_in(Role.VIEWER).get("/system")
    assert "The schedule has not been looked at." in seen.words
    assert "attention The daily backup It fails since" in seen.words
    assert "Nobody is told of problems" in seen.words
    assert "Kind SQLite" in seen.words
    assert house.engine.store.id not in re.findall("<button", seen.text)
    assert "<button" not in seen.text.partition("<h1>")[2]


def test_what_is_presented_is_told_with_its_fingerprint(house: House) -> None:
    presented = house.service.presented()
    assert presented
    words = house.signed_in().get("/system").words
    assert f"SHA-256 fingerprint {presented.fingerprint}" in words
    assert "Issued by itself" in words
    assert "name it in the setting own_certificate" in words


def test_who_works_on_what_is_seen(house: House) -> None:
    mail = house.managed("mail.contoso.com")
    with house.engine.certificate_lease(mail), house.engine.organisation_leases(["contoso.com"]):
        words = house.signed_in().get("/system").words
    assert "mail.contoso.com , since" in words or "mail.contoso.com, since" in words
    assert "organisation contoso.com" in words


def test_what_is_worked_on_is_told_in_the_words_of_the_reader(house: House) -> None:
    looked = Event()

    def wait(_engine: Engine) -> None:
        looked.wait(60)

    job = house.jobs.begin(house.engine, "Back up", "", wait)
    try:
        with house.engine.store.lease(leases.SERVICE):
            words = house.signed_in().get("/system", **{"Accept-Language": "de"}).words
    finally:
        looked.set()
    assert job.id not in words
    assert "Sichern, seit" in words
    assert "Der Dienst: sein Zeitplan und seine Pflichten, seit" in words
    assert "Plattform Linux" in words


def test_a_backup_is_made_now(house: House) -> None:
    browser, folder = house.signed_in(), house.service.settings.backups
    assert "Last backup none yet" in browser.get("/system").words
    at_work, seen = landed(browser, browser.post("/system/backup"))
    ((at, path),) = backups(house.engine, folder)
    assert (seen.status, at_work.startswith("/working/")) == (200, True)
    assert f"The backup is in {path}. It was read back." in seen.words
    assert f"Last backup {at:%Y-%m-%d %H:%M} UTC" in browser.get("/system").words
    path.unlink()
    folder.rmdir()
    folder.write_text("no folder")
    _, seen = landed(browser, browser.post("/system/backup"))
    assert 'role="alert"' in seen.text


def test_the_recovery_key_is_compared_and_then_known(house: House) -> None:
    browser, advice = house.signed_in(), "Nobody has shown yet that the recovery key is known"
    assert advice in browser.get("/system").words
    for wrong in ("", "x", ("B" if house.recovery_key[0] == "A" else "A") + house.recovery_key[1:]):
        seen = browser.post("/system/recovery-key", recovery_key=wrong)
        assert (seen.status, advice in seen.words) == (422, True)
        assert not wrong or wrong not in seen.text or wrong == "x"
    seen = browser.post("/system/recovery-key", recovery_key=house.recovery_key)
    assert (seen.status, advice in seen.words) == (200, False)
    assert _last_act(house) == ("administrator", "acknowledged", {"recovery_key": "is known"})
    assert house.recovery_key not in seen.text


def test_diagnostics_are_downloaded_without_secrets(house: House) -> None:
    house.managed("mail.contoso.com")
    browser = house.signed_in()
    for fields, named in (({}, True), ({"pseudonyms": "yes"}, False)):
        path, shown = landed(browser, browser.post("/system/diagnostics", **fields))
        assert "settings.json" in shown.words
        seen = browser.get(f"{path}/file")
        assert seen.headers["Content-Type"] == "application/zip"
        assert seen.headers["Content-Disposition"] == 'attachment; filename="certwright-20261129-1200.zip"'
        with zipfile.ZipFile(io.BytesIO(seen.body)) as packed:
            texts = "".join(packed.read(name).decode() for name in packed.namelist())
        assert "settings.json" in packed.namelist()
        assert ("mail.contoso.com" in texts) is named
        assert "c4nary" not in texts

    assert _last_act(house) == ("administrator", "exported", {"diagnostics": "all that is not secret"})


def _last_act(house: House) -> tuple[str, str, object]:
    """Who did what, by the audit trail."""
    with house.engine.store.read() as unit:
        (entry,) = unit.trail.list(limit=1)
    return entry.actor.name, entry.action.value, entry.after


def test_settings_are_shown_with_where_they_come_from(house: House) -> None:
    words = house.signed_in(Role.VIEWER).get("/settings").words
    assert "resolvers 9.9.9.9 /etc/certwright/certwright.toml, line 7" in words
    assert "proxy none default" in words
    assert "c4nary" not in words
