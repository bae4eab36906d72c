from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certwright.domain.deployment import ServedRow, Verdict
from certwright.domain.events import Event, EventKind
from certwright.domain.identifiers import Identifier
from certwright.domain.keys import KeySource, KeyType
from certwright.domain.managed import (
    CertificateVersion,
    Issuer,
    IssuerCapabilities,
    KeyForm,
    KeySettings,
    ManagedCertificate,
    RenewalPolicy,
    TaskSettings,
    new_id,
)
from certwright.domain.runs import DeploymentState, Entry, Outcome, Phase, Run, RunKind, Stage
from certwright.domain.validation import Validation
from certwright.sdk.context import Credential
from certwright.settings import Settings
from certwright.store import Store, create, open_store
from world.stores import KINDS

few = settings(max_examples=40, deadline=None)
characters = st.characters(codec="utf-8", exclude_characters="\0")  # PostgreSQL keeps none
text = st.text(characters, max_size=20)
maybe = st.none() | text
filled = st.text(characters, min_size=1, max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1)
offsets = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=offsets)  # noqa: DTZ001 - the zone is drawn
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text
json_values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=6)
params = st.dictionaries(text, json_values, max_size=4)
identifiers = st.lists(
    st.sampled_from(["mail.contoso.com", "*.contoso.com", "münchen.example.org", "192.0.2.7", "2001:db8::1"]),
    min_size=1,
    unique=True,
).map(lambda names: tuple(map(Identifier.parse, names)))
issuers = st.builds(
    Issuer,
    name=text,
    kind=text,
    params=params,
    account=params,
    capabilities=st.builds(IssuerCapabilities, max_names=st.none() | numbers, profiles=st.dictionaries(text, text)),
)
certificates = st.builds(
    ManagedCertificate,
    id=st.builds(new_id),
    title=st.builds(lambda words, unique: words + unique, text, st.builds(new_id)),
    identifiers=identifiers,
    issuer=st.just("le"),
    key=st.builds(
        KeySettings, source=st.sampled_from(KeySource), type=st.sampled_from(KeyType), own_key=filled, own_csr=filled
    ),
    validations=st.lists(st.builds(Validation, solver=text, params=params), max_size=2).map(tuple),
    profile=maybe,
    preferred_chain=maybe,
    pfx_password_credential=maybe,
    tasks=st.lists(
        st.builds(TaskSettings, id=st.builds(new_id), kind=text, title=text, params=params, enabled=st.booleans()),
        max_size=2,
    ).map(tuple),
    renewal=st.builds(
        RenewalPolicy, lifetime_share=st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=False)
    ),
)
versions = st.builds(
    CertificateVersion,
    id=st.builds(new_id),
    managed_id=st.just("owner"),
    issuer=text,
    chain_pem=text,
    key_form=st.sampled_from(KeyForm),
    fingerprint=text,
    order_url=maybe,
    issued_at=moments,
    revoked_at=st.none() | moments,
)
runs = st.builds(
    Run,
    id=st.builds(new_id),
    managed_id=text,
    kind=st.sampled_from(RunKind),
    started_at=moments,
    ended_at=st.none() | moments,
    outcome=st.none() | st.sampled_from(Outcome),
    message=text,
)
entries = st.builds(
    Entry,
    step=numbers,
    parent=numbers,
    phase=st.sampled_from(Phase),
    title=text,
    outcome=st.none() | st.sampled_from(Outcome),
    detail=text,
)
rows = st.builds(
    ServedRow,
    server=text,
    service=text,
    address=text,
    port=numbers,
    protocol=text,
    before=maybe,
    now=maybe,
    names=st.lists(text, max_size=3).map(tuple),
    valid=st.booleans(),
    verdict=st.sampled_from(Verdict),
    detail=text,
)
states = st.builds(
    DeploymentState,
    task_id=text,
    managed_id=st.just("owner"),
    version_id=maybe,
    stage=st.sampled_from(Stage),
    baseline=st.lists(rows, max_size=2).map(tuple),
    served=st.lists(rows, max_size=2).map(tuple),
    message=text,
    updated_at=st.none() | moments,
)
events = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    managed_id=text,
    at=moments,
    message=text,
    run_id=maybe,
    version_id=maybe,
)


@pytest.fixture(scope="module", params=KINDS)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store for many examples, with an issuer `le` and a managed certificate `owner`."""
    folder: Path = tmp_path_factory.mktemp("store")
    places = Settings(data_folder=folder / "data", key_folder=folder / "keys")
    if request.param == "postgresql":
        places = replace(places, store_url=request.getfixturevalue("postgres").schema())
    create(places)
    with open_store(places) as store:
        with store.write() as unit:
            unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"key")
            owner = {"id": "owner", "title": "owner", "identifiers": ["owner.example.org"], "issuer": "le"}
            unit.managed.add(ManagedCertificate.model_validate(owner))
        yield store


@few
@given(certificate=certificates)
def test_managed_certificates(kept: Store, certificate: ManagedCertificate) -> None:
    with kept.write() as unit:
        unit.managed.add(certificate)
    with kept.read() as unit:
        assert unit.managed.get(certificate.id) == certificate
        assert unit.managed.get(certificate.id).fingerprint == certificate.fingerprint


@few
@given(issuer=issuers, key=st.binary(max_size=50), eab=st.none() | st.tuples(text, st.binary(max_size=20)))
def test_issuers(kept: Store, issuer: Issuer, key: bytes, eab: tuple[str, bytes] | None) -> None:
    with kept.write() as unit:
        if issuer.name in {known.name for known in unit.issuers.list()}:
            unit.issuers.update(issuer)
        else:
            unit.issuers.add(issuer, key, eab)
            assert unit.issuers.account_key(issuer.name) == key
            assert unit.issuers.external_account_binding(issuer.name) == eab
    with kept.read() as unit:
        assert unit.issuers.get(issuer.name) == issuer


@few
@given(version=versions, key=st.none() | st.binary(max_size=50))
def test_versions(kept: Store, version: CertificateVersion, key: bytes | None) -> None:
    with kept.write() as unit:
        unit.versions.add(version, key)
    with kept.read() as unit:
        assert unit.managed.current("owner") == version
        assert unit.versions.private_key(version.id) == key


@few
@given(run=runs, told=st.lists(entries, max_size=3), at=moments)
def test_runs_and_their_journals(kept: Store, run: Run, told: list[Entry], at: datetime) -> None:
    with kept.write() as unit:
        unit.runs.start(run)
        said = [entry.model_copy(update={"run_id": run.id, "at": at}) for entry in told]
        if said:
            unit.runs.append(*said)
    with kept.read() as unit:
        assert unit.runs.get(run.id) == run
        assert [entry.model_copy(update={"sequence": 0}) for entry in unit.runs.entries(run.id)] == said


@few
@given(state=states)
def test_deployments(kept: Store, state: DeploymentState) -> None:
    with kept.write() as unit:
        unit.deployments.save(state)
    with kept.read() as unit:
        assert unit.deployments.get(state.task_id) == state


@few
@given(task=text, key=text, value=json_values)
def test_memory(kept: Store, task: str, key: str, value: Any) -> None:
    with kept.write() as unit:
        unit.deployments.memory_put(task, key, value)
    with kept.read() as unit:
        assert unit.deployments.memory_get(task, key) == value


@few
@given(event=events)
def test_events(kept: Store, event: Event) -> None:
    with kept.write() as unit:
        before = len(unit.events.list(limit=10_000))
        unit.events.add(event)
        assert unit.events.list(limit=10_000)[before][1] == event


@few
@given(name=text, value=st.binary(max_size=100))
def test_secrets(kept: Store, name: str, value: bytes) -> None:
    with kept.write() as unit:
        unit.secrets.put(name, value)
    with kept.read() as unit:
        assert unit.secrets.get(name) == value


@few
@given(credential=st.builds(Credential, text, text, text))
def test_credentials(kept: Store, credential: Credential) -> None:
    with kept.write() as unit:
        unit.credentials.add("exchange", credential)
    with kept.read() as unit:
        assert unit.credentials.get(credential.name, "exchange") == credential


@few
@given(when=moments)
def test_moments_keep_their_order(kept: Store, when: datetime) -> None:
    with kept.write() as unit:
        unit.managed.set_next_check("owner", when)
    with kept.read() as unit:
        found = unit.managed.next_check("owner")
        assert found == when
        assert found is not None
        assert found.tzinfo is UTC
        assert "owner" in {certificate.id for certificate in unit.managed.due(when, 1)}
        assert unit.managed.due(when - timedelta(microseconds=1), 1) == []
