"""Programs that an administrator would have `script` run."""

from pathlib import Path

_NSUPDATE = """#!/bin/sh
set -e
case $CERTWRIGHT_ACTION in create) action=add ;; delete) action=delete ;; esac
nsupdate -v -y "$CERTWRIGHT_SECRET" <<END
server {server}
zone $3
{update}
send
END
{more}
echo "$action in $3 with $CERTWRIGHT_SECRET"
"""


def nsupdate(path: Path, server: str, more: str = "", update: str = 'update $action $1. 300 TXT "$2"') -> Path:
    """A program at `path` that creates and deletes records at `server` by nsupdate with `update`, and then does `more`.

    Its secret is ALGORITHM:NAME:KEY, as nsupdate takes it.
    """
    path.write_text(_NSUPDATE.format(server=server, more=more, update=update))
    path.chmod(0o755)
    return path
