"""The ExchangeCertificate cmdlets (exchange.md sections 1 and 3)."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from certwright.exchange_simulator import nrbf
from certwright.exchange_simulator.certificates import (
    Bundle,
    Services,
    Status,
    StoredCertificate,
    distinguished_name,
    read_bundle,
    self_signed,
    utc_now,
)
from certwright.exchange_simulator.cmdlet import (
    DIRECTORY,
    Cmdlet,
    Invocation,
    boolean,
    octets,
    secure_string,
    services,
    switch,
    text,
    texts,
)
from certwright.exchange_simulator.errors import Refused
from certwright.exchange_simulator.faults import Distrusted, HalfDone, IssuersLost, KeyLost
from certwright.exchange_simulator.records import (
    AllowedServices,
    CertificateAuthorityType,
    CertificateStatus,
    DomainList,
    IisServiceList,
    Record,
    ps_object,
    rpc_error,
)
from certwright.exchange_simulator.removal import check_unused
from certwright.exchange_simulator.world import Node, WireForm

_TASKS = "Microsoft.Exchange.Management.SystemConfigurationTasks."
_TYPES = (
    _TASKS + "ExchangeCertificate",
    "System.Security.Cryptography.X509Certificates.X509Certificate2",
    "System.Security.Cryptography.X509Certificates.X509Certificate",
    "System.Object",
)
_FRIENDLY_NAME_LIMIT = 64


def certificate_record(node: Node, stored: StoredCertificate, *, management_shell: bool) -> Record:
    """`stored` as ``Get-ExchangeCertificate`` outputs it on `node`."""
    properties = _properties(node, stored)
    own = {"RawData": stored.der}
    display = (
        f"[Subject]\r\n  {properties['Subject']}\r\n\r\n[Issuer]\r\n  {properties['Issuer']}\r\n\r\n"
        f"[Thumbprint]\r\n  {stored.thumbprint}\r\n"
    )
    extended = {}
    if management_shell and node.wire_form is not WireForm.RAW_DATA:
        extended["SerializationData"] = _serialization_data(node, stored, properties)
    return Record(
        _TYPES,
        properties if node.select_sees_properties else own,
        display,
        wire=lambda: ps_object(_TYPES, adapted=own, extended=extended, text=display),
    )


def _properties(node: Node, stored: StoredCertificate) -> dict[str, Any]:
    own = stored.certificate
    serial = f"{own.serial_number:X}"
    sites = [f"IIS://{node.state.name}/W3SVC/{site}" for site in node.state.iis_sites(stored)]
    return {
        "AccessRules": None,
        "CertificateDomains": DomainList(stored.names),
        "EnhancedKeyUsageList": None,
        "FriendlyName": stored.friendly_name,
        "HasPrivateKey": stored.key is not None,
        "IISServices": IisServiceList(sites),
        "Identity": f"{node.state.fqdn}\\{stored.thumbprint}",
        "IsSelfSigned": stored.self_signed,
        "Issuer": distinguished_name(own.issuer),
        "NotAfter": own.not_valid_after_utc,
        "NotBefore": own.not_valid_before_utc,
        "PrivateKeyExportable": stored.exportable,
        "PublicKeySize": getattr(own.public_key(), "key_size", 0),
        "RawData": stored.der,
        "RootCAType": _root_ca_type(stored),
        "SerialNumber": serial if len(serial) % 2 == 0 else f"0{serial}",
        "Services": AllowedServices(int(stored.services)),
        "ServicesStringForm": stored.services.letters,
        "Status": CertificateStatus(int(stored.status_at(utc_now()))),
        "Subject": distinguished_name(own.subject),
        "Thumbprint": stored.thumbprint,
    }


def _serialization_data(node: Node, stored: StoredCertificate, properties: Mapping[str, Any]) -> bytes:
    payload = nrbf.serialize(
        nrbf.ExchangeCertificate(
            der=stored.der,
            friendly_name=stored.friendly_name,
            self_signed=properties["IsSelfSigned"],
            status=int(properties["Status"]),
            root_ca_type=int(properties["RootCAType"]),
            services=int(stored.services),
            iis_services=properties["IISServices"],
            private_key_exportable=stored.exportable,
            identity=properties["Identity"],
        )
    )
    return nrbf.sign(payload, node.signing_key) if node.wire_form is WireForm.SIGNED else payload


def _root_ca_type(stored: StoredCertificate) -> CertificateAuthorityType:
    return CertificateAuthorityType.none if stored.self_signed else CertificateAuthorityType.ThirdParty


def _get(call: Invocation) -> Iterable[Record]:
    state, wanted = call.node.state, _thumbprint(call)
    domain_names = call.get("DomainName", ())
    with state.lock:
        found = list(state.certificates.values())
        # A -Thumbprint that is not there is an error; an -Identity that is not there gives all.
        if call.get("Thumbprint") or wanted in state.certificates:
            found = [state.certificate(wanted)]
        if domain_names:
            found = [c for c in found if any(c.covers(name) for name in domain_names)]
        return [_output(call, c) for c in found]


def _thumbprint(call: Invocation) -> str:
    """From ``-Thumbprint`` or ``-Identity``, which may start with the server's name."""
    named: str = call.get("Thumbprint") or call.get("Identity") or ""
    return named.rpartition("\\")[2].replace(" ", "").upper()


def _output(call: Invocation, stored: StoredCertificate) -> Record:
    return certificate_record(call.node, stored, management_shell=call.session.management_shell)


def _import(call: Invocation) -> Iterable[Record]:
    friendly_name = call.get("FriendlyName")
    if friendly_name is not None and len(friendly_name) >= _FRIENDLY_NAME_LIMIT:
        raise Refused("The friendly name must be shorter than 64 characters.")
    state = call.node.state
    bundle = read_bundle(call.get("FileData"), call.get("Password"), opens_aes=state.version.opens_aes)
    if not call.should_process():
        return []
    lost = call.effect if isinstance(call.effect, IssuersLost) else None
    if bundle.only_issuers:
        state.import_issuers(() if lost else (bundle.certificate, *bundle.others))
        call.changed()
        return []
    if lost:
        bundle = dataclasses.replace(bundle, others=())
    stored = state.import_certificate(
        bundle,
        exportable=call.get("PrivateKeyExportable", False),
        friendly_name=friendly_name,
        lose_key=isinstance(call.effect, KeyLost),
    )
    if isinstance(call.effect, Distrusted):
        stored.status = call.effect.status
    elif lost and lost.untrusted:
        stored.status = Status.UNTRUSTED
    call.changed()
    return [_output(call, stored)]


def _enable(call: Invocation) -> Iterable[Record]:
    state, wanted = call.node.state, call.get("Services")
    stored = state.certificate(_thumbprint(call))
    if not call.should_process():
        state.check_usable(stored, wanted)
        return []
    half_done = call.effect if isinstance(call.effect, HalfDone) else None
    replaces = Services.SMTP in wanted and _replaces_default(call, stored)
    before = state.directory_values()
    warnings = state.enable(
        stored.thumbprint,
        wanted,
        replace_internal_transport=replaces,
        require_ssl=not call.get("DoNotRequireSsl", False),
        skip_iis=half_done is not None,
    )
    for target, attribute, old in before:
        if getattr(target, attribute) != old:
            call.session.world.directory.changed(target, attribute, old, call.controller)
    call.changed()
    for warning in warnings:
        call.streams.warning(warning)
    if half_done is not None:
        raise rpc_error(state.name, half_done.message, call.cmdlet.task, terminating=half_done.terminating)
    return []


def _replaces_default(call: Invocation, new: StoredCertificate) -> bool:
    """Whether SMTP also takes over the default certificate: -Force, or the answer to the prompt."""
    state = call.node.state
    current = state.certificates.get(state.internal_transport)
    if call.get("Force", False) or current is None or current is new:
        return True
    message = (
        "Overwrite the existing default SMTP certificate?\r\n\r\n"
        f"Current certificate: '{current.thumbprint}' (expires {_short_date(current)})\r\n"
        f"Replace it with certificate: '{new.thumbprint}' (expires {_short_date(new)})"
    )
    return _confirmed(call, message)


def _confirmed(call: Invocation, message: str) -> bool:
    answers = ("&Yes", "Yes to &All", "&No", "No to A&ll")
    return call.streams.choose("Confirm", message, answers, 0) in {0, 1}


def _short_date(stored: StoredCertificate) -> str:
    return stored.certificate.not_valid_after_utc.strftime("%m/%d/%Y %I:%M:%S %p")


def _remove(call: Invocation) -> Iterable[Record]:
    stored = call.node.state.certificate(_thumbprint(call))
    question = (
        "Are you sure you want to perform this action?\r\n"
        f"Remove certificate with thumbprint {stored.thumbprint} from the computer's certificate store?"
    )
    if call.should_process() and call.get("Confirm", True) and not _confirmed(call, question):
        return []
    check_unused(call.node.state, stored)
    if call.should_process():
        call.node.state.remove(stored.thumbprint)
        call.changed()
    return []


def _new(call: Invocation) -> Iterable[Record]:
    state = call.node.state
    common_name = (call.get("SubjectName") or f"CN={state.name}").partition("=")[2].partition(",")[0].strip()
    wanted = call.get("Services", Services.IMAP | Services.POP | Services.SMTP)
    if not call.should_process():
        return []
    certificate, key = self_signed(common_name, call.get("DomainName", (state.name, state.fqdn)), now=utc_now(), age=0)
    bundle = Bundle(certificate, key, (), call.get("FriendlyName") or "Microsoft Exchange")
    stored = state.import_certificate(
        bundle, exportable=call.get("PrivateKeyExportable", False), friendly_name=bundle.friendly_name
    )
    replaces = Services.SMTP in wanted and _replaces_default(call, stored)
    # Unlike Enable, it takes a short name for POP and IMAP.
    stored.services |= wanted & (Services.POP | Services.IMAP)
    state.enable(stored.thumbprint, wanted & ~stored.services, replace_internal_transport=replaces)
    call.changed()
    return [_output(call, stored)]


CERTIFICATE_CMDLETS = (
    Cmdlet(
        "Get-ExchangeCertificate",
        _TASKS + "GetExchangeCertificate",
        _get,
        {"Thumbprint": text, "Identity": text, "Server": text, "DomainName": texts, **DIRECTORY},
        positional=("Thumbprint",),
        refusal=rpc_error,
    ),
    Cmdlet(
        "Import-ExchangeCertificate",
        _TASKS + "ImportExchangeCertificate",
        _import,
        {
            "FileData": octets,
            "Password": secure_string,
            "PrivateKeyExportable": boolean,
            "FriendlyName": text,
            "Server": text,
            **DIRECTORY,
        },
        mandatory=frozenset({"FileData"}),
        mutates=True,
        refusal=rpc_error,
    ),
    Cmdlet(
        "Enable-ExchangeCertificate",
        _TASKS + "EnableExchangeCertificate",
        _enable,
        {
            "Thumbprint": text,
            "Identity": text,
            "Services": services,
            "Server": text,
            "Force": switch,
            "DoNotRequireSsl": switch,
            "NetworkServiceAllowed": switch,
            **DIRECTORY,
        },
        positional=("Thumbprint",),
        mandatory=frozenset({"Services"}),
        mutates=True,
        refusal=rpc_error,
    ),
    Cmdlet(
        "Remove-ExchangeCertificate",
        _TASKS + "RemoveExchangeCertificate",
        _remove,
        {"Thumbprint": text, "Identity": text, "Server": text, **DIRECTORY},
        positional=("Thumbprint",),
        mutates=True,
        refusal=rpc_error,
    ),
    Cmdlet(
        "New-ExchangeCertificate",
        _TASKS + "NewExchangeCertificate",
        _new,
        {
            "SubjectName": text,
            "DomainName": texts,
            "FriendlyName": text,
            "PrivateKeyExportable": boolean,
            "Services": services,
            "Server": text,
            "Force": switch,
            **DIRECTORY,
        },
        mutates=True,
        refusal=rpc_error,
    ),
)
