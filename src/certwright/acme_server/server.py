"""The server as a whole: CA, protocol and listener put together."""

import ssl
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from cryptography import x509

from certwright.acme_server.ca import CertificateAuthority, Clock, KeyedCertificate, utc_now
from certwright.acme_server.config import AcmeServerConfig
from certwright.acme_server.context import Context, Jobs
from certwright.acme_server.faults import Faults
from certwright.acme_server.listener import Listener
from certwright.acme_server.messages import Endpoint
from certwright.acme_server.renewal_info import RenewalWindow, certificate_identifier
from certwright.acme_server.resources import IssuedCertificate
from certwright.acme_server.service import Service
from certwright.acme_server.state import State
from certwright.acme_server.validation import Validator

_BACKDATE, _LIFETIME = timedelta(hours=1), timedelta(days=90)


class AcmeServer:
    """An RFC 8555 server with a CA of its own, on real sockets, in threads of this process.

    It listens from its creation on and answers between ``with`` and the end of it, or `start` and `close`::

        with AcmeServer(AcmeServerConfig(validation=ValidationConfig(hosts={"*": ("127.0.0.1",)}))) as server:
            client = Client(server.directory_url, ca_file=server.ca_file)

    Args:
        config: Everything an operator chooses.
        ca: A CA to go on with; by default a new one made by ``config.ca``. Its root also vouches for the
            server's own https.
        state: What an earlier server remembered; by default nothing.
        clock: The CA's time. The https certificate follows the machine's.

    Attributes:
        ca: The CA, also for certificates outside the protocol (`CertificateAuthority.issue_directly`).
        state: What is remembered.
        faults: What goes wrong with the next requests.
    """

    def __init__(
        self,
        config: AcmeServerConfig | None = None,
        *,
        ca: CertificateAuthority | None = None,
        state: State | None = None,
        clock: Clock = utc_now,
    ) -> None:
        config = config or AcmeServerConfig()
        self._listener = Listener(config.host, config.port)
        self.ca = ca or CertificateAuthority(config.ca, clock=clock)
        self.state = state or State()
        self._jobs = Jobs()
        self._folder = TemporaryDirectory(prefix="certwright-acme-server-")
        self.ca_file.write_bytes(self.ca.root_pem)
        host = f"[{config.host}]" if ":" in config.host else config.host
        base_url = f"https://{host}:{self._listener.port}"
        validator = Validator(config.validation, config.caa_identities, clock)
        self._context = Context(config, self.ca, self.state, validator, self._jobs, clock, base_url)
        self._service = Service(self._context)

    @property
    def directory_url(self) -> str:
        """Where clients begin."""
        return self._context.url(Endpoint.DIRECTORY)

    @property
    def ca_file(self) -> Path:
        """The root that clients are told to trust, PEM; there until `close`."""
        return Path(self._folder.name, "root.pem")

    @property
    def faults(self) -> Faults:
        """What goes wrong with the next requests."""
        return self._service.faults

    @property
    def requests(self) -> Counter[Endpoint]:
        """How many requests each endpoint had, faults included."""
        return self._service.requests.copy()

    @property
    def issued(self) -> Sequence[IssuedCertificate]:
        """All certificates ever issued through the protocol, the oldest first."""
        return self.state.log()

    def set_renewal_window(
        self,
        certificate: x509.Certificate,
        start: datetime,
        end: datetime,
        explanation_url: str | None = None,
    ) -> None:
        """Suggest from now on that ``certificate`` be renewed between ``start`` and ``end``.

        Raises:
            ValueError: ``end`` is not after ``start``.
        """
        window = RenewalWindow(start, end, explanation_url)
        with self.state.lock:
            self.state.windows[certificate_identifier(certificate)] = window

    def start(self) -> None:
        """Answer requests from now on."""
        self._listener.start(self._service.handle, self._tls())

    def close(self) -> None:
        """Stop for good; returns when all threads have ended and all sockets are closed."""
        self._listener.close()
        self._jobs.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _tls(self) -> ssl.SSLContext:
        own = self._own_certificate()
        file = Path(self._folder.name, "server.pem")
        file.touch(mode=0o600)
        file.write_bytes(own.private_key_pem + own.chain_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(file)
        file.unlink()
        return context

    def _own_certificate(self) -> KeyedCertificate:
        """For https: dated by the machine's clock, which its clients go by, whatever the CA's says."""
        now = utc_now()
        names = dict.fromkeys([self._context.config.host, "localhost"])
        return self.ca.issue_directly([*names], not_before=now - _BACKDATE, not_after=now + _LIFETIME)
