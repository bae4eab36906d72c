"""Files that a killed command has left in a web server's folder are removed by whoever comes next."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from certwright.domain.errors import ConfigurationError
from certwright.domain.managed import ManagedCertificate
from certwright.domain.runs import Entry
from certwright.domain.validation import Validation
from certwright.engine.managed import remove
from certwright.engine.request import request
from certwright.engine.test import test as attempt
from certwright.engine.validations import put_validation
from certwright.sdk.places import NOWHERE
from peers.nonsense import nonsense, silent
from world.site import NAMES, Authority, Site, authority, describe, register

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class House:
    """An installation with one certificate, whose names are proved in `root` and looked at where nobody answers."""

    site: Site
    ca: Authority
    root: Path
    managed: ManagedCertificate

    @property
    def files(self) -> list[Path]:
        """The answers that stand."""
        return [path for path in self.root.rglob("*") if path.is_file()]

    def killed(self, what: str) -> None:
        """A `certificate` command is dead, and an answer stands."""
        running = self.site.begin("certificate", what, self.managed.id)
        while len(self.files) < len(NAMES):
            assert running.is_alive
            time.sleep(0.01)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        assert self.files


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    root = tmp_path / "www"
    root.mkdir()
    with authority() as ca, nonsense(silent) as port:
        site = Site(tmp_path).initialise()
        register(site, ca)
        params = {"path": str(root), "check_via": f"127.0.0.1:{port}"}
        with site.engine() as engine:
            made = describe(engine, ca)
            managed = put_validation(engine, made.id, Validation(solver="webroot", params=params))
        yield House(site, ca, root, managed)


@pytest.mark.parametrize("what", ["test", "request"])
def test_they_are_removed_by_a_run_that_proves_the_names_otherwise(house: House, what: str) -> None:
    house.killed(what)
    with house.site.engine() as engine:
        put_validation(engine, house.managed.id, house.ca.validation)
        if what == "test":
            attempt(engine, house.managed.id)
        else:
            assert request(engine, house.managed.id).version
    assert house.files == []


def test_they_are_removed_with_the_certificate(house: House) -> None:
    house.killed("test")
    with house.site.engine() as engine:
        remove(engine, house.managed.id)
        with engine.store.read() as unit:
            assert unit.deployments.memory_owners("answers") == ()
    assert house.files == []


def test_what_cannot_be_removed_is_told_and_tried_again(house: House) -> None:
    house.killed("test")
    heard: list[Entry] = []
    with house.site.engine(heard.append) as engine:
        put_validation(engine, house.managed.id, house.ca.validation)
        closed = replace(engine, places=NOWHERE)
        attempt(closed, house.managed.id)
        told = "\n".join(entry.title for entry in heard)
        assert "the next run tries again" in told
        assert str(house.root) in told
        assert house.files
        attempt(engine, house.managed.id)
    assert house.files == []


def test_a_folder_for_a_name_that_is_proved_otherwise_is_refused(house: House) -> None:
    def way(name: str, rules: tuple[str, ...] = ()) -> Validation:
        params = {"path": str(house.root), "paths": {name: str(house.root / "own")}}
        return Validation(solver="webroot", params=params, names=rules)

    with house.site.engine() as engine:
        for wrong in (way("mial.contoso.test"), way(NAMES[1], (NAMES[0],))):
            with pytest.raises(ConfigurationError, match="for names that this validation does not prove") as caught:
                put_validation(engine, house.managed.id, wrong)
            assert NAMES[0] in caught.value.hint
            assert caught.value.causes[0] == f"paths: {next(iter(wrong.params['paths']))}"
        put = put_validation(engine, house.managed.id, way(f"{NAMES[0].upper()}."))
    assert list(put.validations[0].params["paths"]) == [NAMES[0]]
