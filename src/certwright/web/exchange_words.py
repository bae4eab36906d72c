"""Exchange in words: what a plan changes, in a sentence for whoever agrees to it, and what uses a certificate."""

from certwright.domain.deployment import Change
from certwright.domain.fingerprints import short
from certwright.exchange.deployment import changes
from certwright.exchange.model import Service
from certwright.web.language import _, later

_ISSUERS = later("Put the certificates of its issuers into the store.")
_NAME = later("Have %(service)s choose its certificate by the name %(name)s.")
_SENTENCES = {
    changes.IMPORT: later("Put the certificate and its key into the store. Nothing uses it yet."),
    changes.ENABLE: later("Have %(service)s use the certificate %(certificate)s."),
    changes.RESTART: later("Restart %(name)s."),
    changes.SET_NAME[Service.POP]: _NAME,
    changes.SET_NAME[Service.IMAP]: _NAME,
    changes.SET_CONNECTOR["send"]: later("Have the send connector %(name)s name the certificate."),
    changes.SET_CONNECTOR["receive"]: later("Have the receive connector %(name)s name the certificate."),
    changes.SET_CONNECTOR["hybrid"]: later("Have the hybrid configuration name the certificate."),
}
_CONNECTORS = {
    "send connector ": later("send connector %(name)s"),
    "receive connector ": later("receive connector %(name)s"),
}
_SERVICES = {action: str(service) for service, action in changes.SET_NAME.items()}


def in_words(change: Change) -> str:
    """What this change does, empty if there is no sentence for it; the command beside it says it exactly."""
    given = change.parameters
    sentence = _ISSUERS if changes.imports_issuers(change) else _SENTENCES.get(change.action, "")
    if not sentence:
        return ""
    return _(sentence) % {
        "service": _SERVICES.get(change.action) or given.get("Services", ""),
        "certificate": short(given.get("Thumbprint", "")),
        "name": given.get("X509CertificateName") or given.get("Identity") or given.get("Name", ""),
    }


def used(use: str) -> str:
    """What uses a certificate, as the picture of an organisation tells it."""
    for begin, words in _CONNECTORS.items():
        if use.startswith(begin):
            return _(words) % {"name": use.removeprefix(begin)}
    return _(use)
