"""The whole engine as the service's worker uses it, in a process of its own; `bench/issue.py` runs it.

    python bench/issue_engine.py --in-flight 8

It requests all that is due in the store that the environment names.
"""

import argparse
import os
from concurrent.futures import ThreadPoolExecutor

from certwright.engine.request import request
from certwright.settings import Settings
from certwright.wiring import open_engine

MOST = 100_000


def main() -> None:
    """Request all that is due."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, default=1)
    options = parser.parse_args()
    engine = open_engine(Settings.locate(None, os.environ), lambda _: None)
    with engine.store.read() as unit:
        due = unit.managed.due(engine.now(), MOST)
    with ThreadPoolExecutor(options.in_flight) as pool:
        for result in pool.map(lambda one: request(engine, one.id), due):
            assert result.version
    engine.store.close()


if __name__ == "__main__":
    main()
