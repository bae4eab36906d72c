"""do.ps1 and undo.ps1: PowerShell by a parser's judgement, and the plan's own commands, whatever things are called."""

import codecs
import shlex
from datetime import UTC, datetime

import pytest
import tree_sitter_powershell
from hypothesis import given
from hypothesis import strategies as st
from tree_sitter import Language, Parser

from certwright.domain.deployment import Change, Plan
from certwright.exchange.deployment import changes
from certwright.exchange.deployment.scripts import do_script, file_content, undo_script
from certwright.exchange.model import Connector, Service, quoted

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW, OLD = "B" * 40, "A" * 40
PARSER = Parser(Language(tree_sitter_powershell.language()))
RESTART = (
    "Invoke-Command -ComputerName 'EX01' -ScriptBlock { Get-Service -Name 'MSExchangePOP3', 'MSExchangePOP3BE' "
    "-ErrorAction Stop | Where-Object Status -eq Running | Restart-Service -Force -Confirm:$false -ErrorAction Stop } "
    "-ErrorAction Stop"
)
FUNCTION = ("function Test-Usable([string] $Server, [string] $Thumbprint) {", "    ", "}")
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


def is_powershell(text: str) -> bool:
    known = text.replace("-X509CertificateName", "-CertificateName")  # the parser takes -X509 for the operator -xor
    return not PARSER.parse(known.encode()).root_node.has_error


def plan(server: str = "EX01", connector: str = "To partner", title: str = "Contoso mail") -> Plan:
    """Every kind of change there is."""
    partner = Connector(connector, "send", tls_certificate_name="<I>CN=R11<S>CN=mail", identity=connector)
    listed = [
        changes.import_certificate(server, NEW, 1, title, "it is not in the store"),
        changes.enable(server, NEW, Service.IIS, "the web site is to serve it"),
        changes.enable(server, NEW, Service.SMTP | Service.POP, "not assigned yet"),
        changes.set_name(server, Service.POP, "mail.contoso.com", "it looks for another"),
        changes.import_issuers(server, NEW, 1, "done only if a port sends it alone"),
        changes.restart(server, ("MSExchangePOP3", "MSExchangePOP3BE"), "it reads it when it starts"),
        changes.name_imported(partner, NEW, server, "it names the earlier one", target=server),
        changes.name_certificate(partner, None, "it is to name none", target=server),
    ]
    numbered = [
        change.model_copy(update={"wave": wave}) for wave, change in zip((0, 1, 1, 1, 1, 1, 2, 2), listed, strict=True)
    ]
    inverse = {1: changes.enable(server, OLD, Service.IIS, ""), 3: changes.set_name(server, Service.POP, "mail01", "")}
    restored = {1: ((server, OLD),)}
    undone = {
        at: numbered[at].model_copy(update={"inverse": back.typed, "restored": restored.get(at, ())})
        for at, back in inverse.items()
    }
    return Plan(changes=tuple(undone.get(at, change) for at, change in enumerate(numbered)))


def test_the_parser_tells_good_from_bad() -> None:
    assert is_powershell("Get-ExchangeCertificate -Server 'EX01' | Format-List")
    assert not is_powershell("if ($true { 'x' ")


def test_both_are_powershell_and_hold_every_command_in_its_order() -> None:
    made = plan()
    done, undone = do_script(made, "Contoso mail", NOW), undo_script(made, "Contoso mail", NOW)
    assert is_powershell(done)
    assert is_powershell(undone)
    places = [done.index(change.action) for change in made.changes[:4]]
    assert places == sorted(places)
    assert undone.index(OLD) > undone.index("# 3.")
    assert made.digest in done
    assert made.digest in undone


def test_the_file_and_its_password_are_asked_for_and_nothing_secret_is_written() -> None:
    text = do_script(plan(), "Contoso mail", NOW)
    assert "-FileData $file -Password $password" in text
    assert "Read-Host -AsSecureString" in text
    assert "random" not in text
    assert text.index("param(") < text.index("Import-ExchangeCertificate")


def test_issuers_are_imported_only_by_a_person_who_saw_that_they_are_missing() -> None:
    text = do_script(plan(), "Contoso mail", NOW)
    (line,) = [line for line in text.splitlines() if "issuers.p7b" in line]
    assert line.startswith(
        "# If so, make the file (certwright certificate export 'Contoso mail' --format p7b), and then: Import-"
    )
    assert "# 5. EX01: done only if a port sends it alone" in text


def test_without_an_import_nothing_is_asked_for() -> None:
    text = do_script(Plan(changes=plan().changes[1:2]), "Contoso mail", NOW)
    assert "Read-Host -AsSecureString" not in text
    assert is_powershell(text)


def test_what_happens_on_the_server_itself_is_sent_there_and_the_rest_stops_at_the_first_error() -> None:
    lines = do_script(plan(), "Contoso mail", NOW).splitlines()
    (restart,) = [line for line in lines if "Restart-Service" in line and not line.startswith("#")]
    assert restart == RESTART
    (bound,) = [line for line in lines if line.startswith("Enable-") and "'IIS'" in line]
    assert bound.endswith("-ErrorAction Stop")


def test_before_each_wave_it_waits_for_a_person() -> None:
    lines = do_script(plan(), "Contoso mail", NOW).splitlines()
    pauses = [at for at, line in enumerate(lines) if line.startswith("$null = Read-Host -Prompt 'Before wave ")]
    enabled = next(at for at, line in enumerate(lines) if line.startswith("Enable-"))
    named = next(at for at, line in enumerate(lines) if line.startswith("$new = "))
    assert len(pauses) == 2
    assert pauses[0] < enabled < pauses[1] < named
    assert lines.index(RESTART) < pauses[1]


def test_a_connector_is_not_set_to_what_could_not_be_read() -> None:
    (line,) = [one for one in do_script(plan(), "Contoso mail", NOW).splitlines() if one.startswith("$new = ")]
    read, checked, named = line.split("; ")
    assert read.endswith(f"-Thumbprint '{NEW}' -ErrorAction Stop")
    assert checked.startswith("if (-not ($new.Issuer -and $new.Subject)) { throw ")
    assert named.startswith("Set-SendConnector")
    assert named.endswith("-ErrorAction Stop")


def test_commands_of_certwright_name_the_certificate() -> None:
    title = "Contoso's mail"
    done, undone = do_script(plan(), title, NOW), undo_script(plan(), title, NOW)
    written = shlex.quote(title)
    assert f"certwright certificate export {written} --format pfx --cipher legacy --password-file FILE" in done
    assert f"certwright certificate export {written} --format p7b" in done
    assert quoted(f"certwright exchange verify {written}")[1:-1] in done
    assert "CERT" not in f"{done}{undone}".replace("CERTWRIGHT", "")
    assert "certwright certificate export" not in undone  # it needs no file


@pytest.mark.parametrize(
    ("services", "restarts"),
    [
        (Service.SMTP | Service.POP | Service.IMAP, ["POP", "IMAP"]),
        (Service.SMTP | Service.IMAP, ["IMAP"]),
        (Service.IIS | Service.SMTP, []),
    ],
)
def test_what_reads_its_certificate_when_it_starts_is_restarted_also_if_certwright_could_not(
    services: Service, restarts: list[str]
) -> None:
    made = Plan(
        changes=(
            changes.enable("EX01", NEW, services, "not assigned yet"),
            changes.enable("EX01", OLD, Service.SMTP, "the internal transport certificate is put back"),
        )
    )
    text = do_script(made, "Contoso mail", NOW)
    lines = [line for line in text.splitlines() if line.startswith("try { Invoke-Command -ComputerName 'EX01' ")]
    assert [f"MSExchange{service}" in line for service, line in zip(restarts, lines, strict=True)] == [True] * len(
        lines
    )
    assert all("} catch { Write-Warning 'If " in line for line in lines)
    assert is_powershell(text)
    assert text.count("Restart-Service") == 2 * len(restarts)


def test_a_name_that_pop_looks_for_is_read_by_a_restart_too_and_each_server_has_its_own() -> None:
    made = Plan(changes=tuple(changes.set_name(s, Service.POP, "mail.contoso.com", "") for s in ("EX01", "EX02")))
    text = do_script(made, "Contoso mail", NOW)
    order = [text.index(f"{word} '{server}'") for server in ("EX01", "EX02") for word in ("-Server", "-ComputerName")]
    assert order == sorted(order)


def as_the_management_shell_reads(content: bytes) -> str:
    """Windows PowerShell 5.1: without a mark at its beginning, a file is in the code page of the machine."""
    if content.startswith(codecs.BOM_UTF8):
        return content.decode("utf-8-sig")
    return content.decode("cp1252", errors="replace")


@pytest.mark.parametrize("name", ["Envío a España Ñ (calle 5)", "Ñ; Stop-Computer #", "Büro \u2018West\u2019"])
def test_the_management_shell_reads_names_as_they_are(name: str) -> None:
    for script in (do_script(plan(connector=name), name, NOW), undo_script(plan(connector=name), name, NOW)):
        read = as_the_management_shell_reads(file_content(script))
        assert read == script.replace("\n", "\r\n")
        assert is_powershell(read)
    assert f"-Identity {quoted(name)} " in as_the_management_shell_reads(
        file_content(do_script(plan(connector=name), name, NOW))
    )


def test_names_that_are_set_back_are_read_by_a_restart_of_what_runs_or_a_person_is_told_and_the_rest_follows() -> None:
    text = undo_script(plan(), "Contoso mail", NOW)
    lines = text.splitlines()
    (named,) = [at for at, line in enumerate(lines) if line.startswith("Set-PopSettings")]
    told = "If POP runs on EX01, restart it there: Restart-Service MSExchangePOP3, MSExchangePOP3BE"
    assert lines[named + 1] == f"try {{ {RESTART} }} catch {{ Write-Warning '{told}' }}"
    assert text.count("Invoke-Command") == 1
    assert text.index("} catch {") < text.index(OLD)
    assert is_powershell(text)


def test_a_certificate_is_put_back_only_while_the_server_tells_that_it_may_be_used() -> None:
    lines = undo_script(plan(), "Contoso mail", NOW).splitlines()
    (guarded,) = [line for line in lines if line.startswith("if (")]
    back = changes.enable("EX01", OLD, Service.IIS, "").typed
    told = "EX01: assign BBBBBBBB to IIS: not taken back, the new certificate stays."
    usable = f"(Test-Usable 'EX01' '{OLD}')"
    assert guarded == f"if ({usable}) {{ {back} -ErrorAction Stop }} else {{ Write-Warning '{told}' }}"
    begin = lines.index(FUNCTION[0])
    looked = "\n".join(lines[begin : lines.index("}", begin)])
    assert is_powershell(f"{looked}\n}}")
    for asked in ("NotAfter -le (Get-Date)", "HasPrivateKey -eq $false", "-eq 'Revoked'", "-eq 'Valid'"):
        assert looked.count(asked) == 1, asked
    assert not [line for line in lines[begin:] if line.startswith("Enable-")], "none is put back unseen"


def test_several_may_stand_for_a_name_and_one_of_them_is_enough() -> None:
    partner = Connector("To partner", "send", tls_certificate_name="<I>CN=R11<S>CN=mail", identity="To partner")
    made = changes.name_certificate(partner, "<I>CN=R12<S>CN=mail", "it follows", target="organisation")
    held = (("EX01", OLD), ("EX02", OLD))
    text = undo_script(
        Plan(changes=(made.model_copy(update={"inverse": "Set-SendConnector", "restored": held}),)), "mail", NOW
    )
    assert f"if ((Test-Usable 'EX01' '{OLD}') -or (Test-Usable 'EX02' '{OLD}')) {{ Set-SendConnector" in text
    assert is_powershell(text)


def test_what_may_not_be_used_again_is_not_put_back_and_the_script_says_why() -> None:
    bound = changes.enable("EX01", NEW, Service.IIS, "the web site is to serve it")
    text = undo_script(
        Plan(changes=(bound.model_copy(update={"stays": f"the one before, {OLD}, was revoked"}),)), "mail", NOW
    )
    assert f"# Not taken back: the one before, {OLD}, was revoked. The new one stays." in text
    assert not [line for line in text.splitlines() if not line.startswith("#") and line]


@given(NAMES, NAMES, NAMES)
def test_names_are_never_taken_for_commands(server: str, connector: str, title: str) -> None:
    made = plan(server, connector, title)
    for script in (do_script(made, title, NOW), undo_script(made, title, NOW)):
        text = as_the_management_shell_reads(file_content(script)).replace("\r\n", "\n")
        assert is_powershell(text)
        assert all(
            line.startswith(("#", "Import-", "Enable-", "Set-", "Invoke-", "try {", "$", "param(", "if (", *FUNCTION))
            for line in text.split("\n")
            if line
        )


@pytest.mark.parametrize("title", ["two\nlines", "carriage\rreturn", "next\u0085line", "separator\u2028here"])
def test_a_title_stays_a_comment(title: str) -> None:
    text = do_script(Plan(changes=(Change(target="EX01", action="Get-Date", why=title, typed="Get-Date"),)), title, NOW)
    assert [line for line in text.splitlines() if not line.startswith(("#", "Get-Date"))] == [""]
