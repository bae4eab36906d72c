"""The certificate drive of the host's own PowerShell, as far as the question goes what keeps a key."""

from collections.abc import Iterable

from psrpcore.types import ErrorCategory, PSEnumBase, PSType

from certwright.exchange_simulator.certificates import StoredCertificate, distinguished_name
from certwright.exchange_simulator.cmdlet import Cmdlet, Invocation, text
from certwright.exchange_simulator.records import CmdletError, Record, ps_object

_PERSONAL = "cert:\\localmachine\\my"
_CERTIFICATE = "System.Security.Cryptography.X509Certificates.X509Certificate2"
_ACL = (
    "NT AUTHORITY\\SYSTEM Allow  FullControl\nBUILTIN\\Administrators Allow  FullControl"
    "{}\nS-1-5-5-0-0 Allow  GenericRead"
)
_SCHANNEL = 12  # PROV_RSA_SCHANNEL


@PSType(["System.Security.Cryptography.KeyNumber"])
class KeyNumber(PSEnumBase):
    """What a key of a cryptographic service provider is for: ``Exchange`` also decrypts."""

    none = 0
    Exchange = 1
    Signature = 2


def _get_child_item(call: Invocation) -> Iterable[Record]:
    path = call.get("Path", "")
    folder, _, thumbprint = path.rstrip("\\").lower().rpartition("\\")
    stored = call.node.state.certificates
    if path.rstrip("\\").lower() == _PERSONAL:
        return [_certificate(c) for c in stored.values()]
    if folder != _PERSONAL or thumbprint.upper() not in stored:
        raise not_there(path, call.cmdlet.task)
    return [_certificate(stored[thumbprint.upper()])]


def not_there(path: str, task: str) -> CmdletError:
    """The error for a path of any drive that leads nowhere."""
    return CmdletError(
        f"Cannot find path '{path}' because it does not exist.",
        reason="ItemNotFoundException",
        namespace="System.Management.Automation",
        category=ErrorCategory.ObjectNotFound,
        error_id=f"PathNotFound,{task}",
        target=path,
    )


def _certificate(stored: StoredCertificate) -> Record:
    own = stored.certificate
    shown = {
        "Thumbprint": stored.thumbprint,
        "Subject": distinguished_name(own.subject),
        "Issuer": distinguished_name(own.issuer),
        "FriendlyName": stored.friendly_name,
        "HasPrivateKey": stored.key is not None,
        "NotBefore": own.not_valid_before_utc,
        "NotAfter": own.not_valid_after_utc,
        "RawData": stored.der,
    }
    types = (_CERTIFICATE, "System.Object")
    # Windows PowerShell has no PrivateKey to show for a key of the newer interface.
    legacy = stored.key is not None and not stored.in_key_storage_provider
    return Record(
        types,
        {**shown, "PrivateKey": _private_key(stored) if legacy else None},
        wire=lambda: ps_object(types, adapted=shown),
    )


def _private_key(stored: StoredCertificate) -> Record:
    types = ("System.Security.Cryptography.RSACryptoServiceProvider", "System.Object")
    shown = {"KeySize": stored.certificate.public_key().key_size}  # type: ignore[union-attr]  # it is an RSA key
    return Record(
        types, {**shown, "CspKeyContainerInfo": _container(stored)}, wire=lambda: ps_object(types, adapted=shown)
    )


def _container(stored: StoredCertificate) -> Record:
    readable = "\nNT AUTHORITY\\NETWORK SERVICE Allow  GenericRead" if stored.readable_by_network_service else ""
    return Record(
        ("System.Security.Cryptography.CspKeyContainerInfo", "System.Object"),
        {
            "MachineKeyStore": True,
            "ProviderName": stored.provider,
            "ProviderType": _SCHANNEL,
            "KeyNumber": KeyNumber.Signature if stored.signature_only else KeyNumber.Exchange,
            "Accessible": True,
            "Exportable": stored.exportable,
            "CryptoKeySecurity": _ACL.format(readable),
        },
    )


STORE_CMDLETS = (
    Cmdlet(
        "Get-ChildItem",
        "Microsoft.PowerShell.Commands.GetChildItemCommand",
        _get_child_item,
        {"Path": text},
        positional=("Path",),
    ),
)
