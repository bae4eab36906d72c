"""A DNS server in this process that answers from a table, over UDP."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@contextmanager
def zone(records: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    """ADDRESS:PORT of a server for (name, type) -> values; a name in none of them does not exist."""
    names = {name for name, _ in records}

    def answer(data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if values := records.get((name, kind)):
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *values))
        elif name not in names:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()

    def serve() -> None:
        while not over.is_set():
            try:
                data, client = server.recvfrom(4096)
            except TimeoutError:
                continue
            server.sendto(answer(data), client)

    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            thread.join()
