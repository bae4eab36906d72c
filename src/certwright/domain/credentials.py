"""The kinds of credential that are no parameters of a plugin."""

from enum import StrEnum


class SignIn(StrEnum):
    """The kinds of credential that are a user name and a password, or a password alone."""

    EXCHANGE = "exchange"
    PFX = "pfx"
    PROXY = "proxy"
    SCRIPT = "script"

    @property
    def sentence(self) -> str:
        """What it is for."""
        return _SENTENCES[self]

    @property
    def has_username(self) -> bool:
        """Whether it is of no use without a user name."""
        return self in (SignIn.EXCHANGE, SignIn.PROXY)


_SENTENCES = {
    SignIn.EXCHANGE: "A user name and its password for Exchange.",
    SignIn.PFX: "The password of exported PFX files.",
    SignIn.PROXY: "A user name and its password for the proxy that requests leave through.",
    SignIn.SCRIPT: "What a program of yours signs in with.",
}
