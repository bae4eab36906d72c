"""dns-persist-01: a TXT record that stays names the CA and the account (draft-ietf-acme-dns-persist-01)."""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from certwright.acme_server.bounded import Deadline
from certwright.acme_server.identifiers import Identifier
from certwright.acme_server.problem import ErrorType, Problem, malformed, unauthorized
from certwright.acme_server.validation import issue_value
from certwright.acme_server.validation.network import Network, NoSuchName

_PREFIX = "_validation-persist"
_TIMESTAMP = re.compile("[0-9]{1,20}")


def validate(
    network: Network,
    deadline: Deadline,
    identifier: Identifier,
    issuers: Collection[str],
    account_url: str,
    now: datetime,
) -> timedelta:
    """Return if one of the records authorizes the account: how long that may be relied on, which is the record's TTL.

    Section 6 lets a record of a parent do, if its policy is ``wildcard``; parents of a single label are not asked.

    Raises:
        Problem: ``dns``; ``malformed``, if a record for this CA is and none does; ``unauthorized``.
    """
    failures: list[Problem] = []
    for name in _candidates(identifier.base.value):
        owner = f"{_PREFIX}.{name}"
        wildcard = identifier.is_wildcard or name != identifier.value
        try:
            texts, ttl = network.txt(owner, deadline)
        except NoSuchName:
            continue
        for text in texts:
            if issue_value.issuer_of(text) not in issuers:
                continue
            try:
                _authorize(owner, _parameters(owner, text), account_url, now, wildcard=wildcard)
            except Problem as problem:
                failures.append(problem)
            else:
                return ttl
    if not failures:
        told = f"No TXT record at {_PREFIX}.{identifier.base.value} names {' or '.join(issuers)}."
        raise unauthorized(told)
    raise next((each for each in failures if each.type is ErrorType.MALFORMED), failures[0])


def _candidates(name: str) -> Iterator[str]:
    yield name
    labels = name.split(".")
    yield from (".".join(labels[index:]) for index in range(1, len(labels) - 1))


def _parameters(owner: str, text: str) -> Mapping[str, str]:
    """The parameters of a record for this CA.

    Raises:
        Problem: ``malformed`` (section 9.3.1).
    """
    try:
        parameters = issue_value.parse(text).parameters
    except ValueError as error:
        raise malformed(f"The TXT record at {owner} is malformed: {error}.") from error
    if "accounturi" not in parameters:
        raise malformed(f"The TXT record at {owner} is malformed: it has no accounturi.")
    if not _TIMESTAMP.fullmatch(parameters.get("persistuntil", "0")):
        raise malformed(f"The TXT record at {owner} is malformed: its persistUntil is not a number of seconds.")
    return parameters


def _authorize(owner: str, parameters: Mapping[str, str], account_url: str, now: datetime, *, wildcard: bool) -> None:
    """Return if the record authorizes the account now (section 4.1).

    Raises:
        Problem: ``unauthorized``.
    """
    if parameters["accounturi"] != account_url:
        raise unauthorized(f"The TXT record at {owner} names another account than {account_url}.")
    if wildcard and parameters.get("policy", "").lower() != "wildcard":
        raise unauthorized(f"The TXT record at {owner} is for that one name: it has no policy=wildcard.")
    until = parameters.get("persistuntil")
    if until is not None and now.timestamp() > int(until):
        raise unauthorized(f"The TXT record at {owner} was good until {until} (persistUntil), which is past.")
