"""Parameters that count only with another are refused without it, in the same words everywhere."""

from typing import Annotated, Any, Literal

import pytest

from certwright.cli.params import options
from certwright.domain.errors import ConfigurationError
from certwright.sdk.params import OnlyWith, Params, read_params


class Connection(Params):
    way: Literal["current", "ntlm", "basic", "kerberos"] = "current"
    account: Annotated[str | None, OnlyWith("way", ("ntlm", "basic", "kerberos"))] = None
    host: str | None = None
    port: Annotated[int, OnlyWith("host")] = 25
    direct: Annotated[bool, OnlyWith("host")] = True


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({}, ""),
        ({"port": 25, "direct": True, "account": None}, ""),
        ({"way": "ntlm", "account": "x"}, ""),
        ({"host": "mx", "port": 26, "direct": False}, ""),
        ({"account": "x"}, "account: counts only with way ntlm, basic or kerberos"),
        ({"port": 26}, "port: counts only with host:"),
        ({"host": "", "direct": False}, "direct: counts only with host:"),
    ],
)
def test_what_does_not_count_is_refused(values: dict[str, Any], wrong: str) -> None:
    if not wrong:
        read_params(Connection, values, "the test")
        return
    with pytest.raises(ConfigurationError) as caught:
        read_params(Connection, values, "the test")
    assert wrong in str(caught.value.causes[0])


def test_options_and_schema_tell_it() -> None:
    helps = {each.name: each.annotation.__metadata__[0].help for each in options(Connection)}
    assert "Only with way ntlm, basic or kerberos." in helps["account"]
    assert "Only with" not in helps["way"]
    schema = Connection.model_json_schema()["properties"]
    assert schema["port"]["onlyWith"] == {"parameter": "host", "values": []}
