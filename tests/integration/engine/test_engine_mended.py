"""What could not sign in is tried again as soon as another password is stored."""

from datetime import timedelta
from pathlib import Path

from certwright.domain.credentials import SignIn
from certwright.domain.identifiers import Identifier
from certwright.domain.managed import Issuer, ManagedCertificate, TaskSettings
from certwright.domain.runs import DeploymentState, Stage
from certwright.engine.credentials import store_sign_in
from certwright.sdk.context import Credential
from world.site import Site

PASSWORD = "correct horse battery staple"


def test_a_stored_password_hurries_what_was_refused_for_want_of_it(tmp_path: Path) -> None:
    tasks = [
        TaskSettings(kind="exchange", title=title, params={"servers": ["EX01"], "credential": credential})
        for title, credential in (("refused", "mail"), ("away", "mail"), ("another", "other"))
    ]
    made = ManagedCertificate(
        title="mail", identifiers=(Identifier.parse("mail.contoso.test"),), issuer="le", tasks=tuple(tasks)
    )
    with Site(tmp_path).initialise().engine() as engine:
        later = engine.now() + timedelta(hours=2)
        with engine.store.write() as unit:
            for name in ("mail", "other"):
                unit.credentials.add(SignIn.EXCHANGE, Credential(name, "svc", PASSWORD))
            unit.issuers.add(Issuer(name="le", kind="acme", params={}), b"account key")
            unit.managed.add(made)
            for task in tasks:
                state = DeploymentState(
                    task_id=task.id, managed_id=made.id, stage=Stage.FAILED, failures=1, retry_at=later
                )
                unit.deployments.save(state.model_copy(update={"retryable": task.title == "away"}))
        before = engine.now()
        store_sign_in(engine, SignIn.EXCHANGE, Credential("mail", "svc", "another one"))
        with engine.store.read() as unit:
            moments = {task.title: unit.deployments.get(task.id) for task in tasks}
        assert {title for title, state in moments.items() if state and state.retry_at == later} == {"away", "another"}
        hurried = moments["refused"]
        assert hurried
        assert hurried.retry_at
        assert before <= hurried.retry_at <= engine.now()
