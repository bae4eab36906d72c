"""What is really served: connects to a TLS service as a client would, and to a web server as an authority would."""

from certwright.probe.chain import Trust
from certwright.probe.observation import (
    Endpoint,
    FailureKind,
    Observation,
    ProbeFailure,
    Problem,
    ProblemKind,
    StartTls,
    Target,
)
from certwright.probe.tls import probe, probe_all

__all__ = [
    "Endpoint",
    "FailureKind",
    "Observation",
    "ProbeFailure",
    "Problem",
    "ProblemKind",
    "StartTls",
    "Target",
    "Trust",
    "probe",
    "probe_all",
]
