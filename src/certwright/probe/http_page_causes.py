"""Why an authority would not find an http-01 answer where a page comes, but another one: pure, one rule a cause."""

import http.client
import re

from certwright.probe import iis
from certwright.probe.http_case import EXEMPT, SAME_FOLDER, Case, Found, Rule

_LOGIN = re.compile(rb"type\s*=\s*[\"']?password|sign[ -]?in|log[ -]?(in|on)\b", re.IGNORECASE)
_LOGIN_URL = re.compile(r"log[io]n|signin|sign-in|/adfs/|/owa/auth|/oauth2?/|/saml", re.IGNORECASE)
_THUMBPRINT = re.compile(rb"[A-Za-z0-9_-]{43}")
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body|<\?xml|<!--)", re.IGNORECASE)
_GATEWAY = (502, 503, 504)
_SERVER_ERRORS = 500


def _iis(case: Case) -> Found | None:
    if case.leaves_the_folder and any(map(iis.is_iis, case.visit.redirectors)):
        return Found(
            "http-iis-redirect",
            "The folder inherits the redirect of the IIS site above it.",
            iis.NO_REDIRECT_NEEDED,
        )
    said = iis.substatus(case.body)
    if iis.is_http_sys(case.server) and case.status in (http.client.NOT_FOUND, http.client.BAD_REQUEST):
        return Found(
            "http-iis-no-site",
            "Windows has no web site for this name: no binding of IIS takes it on this port.",
            "Add an http binding on port 80, with this host name or without any, to the site that has the answers.",
        )
    if not iis.is_iis(case.server):
        return None
    if case.status == http.client.FORBIDDEN and case.end.scheme == "http" and said in ("403.4", "403.5", ""):
        how = "IIS says 403.4" if said else "IIS does not say why, but nearly always it is 403.4"
        why = f"{how}: the site requires TLS, as Exchange sets it when a certificate is enabled for IIS."
        return Found("http-iis-require-ssl", why, iis.NO_TLS_NEEDED)
    if case.status == http.client.NOT_FOUND and said in ("404.3", "404.4", "404.7", "404.17", ""):
        how = f"IIS says {said}" if said else "IIS does not say why; if the file is in its folder, it is 404.3"
        return Found(
            "http-iis-extensionless", f"{how}: it serves no file without an extension there.", iis.NO_EXTENSION_NEEDED
        )
    return None


def _login(case: Case) -> Found | None:
    at_login = case.redirected and _LOGIN_URL.search(f"{case.end.path}?{case.end.query}")
    asks = case.status == http.client.OK and _HTML.match(case.body) and _LOGIN.search(case.body)
    if not at_login and not asks and not (case.redirected and _LOGIN.search(case.body)):
        return None
    return Found(
        "http-login-page",
        "It is a page to sign in at; an authority does not sign in.",
        "Exempt /.well-known/acme-challenge/ from the sign-in (single sign-on, web application firewall, or portal).",
    )


def _other_host(case: Case) -> Found | None:
    if not case.page or not case.other_host:
        return None
    return Found("http-other-host", f"The redirect leads to {case.end.hostname}, which has not got the answer.", EXEMPT)


def _refused_page(case: Case) -> Found | None:
    if case.status == http.client.UNAUTHORIZED:
        return Found(
            "http-unauthorized",
            "The web server wants a user and a password; an authority has none.",
            "Allow anonymous access to /.well-known/acme-challenge/.",
        )
    if case.status == http.client.FORBIDDEN:
        return Found(
            "http-forbidden",
            "The web server denies the folder: by a rule for names that begin with a dot, by an address filter, or "
            "because its user may not read the file.",
            "Allow everybody to read /.well-known/acme-challenge/.",
        )
    if case.status in _GATEWAY:
        return Found(
            "http-gateway",
            "The proxy that answers has nobody behind it, or not where it thinks.",
            "Let it forward /.well-known/acme-challenge/ to the address and port where Certwright listens.",
        )
    if case.status >= _SERVER_ERRORS:
        return Found(
            "http-server-error",
            "The web server itself fails.",
            "See the web server's error log of this moment; serve /.well-known/acme-challenge/ as plain files.",
        )
    return None


def _other_answer(case: Case) -> Found | None:
    body = case.body.strip()
    token, _, thumbprint = body.partition(b".")
    if case.status != http.client.OK:
        return None
    if _THUMBPRINT.fullmatch(thumbprint) and (token == case.sight.token.encode() or _THUMBPRINT.fullmatch(token)):
        return Found(
            "http-other-client",
            "It is the answer of another ACME client, or of another account.",
            "Stop the other ACME client, or the rule of the web server or balancer that answers challenges for it.",
        )
    if body and case.sight.expected.encode().startswith(body):
        return Found(
            "http-truncated",
            "It is the right answer, but not all of it.",
            "Let the file be served as it is: without a filter, cache or length of its own in between.",
        )
    if not body:
        return Found("http-empty", "The web server answers without content.", SAME_FOLDER)
    return None


def _other_machine(case: Case) -> Found | None:
    if case.sight.mapped or case.redirected or case.sighting.is_own:
        return None
    here = case.sighting.address.host
    return Found(
        "http-other-machine",
        f"{here} is no address of this machine: unless a router leads it here, another machine answers for the name.",
        f"Make the name lead to this machine instead of {here}, or let port 80 of it be led to this machine, or run "
        "the request on the machine that answers.",
    )


def _wrong_page(case: Case) -> Found:
    if case.status in (http.client.NOT_FOUND, http.client.GONE):
        return Found(
            "http-not-found",
            "The web server looks for the answer in another folder, or forwards it nowhere.",
            SAME_FOLDER,
        )
    if case.status != http.client.OK:
        return Found("http-unexpected-status", "An authority takes nothing but 200.", SAME_FOLDER)
    if _HTML.match(case.body):
        return Found("http-html-page", "A page of the web site comes instead of the file.", SAME_FOLDER)
    return Found("http-wrong-content", "Something else lies, or is made, in the place of the answer.", SAME_FOLDER)


PAGE_RULES: tuple[Rule, ...] = (
    _iis,
    _login,
    _other_host,
    _refused_page,
    _other_answer,
    _other_machine,
    _wrong_page,
)
"""In the order in which they are asked; the last one always finds something."""
