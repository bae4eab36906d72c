"""The current version of a managed certificate as a file: without its key for everybody, with it for who may."""

import secrets

from starlette.responses import Response

from certwright.domain.access import Permission
from certwright.domain.errors import CertwrightError, ConfigurationError, NotFound
from certwright.domain.formats import PfxCipher
from certwright.engine.export import Content, ExportFormat, contents, with_key
from certwright.web.certificate import id_of, tab
from certwright.web.language import _, later
from certwright.web.pages import Page, Visit
from certwright.web.received import typed_twice

_CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 5, 5
_WITHOUT_KEY = {"der": ExportFormat.DER, "p7b": ExportFormat.P7B}
_WITH_KEY = {
    f"pfx-{PfxCipher.LEGACY}": later("PFX that every Windows reads (3DES, SHA-1)"),
    f"pfx-{PfxCipher.MODERN}": later("PFX for Windows Server 2019 and later, and others (AES-256, SHA-256)"),
    "pem": later("PEM: key, certificate and issuers in one file; the key in it is not encrypted"),
}


def _export(visit: Visit, error: CertwrightError | None = None) -> Response:
    """The forms that there are; each time with another password that was made for whoever looks."""
    return tab(visit, "export", error, forms=_WITH_KEY, made=_password())


def _password() -> str:
    """One that is read out and typed without mistakes: 25 characters, of 124 bits."""
    groups = ("".join(secrets.choice(_CHARACTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def _file(visit: Visit) -> Response:
    """One without the key."""
    form = _WITHOUT_KEY.get(visit.request.path_params["form"])
    if form is None:
        raise NotFound("There is no such form of a certificate.", hint=f"Choose one of: {', '.join(_WITHOUT_KEY)}.")
    (file,) = contents(visit.engine, id_of(visit), form, cipher=PfxCipher.MODERN, password=None)
    return _download(file)


def _take(visit: Visit) -> Response:
    """The file with the key, as the answer itself: nothing of it, nor of its password, is kept here."""
    try:
        form, _dash, named = _wanted(visit).partition("-")
        cipher, password = (PfxCipher(named), _chosen(visit)) if named else (PfxCipher.MODERN, None)
        file = with_key(visit.engine, id_of(visit), form, cipher=cipher, password=password)
    except (ConfigurationError, NotFound) as error:
        return _export(visit, error)
    return _download(file)


def _wanted(visit: Visit) -> str:
    if (form := visit.sent("form")) in _WITH_KEY:
        return form
    raise ConfigurationError(_("Say in which form it is wanted."), hint=_("Choose one of those below."))


def _chosen(visit: Visit) -> str | None:
    """The password that was made, or typed twice; None for that of the certificate's credential."""
    whose = visit.sent("whose")
    if whose == "credential":
        return None
    if password := visit.sent("made") if whose == "made" else typed_twice(visit.fields):
        return password
    raise ConfigurationError(
        _("A PFX needs a password."), hint=_("Take the one that is made for you, or type one of your own twice.")
    )


def _download(file: Content) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
    return Response(file.data, media_type=file.media_type, headers=headers)


_ONE = "/certificates/{id}"
PAGES = (
    Page(f"{_ONE}/export", Permission.READ, _export),
    Page(f"{_ONE}/export", Permission.KEYS, _take, "POST"),
    Page(f"{_ONE}/files/{{form}}", Permission.READ, _file),
)
