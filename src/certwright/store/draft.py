"""A store appears as a whole: it is made beside its place and put there when it is complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from certwright.domain.errors import StoreError
from certwright.domain.managed import new_id
from certwright.store import place


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """An empty file that is the store at `path` when the block has ended well, unless another process was faster.

    Raises:
        StoreError: if there is a store by then, or none can be made.
    """
    draft = path.with_name(f".{new_id()}.db")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        os.link(draft, path)
    except FileExistsError:
        refuse_existing(path)
        raise
    except OSError as error:
        raise StoreError(f"The store {path} cannot be made: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


def refuse_existing(path: Path) -> None:
    """Leave a store that is there alone.

    Raises:
        StoreError: if there is one.
    """
    if place.exists(path):
        raise StoreError(
            f"There is a store in {path.parent} already.",
            hint="Use it as it is, or name another folder with --data or CERTWRIGHT_DATA.",
        )
