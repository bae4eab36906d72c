"""The changes we make on Exchange: as a plan shows them, as they are sent, and as a person would type them.

A change is a cmdlet and its parameters, whole: what preview shows is what is sent, nothing is added on the way but the
two things no plan may hold, the file and its one-time password.
"""

from collections.abc import Mapping, Sequence

from certwright.domain.deployment import Change
from certwright.exchange.model import DEFAULT_WEB_SITE, ServerState, Service, quoted
from certwright.remoting.psrp import Command, Parameter

IMPORT = "Import-ExchangeCertificate"
ENABLE = "Enable-ExchangeCertificate"
SET_NAME = {Service.POP: "Set-PopSettings", Service.IMAP: "Set-ImapSettings"}
RESTART = "Restart-Service"

_TRUE, _FALSE = "$true", "$false"
_BOOLEAN = {"PrivateKeyExportable", "DoNotRequireSsl", "Force", "Confirm"}
_LISTS = {"Name"}
MAX_FRIENDLY_NAME = 63


def import_certificate(server: str, thumbprint: str, intermediates: int, friendly_name: str, why: str) -> Change:
    """Put the certificate and its key into the store of `server`."""
    plural = "" if intermediates == 1 else "s"
    parameters = {
        "Server": server,
        "FileData": f"(PKCS#12: certificate {thumbprint}, its key and {intermediates} intermediate{plural})",
        "Password": "(random, used once)",
        "PrivateKeyExportable": _FALSE,
        "FriendlyName": friendly_name[:MAX_FRIENDLY_NAME],
        "Confirm": _FALSE,
    }
    return _change(server, IMPORT, parameters, why)


def enable(server: str, thumbprint: str, services: Service, why: str, *, do_not_require_ssl: bool = False) -> Change:
    """Assign the certificate to services."""
    parameters = {"Server": server, "Thumbprint": thumbprint, "Services": str(services)}
    if do_not_require_ssl and Service.IIS in services:
        parameters["DoNotRequireSsl"] = _TRUE
    return _change(server, ENABLE, {**parameters, "Force": _TRUE, "Confirm": _FALSE}, why)


def set_name(server: str, service: Service, name: str, why: str) -> Change:
    """Let POP or IMAP choose its certificate by `name`."""
    parameters = {"Server": server, "X509CertificateName": name, "Confirm": _FALSE}
    return _change(server, SET_NAME[service], parameters, why)


def restart(server: str, names: Sequence[str], why: str) -> Change:
    """Restart Windows services of `server`."""
    return _change(server, RESTART, {"Name": ", ".join(names), "Force": _TRUE, "Confirm": _FALSE}, why)


def _change(server: str, action: str, parameters: dict[str, str], why: str) -> Change:
    return Change(
        target=server, action=action, parameters=parameters, why=why, typed=_typed_by_hand(action, parameters)
    )


def services_of(change: Change) -> Service:
    """What an Enable assigns; nothing for other changes."""
    return Service.read(change.parameters.get("Services", "None"))


def completes(change: Change, thumbprint: str) -> bool:
    """Whether this only completes the change to the version `thumbprint`: it puts back another one, or sets a name."""
    return change.action in SET_NAME.values() or (
        change.action == ENABLE and change.parameters["Thumbprint"] != thumbprint
    )


def names_of(change: Change) -> tuple[str, ...]:
    """The Windows services that a restart names."""
    return tuple(change.parameters["Name"].split(", "))


def command(change: Change, secrets: Mapping[str, Parameter]) -> Command:
    """What is sent; `secrets` are the values of FileData and Password."""
    return Command(change.action, {name: _typed(name, text, secrets) for name, text in change.parameters.items()})


def _typed_by_hand(action: str, parameters: Mapping[str, str]) -> str:
    """For the Exchange Management Shell, or the server's own PowerShell."""
    words = [action]
    for name, text in parameters.items():
        if name in _BOOLEAN:
            words.append(f"-{name}:{text}")
        elif name in _LISTS:
            words.append(f"-{name} {', '.join(map(quoted, text.split(', ')))}")
        else:
            words.append(f"-{name} {quoted(text)}")
    return " ".join(words)


def title(change: Change) -> str:
    """The change in one short line."""
    match change.action:
        case "Import-ExchangeCertificate":
            return f"{change.target}: import the certificate"
        case "Enable-ExchangeCertificate":
            what = change.parameters["Thumbprint"]
            return f"{change.target}: assign {what[:16]}... to {change.parameters['Services']}"
        case "Restart-Service":
            return f"{change.target}: restart {change.parameters['Name']}"
        case _:
            return f"{change.target}: {change.action} {change.parameters['X509CertificateName']}"


def is_done(change: Change, state: ServerState) -> bool:
    """Whether `state` shows that the change has been carried out; False also if Exchange does not tell."""
    if change.action == ENABLE:
        return _is_enabled(change, state)
    if change.action == IMPORT:
        return any(
            c.thumbprint in change.parameters["FileData"] and c.has_private_key is not False for c in state.certificates
        )
    wanted = change.parameters.get("X509CertificateName")
    actual = {"Set-PopSettings": state.pop_name, "Set-ImapSettings": state.imap_name}.get(change.action)
    return wanted is not None and wanted == actual


def _is_enabled(change: Change, state: ServerState) -> bool:
    thumbprint, wanted = change.parameters["Thumbprint"], services_of(change)
    certificate = state.certificate(thumbprint)
    if certificate is None or certificate.services is None or wanted & ~certificate.services:
        return False
    if Service.IIS in wanted and DEFAULT_WEB_SITE not in (certificate.iis_sites or ()):
        return False
    return Service.SMTP not in wanted or state.internal_transport == thumbprint


def _typed(name: str, text: str, secrets: Mapping[str, Parameter]) -> Parameter:
    if name in secrets:
        return secrets[name]
    if name in _BOOLEAN:
        return text == _TRUE
    return text.split(", ") if name in _LISTS else text
