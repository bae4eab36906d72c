"""The changes we make on Exchange: as a plan shows them, as they are sent, and as a person would type them.

A change is a cmdlet and its parameters, whole: what preview shows is what is sent. In the place of what is written in
parentheses comes, on the way, what no plan may hold (the file and its one-time password), or what is known only after
the import: how Exchange writes the names of the new certificate.
"""

from collections.abc import Iterable, Mapping, Sequence

from certwright.domain.deployment import Change
from certwright.domain.fingerprints import short
from certwright.exchange.model import DEFAULT_WEB_SITE, Connector, ServerState, Service, quoted
from certwright.remoting.psrp import Command, Parameter

IMPORT = "Import-ExchangeCertificate"
ENABLE = "Enable-ExchangeCertificate"
SET_NAME = {Service.POP: "Set-PopSettings", Service.IMAP: "Set-ImapSettings"}
SET_CONNECTOR = {
    "send": "Set-SendConnector",
    "receive": "Set-ReceiveConnector",
    "hybrid": "Set-HybridConfiguration",
}
ORGANISATIONAL = frozenset({SET_CONNECTOR["send"], SET_CONNECTOR["hybrid"]})
"""Cmdlets that change what belongs to no server: any server carries them out."""
REMOVE = "Remove-ExchangeCertificate"
RESTART = "Restart-Service"
ISSUERS = "Issuers"
"""What the file of issuers is called among the values of what a plan writes in parentheses."""
TRANSPORT_SERVICES = ("MSExchangeFrontEndTransport", "MSExchangeTransport")
WEB_SERVICES = ("W3SVC",)

_TRUE, _FALSE, _NULL = "$true", "$false", "$null"
_AS_EXCHANGE_WRITES = "(as Exchange writes issuer and subject of the new certificate)"
_ISSUERS_FILE = r"([System.IO.File]::ReadAllBytes('C:\issuers.p7b'))"
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


def import_issuers(server: str, thumbprint: str, intermediates: int, why: str) -> Change:
    """Put the issuers of a certificate into the store of `server`, without any key; the certificate is there."""
    plural = "" if intermediates == 1 else "s"
    told = f"(PKCS#7: {intermediates} issuer{plural} of certificate {thumbprint})"
    made = _change(server, IMPORT, {"Server": server, "FileData": told, "Confirm": _FALSE}, why)
    return made.model_copy(update={"typed": made.typed.replace(quoted(told), _ISSUERS_FILE)})


def imports_issuers(change: Change) -> bool:
    """Whether a change imports issuers alone."""
    return change.action == IMPORT and "Password" not in change.parameters


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


def name_certificate(connector: Connector, value: str | None, why: str, *, target: str = "") -> Change:
    """Let a connector, or the hybrid configuration, name the certificate `value`; None lets it name none."""
    identity = {} if connector.kind == "hybrid" else {"Identity": connector.identity or connector.name}
    parameters = {**identity, "TlsCertificateName": _NULL if value is None else value, "Confirm": _FALSE}
    return _change(connector.server or target, SET_CONNECTOR[connector.kind], parameters, why)


def name_imported(connector: Connector, thumbprint: str, source: str, why: str, *, target: str = "") -> Change:
    """The same for a certificate that is still to be imported: its name is read on `source` afterwards."""
    made = name_certificate(connector, _AS_EXCHANGE_WRITES, why, target=target)
    read = (
        f"$new = Get-ExchangeCertificate -Server {quoted(source)} -Thumbprint {quoted(thumbprint)} -ErrorAction Stop; "
        "if (-not ($new.Issuer -and $new.Subject)) { throw 'The certificate is not there: nothing is set.' }"
    )
    written = '"<I>$($new.Issuer)<S>$($new.Subject)"'
    return made.model_copy(update={"typed": f"{read}; {made.typed.replace(quoted(_AS_EXCHANGE_WRITES), written)}"})


def restart(server: str, names: Sequence[str], why: str) -> Change:
    """Restart Windows services of `server`."""
    return _change(server, RESTART, {"Name": ", ".join(names), "Force": _TRUE, "Confirm": _FALSE}, why)


def remove(server: str, thumbprint: str, why: str) -> Change:
    """Take the certificate and its key out of the store of `server`."""
    return _change(server, REMOVE, {"Server": server, "Thumbprint": thumbprint, "Confirm": _FALSE}, why)


def _change(server: str, action: str, parameters: dict[str, str], why: str) -> Change:
    return Change(
        target=server, action=action, parameters=parameters, why=why, typed=_typed_by_hand(action, parameters)
    )


def services_of(change: Change) -> Service:
    """What an Enable assigns; nothing for other changes."""
    return Service.read(change.parameters.get("Services", "None"))


def completes(change: Change, thumbprint: str) -> bool:
    """Whether this only completes the change to the version `thumbprint`: it puts back another one, or sets a name.

    A connector that names the earlier certificate goes on using it: that stays in the store.
    """
    return change.action in {*SET_NAME.values(), *SET_CONNECTOR.values()} or (
        change.action == ENABLE and change.parameters["Thumbprint"] != thumbprint
    )


def beyond(planned: Iterable[Change], agreed: Sequence[Change]) -> tuple[Change, ...]:
    """Those of `planned` that are not in `agreed`, which may assign the certificate to more services at once."""
    return tuple(change for change in planned if not any(_is_part(change, whole) for whole in agreed))


def _is_part(change: Change, whole: Change) -> bool:
    """Whether `change` is in `whole`, in which the name of a certificate may not have been known yet."""
    free = {"Services", *(("TlsCertificateName",) if needs_name(whole) else ())}
    one, other = ({n: text for n, text in c.parameters.items() if n not in free} for c in (change, whole))
    is_same = (change.target, change.action, one) == (whole.target, whole.action, other)
    return is_same and not services_of(change) & ~services_of(whole)


def connector_of(change: Change, connectors: Iterable[Connector]) -> Connector | None:
    """The one of `connectors` that a change is about."""
    kind = next((kind for kind, action in SET_CONNECTOR.items() if action == change.action), None)
    identity = change.parameters.get("Identity", "").lower()
    return next(
        (c for c in connectors if c.kind == kind and (kind == "hybrid" or is_called(c, identity))),
        None,
    )


def is_called(connector: Connector, identity: str) -> bool:
    """Whether a connector has this identity or, where that says enough, this name."""
    return identity.lower() in {connector.identity.lower(), connector.name.lower()} and bool(identity)


def needs_name(change: Change) -> bool:
    """Whether the change waits for how Exchange writes the names of the new certificate."""
    return change.parameters.get("TlsCertificateName") == _AS_EXCHANGE_WRITES


def names_of(change: Change) -> tuple[str, ...]:
    """The Windows services that a restart names."""
    return tuple(change.parameters["Name"].split(", "))


def command(change: Change, secrets: Mapping[str, Parameter]) -> Command:
    """What is sent; `secrets` are the values of what a plan writes in parentheses."""
    if imports_issuers(change):
        secrets = {"FileData": secrets[ISSUERS]}
    return Command(change.action, {name: _typed(name, text, secrets) for name, text in change.parameters.items()})


def _typed_by_hand(action: str, parameters: Mapping[str, str]) -> str:
    """For the Exchange Management Shell, or the server's own PowerShell."""
    words = [action]
    for name, text in parameters.items():
        if name in _BOOLEAN:
            words.append(f"-{name}:{text}")
        elif text == _NULL:
            words.append(f"-{name} {text}")
        elif name in _LISTS:
            words.append(f"-{name} {', '.join(map(quoted, text.split(', ')))}")
        else:
            words.append(f"-{name} {quoted(text)}")
    return " ".join(words)


def title(change: Change) -> str:
    """The change in one short line."""
    match change.action:
        case "Import-ExchangeCertificate":
            what = "certificate's issuers" if imports_issuers(change) else "certificate"
            return f"{change.target}: import the {what}"
        case "Enable-ExchangeCertificate":
            what = change.parameters["Thumbprint"]
            return f"{change.target}: assign {short(what)} to {change.parameters['Services']}"
        case "Remove-ExchangeCertificate":
            return f"{change.target}: remove {short(change.parameters['Thumbprint'])}"
        case "Restart-Service":
            return f"{change.target}: restart {change.parameters['Name']}"
        case "Set-PopSettings" | "Set-ImapSettings":
            return f"{change.target}: {change.action} {change.parameters['X509CertificateName']}"
        case _:
            return f"{change.target}: {change.action} {change.parameters.get('Identity', '')}".rstrip()


def is_done(change: Change, state: ServerState, written: str | None = None) -> bool:
    """Whether `state` shows that the change has been carried out; False also if Exchange does not tell.

    `written` is as for `shows_name`.
    """
    if change.action == ENABLE:
        return _is_enabled(change, state)
    if change.action == IMPORT:
        return any(
            c.thumbprint in change.parameters["FileData"] and c.has_private_key is not False for c in state.certificates
        )
    if change.action == REMOVE:
        return state.certificate(change.parameters["Thumbprint"]) is None
    if change.action == SET_CONNECTOR["receive"]:
        return shows_name(change, state.connectors or (), written)
    wanted = change.parameters.get("X509CertificateName")
    actual = {"Set-PopSettings": state.pop_name, "Set-ImapSettings": state.imap_name}.get(change.action)
    return wanted is not None and wanted == actual


def shows_name(change: Change, connectors: Iterable[Connector], written: str | None = None) -> bool:
    """Whether the connector that a change is about names what it is to name.

    `written` is how Exchange writes the names of the new certificate, where the change waits for that.
    """
    wanted = written if needs_name(change) else change.parameters["TlsCertificateName"]
    found = connector_of(change, connectors)
    return found is not None and (found.tls_certificate_name or _NULL).lower() == (wanted or "").lower()


def _is_enabled(change: Change, state: ServerState) -> bool:
    thumbprint, wanted = change.parameters["Thumbprint"], services_of(change)
    certificate = state.certificate(thumbprint)
    if certificate is None or certificate.services is None or wanted & ~certificate.services:
        return False
    if Service.IIS in wanted and DEFAULT_WEB_SITE not in (certificate.iis_sites or ()):
        return False
    return Service.SMTP not in wanted or state.internal_transport == thumbprint


def _typed(name: str, text: str, secrets: Mapping[str, Parameter]) -> Parameter:
    if name in secrets and text.startswith("("):
        return secrets[name]
    if text == _NULL:
        return None
    if name in _BOOLEAN:
        return text == _TRUE
    return text.split(", ") if name in _LISTS else text
