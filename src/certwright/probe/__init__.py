"""What is really served: connects to a TLS service as a client would, and to a web server as an authority would."""

from certwright.probe.chain import Trust
from certwright.probe.observation import (
    Endpoint,
    FailureKind,
    Greeting,
    Observation,
    ProbeFailure,
    Problem,
    ProblemKind,
    StartTls,
    Target,
)
from certwright.probe.owa import NO_SUCH_USER, WEB_PATHS, SignIn, attempt_sign_in
from certwright.probe.tls import probe, probe_all
from certwright.probe.web import Health, WebAnswer, clock_skew, look_at_web

__all__ = [
    "NO_SUCH_USER",
    "WEB_PATHS",
    "Endpoint",
    "FailureKind",
    "Greeting",
    "Health",
    "Observation",
    "ProbeFailure",
    "Problem",
    "ProblemKind",
    "SignIn",
    "StartTls",
    "Target",
    "Trust",
    "WebAnswer",
    "attempt_sign_in",
    "clock_skew",
    "look_at_web",
    "probe",
    "probe_all",
]
