"""Our ACME client alone, `acme.flow.obtain`, as a process of its own; `bench/issue.py` runs it.

    python bench/issue_flow.py DIRECTORY CA_FILE ACCOUNT WEBROOT --count 200 --in-flight 8

ACCOUNT is a file that `bare_probe.py --register` writes.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from certwright.acme import flow
from certwright.acme.challenge import Answer
from certwright.acme.client import AcmeClient
from certwright.acme.https_transport import HttpsTransport
from certwright.acme.identifier import Identifier
from certwright.acme.jws import SigningKey
from certwright.domain import certificates, identifiers, keys


def main() -> None:
    """All certificates by one client."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory")
    for name in ("ca_file", "account", "webroot"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--in-flight", type=int, default=1)
    options = parser.parse_args()
    kept = json.loads(options.account.read_text())

    @contextmanager
    def solve(answers: Sequence[Answer]) -> Iterator[Sequence[Answer]]:
        chosen = [answer for answer in answers if answer.challenge.type == "http-01"]
        files = [options.webroot / answer.http_path.lstrip("/") for answer in chosen]
        for answer, file in zip(chosen, files, strict=True):
            file.write_text(answer.key_authorization)
        yield chosen
        for file in files:
            file.unlink()

    with HttpsTransport("bench", options.ca_file) as transport:
        client = AcmeClient(transport, options.directory, SigningKey.from_pem(kept["key"].encode()), kept["url"])

        def obtain(number: int) -> None:
            name = f"flow{number}.contoso.test"
            csr = certificates.build_request(identifiers.parse_all([name]), keys.generate(keys.KeyType.ECDSA_P256))
            flow.obtain(client, [Identifier("dns", name)], csr, solve)

        with ThreadPoolExecutor(options.in_flight) as pool:
            list(pool.map(obtain, range(options.count)))


if __name__ == "__main__":
    main()
