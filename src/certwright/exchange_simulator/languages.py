"""Exchange's messages as a server in another language gives them; error ids stay the same in every language."""

import re
from collections.abc import Mapping, Sequence

_GERMAN: Sequence[tuple[str, str]] = (
    (r"A special Rpc error occurs on server (\S+): ", r"Ein spezieller RPC-Fehler ist auf dem Server \1 aufgetreten: "),
    (r"The RPC server is unavailable\.", "Der RPC-Server ist nicht verfügbar."),
    (
        r"Cannot import certificate\. A certificate with the thumbprint (\w+) already exists\.",
        r"Das Zertifikat kann nicht importiert werden. Ein Zertifikat mit dem Fingerabdruck \1 ist bereits vorhanden.",
    ),
    (
        r"Cannot import certificate\. The data is invalid or the password specified is incorrect\.",
        "Das Zertifikat kann nicht importiert werden. Die Daten sind ungültig, oder das Kennwort ist falsch.",
    ),
    (
        r"The certificate with thumbprint (\w+) was found but is not valid for .* \(reason: (\w+)\)\.",
        r"Das Zertifikat mit dem Fingerabdruck \1 kann nicht mit Exchange Server verwendet werden (Ursache: \2).",
    ),
    (
        r"The certificate with thumbprint (\w+) was not found\.",
        r"Das Zertifikat mit dem Fingerabdruck \1 wurde nicht gefunden.",
    ),
    (
        r"The internal transport certificate cannot be removed because .*",
        "Das interne Transportzertifikat kann nicht entfernt werden, da der Transportdienst dadurch beendet wird.",
    ),
    (
        r"These certificates are tagged with following (\w+) Connectors : ([^.]*)\..*",
        r"Diese Zertifikate sind mit den folgenden \1-Connectors gekennzeichnet: \2.",
    ),
    (
        r"The certificate with thumbprint (\w+) can't be removed because .*",
        r"Das Zertifikat mit dem Fingerabdruck \1 kann nicht entfernt werden, da es verwendet wird.",
    ),
    (
        r"The operation couldn't be performed because object '(.*)' couldn't be found on '(.*)'\.",
        r"Der Vorgang konnte nicht ausgeführt werden, da das Objekt '\1' auf '\2' nicht gefunden wurde.",
    ),
    (
        r"The term '(.*)' is not recognized as the name of .*",
        r"Die Benennung '\1' wurde nicht als Name eines Cmdlet oder ausführbaren Programms erkannt.",
    ),
    (
        r"A parameter cannot be found that matches parameter name '(.*)'\.",
        r"Es wurde kein Parameter gefunden, der dem Parameternamen '\1' entspricht.",
    ),
    (
        r"The syntax is not supported by this runspace\. .*",
        "Die Syntax wird von diesem Runspace nicht unterstützt. Möglicherweise befindet er sich im No-Language-Modus.",
    ),
    (
        r"The command completed successfully but no settings of '(.*)' have been modified\.",
        r"Der Befehl wurde erfolgreich abgeschlossen, es wurden jedoch keine Einstellungen von '\1' geändert.",
    ),
    (
        r"Changes to (\w+) settings will only take effect after .* on server (\S+)\.",
        r"Änderungen an den \1-Einstellungen werden erst nach dem Neustart der Dienste auf dem Server \2 wirksam.",
    ),
    (r"Access is denied\.", "Zugriff verweigert."),
)
_TRANSLATIONS: Mapping[str, Sequence[tuple[str, str]]] = {"en": (), "de": _GERMAN}


def localised(message: str, language: str) -> str:
    """`message` in `language` (``en`` or ``de``); what has no translation stays English, as on a real server."""
    for pattern, replacement in _TRANSLATIONS[language]:
        message = re.sub(pattern, replacement, message, flags=re.DOTALL)
    return message
