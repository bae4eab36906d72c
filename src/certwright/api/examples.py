"""Examples of what is sent and answered, whole ones, for the description of the API: those of mail.contoso.com.

A field that means something beyond its model has an example of its own beside it.
"""

from collections.abc import Mapping
from typing import Any, Final

_ID, _VERSION, _TASK, _RUN = "3f2a9c01b7de", "5c1e7a90d2f4", "37dfb739e3e2", "9b1f04c2d7e6"
_ISSUED, _ENDS = "2026-11-29T12:00:00Z", "2027-02-27T12:00:00Z"
_DUE = "2027-01-28T12:00:00Z"
_FRESH = "It is valid until 2027-02-27 12:00 UTC; it is due on 2027-01-28 12:00 UTC."
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_THUMBPRINT = "A94A8FE5CCB19BA61C4C0873D391E987982FBBD3"
_PEM = "-----BEGIN CERTIFICATE-----\nMIIB...\n-----END CERTIFICATE-----\n"

_CONDITION = {
    "health": "ok",
    "rule": "well",
    "message": _FRESH,
    "hint": "",
    "until": _DUE,
    "ends": _ENDS,
}
_FAILING = {
    "health": "failing",
    "rule": "failing",
    "message": "It has failed 3 times in a row: the DNS service refuses the credential 'cloudflare'.",
    "hint": "Store the credential anew.",
    "until": None,
    "ends": "2026-12-20T12:00:00Z",
}
_RENEWAL = {"due": False, "reason": "fresh", "message": _FRESH, "next_check": _DUE, "hint": ""}
_PROOF = {"challenge": "dns-01", "solver": "dns", "params": {"credential": "cloudflare"}, "names": []}
_SETTINGS = {
    "id": _TASK,
    "kind": "exchange",
    "title": "exchange",
    "params": {"servers": ["mail01.contoso.com"]},
    "enabled": True,
    "role": "deployment",
    "trigger": "on-success",
    "watched": None,
    "stops": False,
    "retries": None,
    "retry_delay": None,
    "window": None,
}
_POLICY = {"lifetime_share": 0.66, "days_before": None}
_MANAGED = {
    "id": _ID,
    "title": "mail.contoso.com",
    "identifiers": ["mail.contoso.com", "autodiscover.contoso.com"],
    "issuer": "letsencrypt",
    "fallback_issuers": [],
    "key": {"source": "generated", "type": "rsa-2048", "own_key": None, "own_csr": None},
    "validations": [_PROOF],
    "profile": None,
    "preferred_chain": None,
    "pfx_password_credential": None,
    "tasks": [_SETTINGS],
    "renewal": _POLICY,
    "window": "nights",
    "tags": ["mail"],
}
_ISSUED_VERSION = {
    "id": _VERSION,
    "managed_id": _ID,
    "issuer": "letsencrypt",
    "chain_pem": _PEM,
    "key_form": "here",
    "fingerprint": "52946937028f1a67",
    "order_url": "https://acme-v02.api.letsencrypt.org/acme/order/1/2",
    "issued_at": _ISSUED,
    "revoked_at": None,
}
_PORT = {
    "server": "MAIL01",
    "service": "IIS",
    "address": "192.0.2.1",
    "port": 443,
    "protocol": "https",
    "before": "0a1b2c3d4e5f6071 mail.contoso.com",
    "now": f"{_SHA256[:16]} mail.contoso.com",
    "names": ["mail.contoso.com", "autodiscover.contoso.com"],
    "valid": True,
    "verdict": "ok",
    "detail": "",
    "sends": False,
    "certificate_before": None,
    "certificate_now": {"thumbprint": _THUMBPRINT, "sha256": _SHA256},
}
_DEPLOYED = {
    "task_id": _TASK,
    "managed_id": _ID,
    "version_id": _VERSION,
    "occasion": [],
    "stage": "deployed",
    "baseline": [],
    "served": [_PORT],
    "message": "",
    "updated_at": "2026-11-29T12:04:00Z",
    "failures": 0,
    "failing_since": None,
    "retryable": True,
    "attempts": 0,
    "retry_at": None,
    "in_use": _VERSION,
    "changed": False,
    "undone": None,
}
_LISTED = {
    "id": _ID,
    "title": "mail.contoso.com",
    "names": ["mail.contoso.com", "autodiscover.contoso.com"],
    "issuers": ["letsencrypt"],
    "tags": ["mail"],
    "health": _CONDITION,
    "not_after": _ENDS,
    "next_check": _DUE,
}
_JOB: Final[Mapping[str, Any]] = {
    "id": "b145d0c5d5f4",
    "what": "exchange plan",
    "subject": _ID,
    "by": "The token 'robot'",
    "tags": [],
    "takes": "request",
    "begun_at": "2026-11-30T12:00:00Z",
    "step": "Read the servers",
    "runs": [],
    "ended_at": None,
    "outcome": None,
    "fault": None,
}
_REFUSED = {
    "message": "MAIL01 does not answer.",
    "hint": "See whether it runs, and whether a firewall is in between.",
    "causes": ["mail01.contoso.com:80: connection refused"],
    "retryable": True,
}
_ENDED = {"step": "", "ended_at": "2026-11-30T12:00:20Z"}
_PLACED = {"settings": _SETTINGS, "place": 1, "stage": "deployed"}
_RUN_ENDED = {
    "id": _RUN,
    "managed_id": _ID,
    "kind": "request",
    "started_at": "2026-11-29T11:59:00Z",
    "ended_at": _ISSUED,
    "outcome": "done",
    "message": "It is valid until 2027-02-27 12:00 UTC.",
}
_LINE = {
    "sequence": 815,
    "run_id": _RUN,
    "at": _ISSUED,
    "step": 2,
    "parent": 1,
    "phase": "note",
    "title": "Order",
    "outcome": None,
    "detail": "The authority has issued the certificate.",
}
_ACCOUNT = {"authority": "letsencrypt", "email": "certs@contoso.com", "agree_tos": True}
_ISSUER = {
    "name": "letsencrypt",
    "authority": "Let's Encrypt",
    "kind": "acme",
    "params": _ACCOUNT,
    "capabilities": {
        "internal_names": False,
        "wildcards": True,
        "ip_addresses": False,
        "max_names": 100,
        "key_types": ["rsa-2048", "ecdsa-p256"],
        "profiles": {"classic": "The usual one."},
        "ip_profiles": ["shortlived"],
        "lifetime": "P90D",
        "caa_identities": ["letsencrypt.org"],
    },
}
_LEVEL = {
    "limit": "registered-domain",
    "subject": "contoso.com",
    "most": 50,
    "within_seconds": 604800.0,
    "left": 48,
    "full_at": "2026-12-01T12:00:00Z",
    "shut_until": None,
    "done_at": "2026-11-30T12:00:00Z",
}
_CREDENTIAL = {"name": "cloudflare", "kind": "dns:cloudflare", "shown": {}, "used_by": ["mail.contoso.com"], "more": 0}
_WINDOW = {
    "name": "nights",
    "spans": ["Sat 22:00-04:00"],
    "zone": "Europe/Berlin",
    "closed": ["2026-12-20..2027-01-06"],
    "open": False,
    "openings": [{"start": "2026-12-05T21:00:00Z", "end": "2026-12-06T03:00:00Z"}],
    "used_by": ["mail.contoso.com"],
    "more": 0,
}
_CHANNEL = {
    "name": "mail",
    "kind": "smtp",
    "carries": True,
    "shown": {"sender": "certs@contoso.com", "to": ["it@contoso.com"]},
    "used_by": ["the rule 'problems'"],
    "waiting": 0,
}
_RULE = {
    "matters": ["issuance", "expiring"],
    "channels": ["mail"],
    "failures": 3,
    "days": 14,
    "quiet": "22:00-07:00",
    "zone": "Europe/Berlin",
    "digest": "none",
    "digest_at": "08:00",
}
_WATCHED = {
    "id": "6d02b8f1a3c5",
    "title": "partner",
    "place": {"host": "mail.partner.test", "port": 443, "starttls": None, "name": None},
    "seen": {
        "sha256": _SHA256,
        "thumbprint": _THUMBPRINT,
        "subject": "CN=mail.partner.test",
        "issuer": "CN=R12, O=Let's Encrypt, C=US",
        "names": ["mail.partner.test"],
        "key": "RSA 2048",
        "not_before": _ISSUED,
        "not_after": _ENDS,
    },
    "since": "2026-11-29T18:00:00Z",
    "looked_at": "2026-11-30T06:00:00Z",
    "changes": ["It ends on 2027-02-27, and not on 2026-12-20."],
    "failures": 0,
    "problem": "",
    "told_days": None,
}
_ITEM = {"watched": _WATCHED, "days_left": 89, "state": "ok"}
_PERSON = {
    "name": "anna",
    "role": "operator",
    "tags": ["berlin"],
    "second_factor": True,
    "created_at": _ISSUED,
    "locked_until": None,
    "provider": None,
    "barred": False,
}
_PASSWORD = "..."  # noqa: S105 - an example
_TOKEN = {
    "id": "c25f89a473a1",
    "name": "monitoring",
    "permissions": ["read"],
    "tags": [],
    "created_at": _ISSUED,
    "expires_at": _ENDS,
    "used_at": None,
}
_PROVIDER = {
    "name": "contoso",
    "shown": {"title": "Contoso", "issuer": "https://login.contoso.test/realms/main", "client_id": "certwright"},
    "redirect_uri": "https://certwright.contoso.test/sign-in/with/contoso/callback",
}
_DID = {
    "number": 42,
    "previous": _SHA256,
    "at": "2026-11-30T12:00:01Z",
    "actor": {"kind": "person", "name": "anna"},
    "action": "held back",
    "subject": {"kind": "certificate", "id": _ID, "title": "mail.contoso.com"},
    "before": {"hold": None},
    "after": {"hold": {"reason": "The mail server moves", "since": "2026-11-30T12:00:01Z", "until": None}},
}
_TERMS = {"lifetime": "P90D", "max_names": 100, "ip_addresses": False}
_AUTHORITY = {
    "name": "letsencrypt",
    "title": "Let's Encrypt",
    "directory": "https://acme-v02.api.letsencrypt.org/directory",
    "page": "https://letsencrypt.org/docs/rate-limits/",
    "terms": _TERMS,
    "profiles": {"classic": _TERMS},
    "wildcards": True,
    "key_types": ["rsa-2048", "ecdsa-p256"],
    "external_account": "",
    "caa_identities": ["letsencrypt.org"],
    "limits": [{"scope": "registered-domain", "most": 50, "within": "P7D", "blamed": "already issued for"}],
    "counts_replacements": False,
    "counts_renewals": False,
    "is_public": True,
    "note": "",
}
_ORGANISATION = {"domains": ["contoso.com"], "connection": {"servers": ["mail01.contoso.com"]}}
_SETUP = {"connection": {"servers": ["mail01.contoso.com"]}, "names": ["mail.contoso.com"], "issuer": "letsencrypt"}
_REMOVAL = {
    "target": "MAIL01",
    "action": "Remove-ExchangeCertificate",
    "parameters": {"Thumbprint": _THUMBPRINT},
    "why": "Nothing uses it any more.",
    "typed": f"Remove-ExchangeCertificate -Server MAIL01 -Thumbprint {_THUMBPRINT}",
    "inverse": "",
    "restored": [],
    "stays": "",
    "wave": 0,
}
_FILE = {"content": _PEM}
_SEEN = "The zone contoso.com is there."

_SENT: Final[Mapping[str, Any]] = {
    "Acknowledgement": {"connectors": ["To the Internet"]},
    "Bulk": {"which": {"tag": "berlin"}, "seen": "52946937028f1a67"},
    "ChangedCertificate": {"names": ["mail.contoso.com", "smtp.contoso.com"], "title": "mail"},
    "ChangedIssuer": {"params": {"email": "it@contoso.com"}, "unset": ["ca_file"]},
    "ChangedTask": {"trigger": "manual", "params": {"services": ["IIS"]}, "place": 1},
    "Cleaning": {"removals": [_REMOVAL], "anytime": False},
    "Deploy": {"attended": True, "anytime": False},
    "Diagnosed": {"pseudonyms": True},
    "Export": {"format": "pfx", "cipher": "modern", "password": _PASSWORD},
    "NewCertificate": {"names": ["mail.contoso.com"], "issuers": ["letsencrypt"], "validations": [_PROOF]},
    "NewIssuer": {"name": "letsencrypt", "params": _ACCOUNT},
    "NewItem": {"title": "partner", "service": {"host": "mail.partner.test", "port": 443}},
    "NewPassword": {"password": _PASSWORD},
    "NewPerson": {"name": "anna", "role": "operator", "tags": ["berlin"], "password": _PASSWORD},
    "NewRole": {"role": "operator", "tags": ["berlin"]},
    "NewTask": {"kind": "exchange", "params": {"servers": ["mail01.contoso.com"]}, "window": "nights"},
    "NewToken": {"name": "monitoring", "permissions": ["read"], "days": 90},
    "ReachForNames": {"connection": {"servers": ["mail01.contoso.com"]}, "certificate": _ID},
    "RenewalPolicy": {"days_before": 20},
    "Secret": {"kind": "dns:cloudflare", "params": {"api_token": _PASSWORD}},
    "SettingUp": {**_SETUP, "held": "To be tested first."},
    "Setup": _SETUP,
    "Trial": {"domain": "contoso.com"},
    "WantedFile": _FILE,
    "WantedRule": _RULE,
    "WebServer": {"host": "www.contoso.com", "port": 443},
    "certwright__api__bulk__Hold": {"which": {"tag": "berlin"}, "reason": "The servers move on Saturday."},
    "certwright__api__certificates__Hold": {
        "reason": "The mail server moves on Saturday.",
        "until": "2026-12-06T06:00:00Z",
    },
}
_ANSWERED: Final[Mapping[str, Any]] = {
    "Authority": _AUTHORITY,
    "Certificate": {
        "wanted": _MANAGED,
        "health": _CONDITION,
        "renewal": _RENEWAL,
        "not_after": _ENDS,
        "versions": [_ISSUED_VERSION],
        "deployments": [_DEPLOYED],
    },
    "CertificateVersion": _ISSUED_VERSION,
    "Certificates": {"items": [_LISTED], "next": "mail.contoso.com"},
    "Channel": _CHANNEL,
    "Channels": {"items": [_CHANNEL], "next": None, "advice": ["All messages go by smtp."]},
    "Credential": _CREDENTIAL,
    "Done": {"job": {**_JOB, **_ENDED, "outcome": "failed", "fault": _REFUSED}, "result": None},
    "Entries": {"items": [_LINE], "next": 815},
    "Foreseen": {
        "before": {"title": "mail.contoso.com"},
        "after": {"title": "mail"},
        "renewal": _RENEWAL,
    },
    "Issuer": _ISSUER,
    "Item": _ITEM,
    "Items": {"items": [_ITEM], "next": "partner"},
    "Job": _JOB,
    "Jobs": {"items": [_JOB], "next": _JOB["id"]},
    "Kind": {"name": "dns:cloudflare", "sentence": "Zones at Cloudflare.", "unavailable": ""},
    "Levels": {"items": [_LEVEL], "more": 0},
    "MadeToken": {"token": _TOKEN, "secret": "certwright_c25f89a473a1_..."},
    "Named_ApiToken_": {"items": [_TOKEN], "next": "monitoring"},
    "Named_Credential_": {"items": [_CREDENTIAL], "next": "cloudflare"},
    "Named_Issuer_": {"items": [_ISSUER], "next": "letsencrypt"},
    "Named_Provider_": {"items": [_PROVIDER], "next": "contoso"},
    "Named_ShownRule_": {"items": [{"name": "problems", **_RULE}], "next": "problems"},
    "Named_Shown_": {"items": [_PERSON], "next": "anna"},
    "Named_Window_": {"items": [_WINDOW], "next": "nights"},
    "Organisation": _ORGANISATION,
    "Plugin": {
        "name": "cloudflare",
        "kind": "dns",
        "page": "Zones at Cloudflare.",
        "params": {"type": "object", "properties": {"api_token": {"type": "string", "writeOnly": True}}},
    },
    "Provider": _PROVIDER,
    "Removed": {"task": _SETTINGS, "unfinished": []},
    "Run": _RUN_ENDED,
    "Runs": {"items": [_RUN_ENDED], "next": _RUN},
    "Script": {"script": "New-ManagementRole -Name 'Certwright read' -Parent 'View-Only Configuration'\n"},
    "Sent": {"answer": "mail.contoso.com answered: 250 2.6.0 Queued."},
    "Shown": _PERSON,
    "ShownRule": {"name": "problems", **_RULE},
    "Status": {
        "overall": "failing",
        "certificates": {"ok": 41, "failing": 1},
        "watched": {"ok": 3},
        "service": [
            {
                "title": "The daily backup",
                "health": "attention",
                "since": "2026-11-30T02:00:00Z",
                "message": "The disk is away.",
                "hint": "Mount it.",
            }
        ],
        "needs_person": [{"id": "0c4e8d7b2a19", "title": "shop.contoso.com", "health": _FAILING}],
        "more": 0,
        "missing": ["If this machine stops, nobody notices."],
    },
    "Stored": {"credential": _CREDENTIAL, "seen": _SEEN},
    "StoredChannel": {"channel": _CHANNEL, "seen": "mail.contoso.com lets us send."},
    "StoredProvider": {"provider": _PROVIDER, "seen": "It takes the client."},
    "Task": _PLACED,
    "Tasks": {
        "items": [{**_PLACED, "certificate": _ID, "title": "mail.contoso.com", "next": _DUE}],
        "next": "mail.contoso.com",
    },
    "Trail": {"items": [_DID], "next": 42},
    "Tried": {"seen": "It takes the client."},
    "Window-Output": _WINDOW,
}
EXAMPLES: Final[Mapping[str, Any]] = {**_SENT, **_ANSWERED}
"""By the name of the schema."""
RECORDS: Final = [
    {
        "name": "_validation-persist.mail.contoso.com",
        "type": "TXT",
        "value": "letsencrypt.org; accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/1",
        "line": '_validation-persist.mail.contoso.com. IN TXT "letsencrypt.org; accounturi=..."',
        "proves": ["mail.contoso.com"],
    }
]
