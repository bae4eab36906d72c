from pathlib import Path

import pytest

from certwright.domain.errors import StoreError
from certwright.settings import Settings
from certwright.store import open_store, place
from world.stores import on_sqlite

MOUNTS = r"""
22 27 0:20 / /proc rw,nosuid - proc proc rw
27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
90 27 0:50 / /srv rw,relatime - nfs4 nas:/export rw,vers=4.2
91 90 254:2 / /srv/local rw,relatime shared:9 master:2 - xfs /dev/vdb rw
92 27 0:51 / /mnt/win\040share rw - cifs //server/share rw
93 27 0:52 / /home/ann/remote rw - fuse.sshfs ann@host: rw
"""


@pytest.mark.parametrize(
    ("path", "share"),
    [
        ("/var/lib/certwright", None),
        ("/srv/certwright", "nfs4"),
        ("/srv", "nfs4"),
        ("/srvnot", None),
        ("/srv/local/certwright", None),
        ("/mnt/win share/data", "cifs"),
        ("/home/ann/remote/a/b", "fuse.sshfs"),
    ],
)
def test_a_network_share_is_known_by_the_innermost_mount(path: str, share: str | None) -> None:
    assert place.network_share(Path(path), MOUNTS) == share


@pytest.mark.parametrize("mounts", ["", "\n\n", "nonsense", "1 2 3 - nfs4", "a b c d / e"])
def test_what_cannot_be_read_refuses_nothing(mounts: str) -> None:
    assert place.network_share(Path("/data"), mounts) is None


@on_sqlite
def test_a_store_on_a_network_share_is_refused(
    settings: Settings, recovery_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"27 1 0:1 / {settings.data_folder} rw - nfs4 nas:/export rw\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    with pytest.raises(StoreError, match=r"network share \(nfs4\)"):
        open_store(settings)


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        place.check(tmp_path / "missing")
