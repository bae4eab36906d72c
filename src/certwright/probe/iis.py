"""What keeps IIS from serving a challenge file, and what is to be typed against it.

Sources: learn.microsoft.com, "HTTP status codes in IIS" (sub-status codes), "staticContent", "httpRedirect", "access".
"""

import re

SIGNS = ("web.config", "iisstart.htm")
"""Files in the root folder of a site that IIS serves, in lower case."""

WEB_CONFIG = """\
<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <httpRedirect enabled="false" />
    <staticContent>
      <remove fileExtension="." />
      <mimeMap fileExtension="." mimeType="text/plain" />
    </staticContent>
    <handlers>
      <clear />
      <add name="StaticFile" path="*" verb="GET,HEAD" modules="StaticFileModule"
           resourceType="File" requireAccess="Read" />
    </handlers>
  </system.webServer>
</configuration>
"""
"""For the folder of the challenge files: no inherited redirect or handler, and files without an extension are text."""

_SUBSTATUS = re.compile(rb"\b(40[0-9]\.\d{1,2})\b")
_APPCMD = '%windir%\\system32\\inetsrv\\appcmd set config "Default Web Site/.well-known"'
_ELSEWHERE = "(put in the name of your site)"

NO_TLS_NEEDED = (
    f"Let IIS serve that folder without TLS, in an administrator's command prompt on it: {_APPCMD} "
    f"-section:system.webServer/security/access -sslFlags:None -commit:apphost {_ELSEWHERE}."
)
NO_EXTENSION_NEEDED = (
    "Put the web.config of docs/guide/http-validation.md into .well-known/acme-challenge, or run on the server: "
    f"{_APPCMD} -section:system.webServer/staticContent -+\"[fileExtension='.',mimeType='text/plain']\" "
    f"-commit:apphost {_ELSEWHERE}."
)
NO_REDIRECT_NEEDED = (
    f"Take that folder out of the site's redirect, in an administrator's command prompt on the server: {_APPCMD} "
    f"-section:system.webServer/httpRedirect -enabled:false -commit:apphost {_ELSEWHERE}; a rule of URL Rewrite needs "
    "the condition {REQUEST_URI} does not match ^/\\.well-known/acme-challenge/."
)


def is_iis(server: str) -> bool:
    """Whether a web server that names itself so is IIS."""
    return "Microsoft-IIS" in server


def is_http_sys(server: str) -> bool:
    """Whether Windows answered for want of a web site that takes the name."""
    return "Microsoft-HTTPAPI" in server


def substatus(body: bytes) -> str:
    """The status with its sub-status, such as `404.3`, that IIS shows on a detailed error page; empty on others."""
    found = _SUBSTATUS.search(body)
    return found[1].decode() if found else ""
