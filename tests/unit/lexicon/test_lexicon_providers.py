"""What the arguments of dns-lexicon's providers become: every provider, with what is secret and what is needed."""

import json
import subprocess
import sys
import warnings
from argparse import ArgumentParser

import pytest
from pydantic import BaseModel, SecretStr

from certwright.lexicon import providers
from certwright.sdk.params import secret_names

# Of each provider its parameters: * is secret, ! is needed.
TABLE = """
    aliyun: auth_key_id !*auth_secret
    arvancloud: !*auth_token
    aurora: !*auth_api_key !*auth_secret_key
    azure: auth_client_id !*auth_client_secret auth_tenant_id auth_subscription_id resource_group
    cloudflare: auth_username !*auth_token zone_id
    cloudns: auth_id auth_subid auth_subuser !*auth_password
    cloudxns: !*auth_username !*auth_token
    conoha: auth_region *auth_token auth_username *auth_password auth_tenant_id
    constellix: !auth_username !*auth_token
    ddns: !*auth_token !ddns_server
    desec: *auth_token auth_username *auth_password
    devnomads: !*auth_token
    digitalocean: !*auth_token
    dinahosting: !auth_username !*auth_password
    directadmin: !*auth_password !auth_username !endpoint
    dnsimple: *auth_token auth_username *auth_password *auth_2fa
    dnsmadeeasy: !auth_username !*auth_token
    dnspark: !*auth_username !*auth_token
    dnspod: !auth_username !*auth_token
    dnsservices: !auth_username !*auth_password
    dreamhost: !*auth_token
    duckdns: !*auth_token
    dynu: !*auth_token
    easydns: !auth_username !*auth_token
    easyname: !auth_username !*auth_password
    euserv: !auth_username !*auth_password
    exoscale: !*auth_key !*auth_secret
    flexibleengine: !*auth_token zone_id
    gandi: !*auth_token api_protocol
    gehirn: !*auth_token !*auth_secret
    glesys: !auth_username !*auth_token
    godaddy: !*auth_key !*auth_secret
    googleclouddns: !*auth_service_account_info private_zone
    gransy: !auth_username !*auth_password
    gratisdns: !auth_username !*auth_password
    henet: !auth_username !*auth_password
    hetzner: !*auth_token
    hostingde: !*auth_token
    hover: !auth_username !*auth_password !*auth_totp_secret
    httpnet: !*auth_token
    infoblox: !auth_user !*auth_psw ib_view !ib_host
    infomaniak: !*auth_token
    internetbs: !*auth_key !*auth_password
    inwx: !auth_username !*auth_password
    ionos: !*api_key
    joker: !*auth_token
    linode: !*auth_token
    linode4: !*auth_token
    localzone: !filename
    luadns: !auth_username !*auth_token
    memset: !*auth_token
    misaka: !*auth_token
    mythicbeasts: auth_username *auth_password *auth_token
    namecheap: !*auth_token !auth_username auth_client_ip auth_sandbox
    namecom: !auth_username !*auth_token
    namesilo: !*auth_token
    netcup: auth_customer_id !*auth_api_key !*auth_api_password
    nfsn: !auth_username !*auth_token
    njalla: !*auth_token
    nsone: !*auth_token
    oci: auth_config_file auth_profile auth_user auth_tenancy auth_fingerprint *auth_key_content auth_key_file *auth_pass_phrase auth_region auth_type
    onapp: !auth_username !*auth_token !auth_server
    online: !*auth_token
    ovh: auth_entrypoint !*auth_application_key !*auth_application_secret !*auth_consumer_key
    plesk: !auth_username !*auth_password !plesk_server
    pointhq: !auth_username !*auth_token
    porkbun: !*auth_key !*auth_secret
    powerdns: !*auth_token !pdns_server pdns_server_id pdns_disable_notify
    qcloud: !*secret_id !*secret_key
    rackspace: auth_account auth_username *auth_api_key *auth_token sleep_time
    rage4: !auth_username !*auth_token
    rcodezero: !*auth_token
    regfish: !*auth_api_key
    route53: *auth_access_key *auth_access_secret private_zone zone_id *auth_username *auth_token
    safedns: !*auth_token
    sakuracloud: !*auth_token !*auth_secret
    scaleway: !*auth_secret_key
    softlayer: !auth_username !*auth_api_key
    timeweb: !*auth_token
    transip: !auth_username !*auth_api_key auth_key_is_global
    ultradns: *auth_token auth_username *auth_password
    valuedomain: !*auth_token
    vercel: !*auth_token
    vultr: !*auth_token
    wedos: !auth_username !*auth_pass
    yandex: !*auth_token
    yandexcloud: !*auth_token dns_zone_id cloud_id folder_id
    zeit: !*auth_token
    zilore: !*auth_key
    zonomi: !*auth_token auth_entrypoint
"""  # noqa: E501 - a line for each provider
EXPECTED = dict(line.strip().split(": ") for line in TABLE.strip().splitlines())


def _shown(model: type[BaseModel]) -> str:
    secret = secret_names(model)
    fields = model.model_fields.items()
    return " ".join(f"{'!' * f.is_required()}{'*' * (name in secret)}{name}" for name, f in fields)


def test_the_table_has_every_provider() -> None:
    assert providers.names() == sorted(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_what_is_secret_and_what_is_needed(name: str) -> None:
    model = providers.parameters(name, BaseModel)
    assert _shown(model) == EXPECTED[name]
    assert all(field.description and "  " not in field.description for field in model.model_fields.values())


def test_kinds_defaults_and_choices_are_those_of_the_arguments() -> None:
    fields = providers.parameters("ovh", BaseModel).model_json_schema()["properties"]
    assert "kimsufi-eu" in fields["auth_entrypoint"]["anyOf"][0]["enum"]
    assert providers.parameters("infoblox", BaseModel).model_fields["ib_view"].default == "default"
    assert providers.parameters("rackspace", BaseModel).model_fields["sleep_time"].annotation == float | None
    assert providers.parameters("transip", BaseModel).model_fields["auth_key_is_global"].annotation is bool
    assert providers.parameters("gandi", BaseModel).model_fields["auth_token"].annotation is SecretStr


def test_no_argument_is_lost_but_those_of_other_records() -> None:
    lost = set()
    for name in providers.names():
        parser = ArgumentParser(add_help=False)
        providers.provider_class(name).configure_parser(parser)
        lost |= set(vars(parser.parse_args([]))) - set(providers.parameters(name, BaseModel).model_fields)
    assert lost == {"weight", "port"}


@pytest.mark.parametrize(
    ("argument", "description", "secret"),
    [
        ("auth_token", "", True),
        ("auth_access_secret", "", True),
        ("api_key", "", True),
        ("auth_pass_phrase", "", True),
        ("auth_key_id", "", False),
        ("auth_key_file", "", False),
        ("auth_username", "User name for authentication", False),
        ("auth_username", "API-KEY for authentication", True),
        ("auth_username", "Email address (for Global API key only)", False),
        ("auth_fingerprint", "Fingerprint of the key", False),
    ],
)
def test_the_rule_for_secrets(argument: str, description: str, secret: bool) -> None:
    assert providers.is_secret(argument, description) is secret


def test_titles_are_those_of_the_services() -> None:
    names = ("hetzner", "gandi", "godaddy", "route53", "henet")
    assert [providers.title(name) for name in names] == [
        "Hetzner Cloud DNS",
        "Gandi LiveDNS",
        "GoDaddy",
        "AWS Route 53",
        "henet",
    ]


def test_what_a_provider_needs_beside() -> None:
    assert providers.needs("route53") == ["boto3"]
    assert providers.needs("gandi") == []
    assert providers.missing("gandi") == ""


def test_to_name_them_costs_little_and_without_the_library_it_is_told() -> None:
    script = """
import json, sys
from certwright.domain.errors import ConfigurationError
from certwright.lexicon import providers
listed = len(providers.names())
loaded = sorted({"lexicon", "requests", "tldextract"} & set(sys.modules))
sys.path[:] = [path for path in sys.path if not path.endswith("-packages")]
try:
    providers.names()
except ConfigurationError as error:
    print(json.dumps([listed, loaded, error.message, error.hint]))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    listed, loaded, message, hint = json.loads(ended.stdout)
    assert (listed, loaded) == (len(EXPECTED), [])
    assert "not installed" in message
    assert hint == "pip install 'certwright[lexicon]'"


def test_who_looks_through_all_modules_is_not_warned() -> None:
    providers.provider_class("gandi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in list(sys.modules.values()):
            getattr(module, "__file__", None)
