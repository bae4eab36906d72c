"""Secrets come from a prompt, a file or standard input; never from an argument, which every user here can read."""

import getpass
import sys
from pathlib import Path

from certwright.domain.errors import ConfigurationError
from certwright.domain.keys import PrivateKey, load_private_key

MAX_SECRET = 64 * 1024


def read_secret(file: str | None, what: str) -> str:
    """The secret: from `file` (`-` is standard input) or a prompt; the line end is not part of it.

    Raises:
        ConfigurationError: if there is none, or nobody can be asked.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"The {what} is needed and nobody can be asked for it.",
                hint="Give it in a file with the matching -file option; - reads standard input.",
            )
        secret = getpass.getpass(f"{what[:1].upper()}{what[1:]}: ")
    else:
        try:
            secret = read_file(file, f"the {what}", MAX_SECRET).decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigurationError(
                f"The {what} in {file} is not text.", hint="Write it to the file in UTF-8, on one line."
            ) from None
    if not secret:
        raise ConfigurationError(f"The {what} is empty.")
    if "\0" in secret:
        raise ConfigurationError(f"The {what} in {file} is not text in UTF-8.", hint="Write it to the file in UTF-8.")
    return secret


def read_file(name: str, what: str, limit: int = 1024 * 1024) -> bytes:
    """The contents of a file that the user named; `-` is standard input.

    Raises:
        ConfigurationError: if it cannot be read, is empty, or is far too large to be what it should be.
    """
    try:
        if name == "-":
            data = sys.stdin.buffer.read(limit + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}.", hint=f"It should hold {what}.") from error
    if not data:
        raise ConfigurationError(
            f"{'Standard input' if name == '-' else name} is empty.", hint=f"It should hold {what}."
        )
    if len(data) > limit:
        raise ConfigurationError(f"{name} is larger than {limit // 1024} KiB: that is not {what}.")
    return data


def read_key(file: str, password_file: str | None) -> PrivateKey:
    """The private key in a file that the user named, and the password of it in another, if it is encrypted.

    Raises:
        ConfigurationError: if one of them cannot be read.
        InvalidMaterial: if it is no private key.
    """
    password = read_secret(password_file, "key's password").encode() if password_file else None
    return load_private_key(read_file(file, "a private key"), password)
