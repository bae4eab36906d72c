"""The account with which an organisation is read, as somebody typed it: one that is stored stays as it is."""

from collections.abc import Iterator
from itertools import count

from certwright.domain.credentials import SignIn
from certwright.domain.errors import ConfigurationError, NotFound
from certwright.engine.context import Engine
from certwright.engine.credentials import store_sign_in
from certwright.sdk.context import Credential
from certwright.store import UnitOfWork


def typed_account(engine: Engine, server: str, username: str, password: str) -> Credential:
    """The account under the name of the server's domain; where that is another one's, under the next free name.

    Nothing is stored: see `discover`.
    """
    with engine.store.read() as unit:
        every = (Credential(name, username, password) for name in _names(server))
        return next(one for one in every if _is_free(unit, one))


def store_account(engine: Engine, account: Credential) -> None:
    """Keep an account that has signed in.

    Raises:
        ConfigurationError: if there is another one of that name meanwhile.
    """

    def condition(unit: UnitOfWork) -> None:
        if not _is_free(unit, account):
            raise ConfigurationError(
                f"Somebody else has stored a credential {account.name!r} meanwhile.",
                hint="Read the organisation again.",
            )

    store_sign_in(engine.provided(condition), SignIn.EXCHANGE, account)


def _names(server: str) -> Iterator[str]:
    first = f"{SignIn.EXCHANGE}-{server.partition('.')[2] or server}".lower()
    yield first
    yield from (f"{first}-{number}" for number in count(2))


def _is_free(unit: UnitOfWork, account: Credential) -> bool:
    """Whether there is none of that name, or this very one."""
    try:
        return unit.credentials.get(account.name, SignIn.EXCHANGE) == account
    except NotFound:
        return True
    except ConfigurationError:  # it is one of another kind
        return False
