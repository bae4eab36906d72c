"""What an account needs, what it lacks, and the script that gives it exactly that."""

import re

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

from certwright.domain.deployment import Change
from certwright.domain.errors import ConfigurationError
from certwright.exchange import commands
from certwright.exchange.account import JOBS, Job, check_account, grant_script, missing_rights
from certwright.exchange.deployment import changes
from certwright.exchange.model import Connector, Service

PARSER = Parser(Language(tree_sitter_powershell.language()))
ALL = {
    **dict.fromkeys(commands.READ, frozenset[str]()),
    **{cmdlet: frozenset(parameters) for job in JOBS for cmdlet, parameters in job.cmdlets.items()},
}
ALWAYS = {"Confirm", "DomainController", "WhatIf", "ErrorAction"}
PARTNER = Connector("To partner", "send", tls_certificate_name="<I>CN=R11<S>CN=mail", identity="To partner")
ENTRY = Connector("Default Frontend EX01", "receive", identity="EX01\\Default Frontend EX01", server="EX01")


def job(name: str) -> Job:
    return next(one for one in JOBS if one.name == name)


def test_every_cmdlet_that_is_used_belongs_to_a_job_and_no_other() -> None:
    named = [cmdlet for one in JOBS for cmdlet in one.cmdlets]
    assert sorted(named) == sorted({*commands.READ, *commands.CHANGE})


@pytest.mark.parametrize(
    "change",
    [
        changes.import_certificate("EX01", "A" * 40, 1, "Contoso", "why"),
        changes.enable("EX01", "A" * 40, Service.IIS, "why", do_not_require_ssl=True),
        changes.set_name("EX01", Service.POP, "mail.contoso.com", "why"),
        changes.set_name("EX01", Service.IMAP, "mail.contoso.com", "why"),
        changes.name_certificate(PARTNER, "<I>CN=R12<S>CN=mail", "why", target="organisation"),
        changes.name_certificate(ENTRY, "<I>CN=R12<S>CN=mail", "why", target="organisation"),
        changes.name_imported(PARTNER, "A" * 40, "EX01", "why", target="organisation"),
    ],
    ids=lambda change: change.action,
)
def test_every_parameter_that_is_sent_is_one_that_is_asked_for(change: Change) -> None:
    used = next(one.cmdlets[change.action] for one in JOBS if change.action in one.cmdlets)
    assert set(change.parameters) <= {*used, *ALWAYS}


def test_an_account_that_sees_all_lacks_nothing() -> None:
    assert missing_rights(ALL) == ()
    assert missing_rights({name.lower(): frozenset(map(str.upper, seen)) for name, seen in ALL.items()}) == ()


@pytest.mark.parametrize("cmdlet", sorted(set(ALL) - {"Get-ClientAccessServer", "Get-ClientAccessService"}))
def test_each_missing_cmdlet_is_named_with_its_purpose(cmdlet: str) -> None:
    (missing,) = missing_rights({name: seen for name, seen in ALL.items() if name != cmdlet})
    assert (missing.cmdlet, missing.parameters) == (cmdlet, ())
    assert str(missing) == f"The account does not see {cmdlet}, which is needed to {missing.job.purpose}."


@pytest.mark.parametrize(
    ("cmdlet", "parameter"), [(name, parameter) for name, seen in sorted(ALL.items()) for parameter in sorted(seen)]
)
def test_each_missing_parameter_is_named(cmdlet: str, parameter: str) -> None:
    (missing,) = missing_rights({**ALL, cmdlet: ALL[cmdlet] - {parameter}})
    assert missing.parameters == (parameter,)
    assert f"the parameters {parameter} of {cmdlet}" in str(missing)


def test_one_of_two_cmdlets_is_enough_as_versions_have_one_only() -> None:
    either = {"Get-ClientAccessServer", "Get-ClientAccessService"}
    for one in either:
        assert missing_rights({name: seen for name, seen in ALL.items() if name != one}) == ()
    assert len(missing_rights({name: seen for name, seen in ALL.items() if name not in either})) == 2


def test_rights_that_are_not_known_are_not_called_missing() -> None:
    assert missing_rights(None) == ()
    assert len(missing_rights({})) == len(ALL)


def test_only_the_jobs_that_are_asked_for_are_looked_at() -> None:
    rights = {"Import-ExchangeCertificate": ALL["Import-ExchangeCertificate"]}
    assert [m.cmdlet for m in missing_rights(rights, [job("deploy")])] == ["Enable-ExchangeCertificate"]


# --- the script -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "account", ["CONTOSO\\svc-certs", "svc-certs@contoso.com", "O'Brien", "a\n; Remove-Mailbox 'x'"]
)
@pytest.mark.parametrize("jobs", [JOBS, JOBS[:2], (job("hybrid"),), (job("cleanup"), job("send-connectors"))])
def test_the_script_is_powershell(account: str, jobs: tuple[Job, ...]) -> None:
    assert not PARSER.parse(grant_script(account, jobs).encode()).root_node.has_error


@pytest.mark.parametrize(
    "account", ["CONTOSO\\svc-certs", "svc-certs@contoso.com", "svc_certs", "gmsa-certs$", "Anne O'Brien", "j.doe"]
)
def test_names_of_accounts(account: str) -> None:
    check_account(account)


@pytest.mark.parametrize(
    "account",
    [
        "",
        " ",
        "/tmp/script.ps1",
        "C:\\scripts\\grant.ps1",
        "..\\grant.ps1",
        "a\\b\\c",
        "scripts/grant.ps1",
        "svc@contoso.com@x",
        "one,two",
        "a\n; Remove-Mailbox 'x'",
        "CONTOSO\\",
        "@contoso.com",
    ],
)
def test_a_path_or_a_list_is_no_account(account: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_account(account)
    assert "is no name of an account" in refused.value.message
    assert "user@domain" in (refused.value.hint or "")


def test_an_account_s_name_is_never_a_command() -> None:
    script = grant_script("a\nRemove-Mailbox 'x'")
    outside = re.sub(r"'(?:[^']|'')*'", "", script)
    assert "Remove-Mailbox" not in re.sub(r"^#.*$", "", outside, flags=re.MULTILINE)


def test_the_script_keeps_what_is_used_and_nothing_else() -> None:
    kept = [
        re.findall(r"'([^']+)'", block)
        for block in re.findall(r"^\$keep = (.*?)^\(", grant_script("x"), re.MULTILINE | re.DOTALL)
    ]
    assert sorted(cmdlet for role in kept for cmdlet in role) == sorted(ALL)


def test_the_script_leaves_only_the_used_parameters_of_what_could_do_harm() -> None:
    script = grant_script("x")
    for cmdlet in ("Set-SendConnector", "Set-ReceiveConnector", "Set-HybridConfiguration"):
        (line,) = re.findall(
            rf"^Set-ManagementRoleEntry '[^']+\\{cmdlet}' -Parameters (.*(?:\n    .*)*)$", script, re.MULTILINE
        )
        granted = set(re.findall(r"'([^']+)'", line))
        assert granted == {*ALL[cmdlet], *ALWAYS, "ErrorVariable", "WarningAction"}


def test_the_script_makes_one_group_of_all_its_roles_and_lets_the_account_in() -> None:
    script = grant_script("CONTOSO\\svc-certs")
    made = re.findall(r"^New-ManagementRole -Name '([^']+)'", script, re.MULTILINE)
    (group,) = re.findall(r"^New-RoleGroup -Name 'Certwright' .*-Roles (.*(?:\n    .*)*)$", script, re.MULTILINE)
    assert re.findall(r"'([^']+)'", group) == made
    assert len(made) == len(set(made)) == 6
    assert "Add-RoleGroupMember -Identity 'Certwright' -Member 'CONTOSO\\svc-certs'" in script
    assert "Set-User -Identity 'CONTOSO\\svc-certs' -RemotePowerShellEnabled $true" in script


def test_an_account_that_only_looks_gets_no_cmdlet_that_changes() -> None:
    script = grant_script("x", [job("read"), job("survey")])
    assert not [cmdlet for cmdlet in commands.CHANGE if cmdlet in script]
