"""BIND from Debian: a DNS world of its own, with a private root, a primary, a secondary and a resolver.

`bind_world` starts four servers on port 53 of loopback addresses:

- the *parent* (BIND) has the root zone, `test` and `com`, and delegates from them;
- the *primary* (BIND) has the zones that a test asks for, and takes updates with a TSIG key (RFC 2136, RFC 8945);
- the *secondary* (BIND) transfers them at once, or late;
- the *resolver* (Unbound) starts at the private root and finds everything from there, as resolvers do.
"""

import base64
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update

from peers.daemons import require_root, short_folder
from peers.debian import require
from peers.loopback import Block, block
from peers.unbound import unbound

SECONDS = 15
_TTL = 60
_HOST = "root.servers.test"
_TOP = """\
$TTL {ttl}
@ SOA {host}. admin.{host}. 1 3600 600 86400 5
@ NS {host}.
"""
TOP_LEVEL = ("test", "com")


@dataclass(frozen=True)
class Tsig:
    """A TSIG key: its name, its algorithm as RFC 8945 writes it, and the secret in base64."""

    name: str
    algorithm: str
    secret: str = field(repr=False)


KEY = Tsig("certwright-tests", "hmac-sha256", base64.b64encode(b"the secret of the tests, 32 long").decode())


@dataclass
class Named:
    """One `named` in the foreground with a folder of its own; it serves the zones of `clauses`."""

    address: str
    folder: Path
    clauses: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    address_v6: str = ""

    def write(self) -> None:
        """Write the configuration anew."""
        v6 = self.address_v6 or "none"
        zones = "".join(f'zone "{name}" {{ {clause} }};\n' for name, clause in self.clauses.items())
        (self.folder / "named.conf").write_text(
            f'key "{KEY.name}" {{ algorithm {KEY.algorithm}; secret "{KEY.secret}"; }};\n'
            f"controls {{ }};\n"
            f'options {{ directory "{self.folder}"; pid-file none; session-keyfile none; recursion no;'
            f" listen-on port 53 {{ {self.address}; }}; listen-on-v6 port 53 {{ {v6}; }};"
            f" check-names primary ignore; check-names secondary ignore; query-source address {self.address};"
            f" transfer-source {self.address}; notify-source {self.address}; notify no; dnssec-validation no;"
            f" empty-zones-enable no; notify-delay 0; startup-notify-rate 1000; serial-query-rate 1000;"
            f" allow-transfer {{ any; }}; allow-query {{ any; }}; }};\n{zones}"
        )

    def start(self) -> None:
        """Start, and return once it answers."""
        self.write()
        command = ["/usr/sbin/named", "-g", "-n", "1", "-c", str(self.folder / "named.conf"), "-p", "53"]
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_for_answer(self.address, ".", self.folder / "output", any_answer=True)

    def reload(self) -> None:
        """Read the configuration again."""
        assert self.process is not None
        self.write()
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it; nothing answers at its address any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)
            self.process = None


@dataclass
class World:
    """Four servers and what they serve. `resolver` is ADDRESS:PORT; the others are addresses, always port 53."""

    block: Block
    resolver: str
    parent_server: Named
    primary_server: Named
    secondary_server: Named
    key: Tsig = KEY

    @property
    def parent(self) -> str:
        """The address of the server of the root, of `test` and of `com`."""
        return self.parent_server.address

    @property
    def primary(self) -> str:
        """The address of the primary, which takes updates."""
        return self.primary_server.address

    @property
    def secondary(self) -> str:
        """The address of the secondary."""
        return self.secondary_server.address

    def dual_stack(self) -> str:
        """Let the primary listen at an IPv6 address, too, from now on; the address."""
        self.primary_server.address_v6 = self.primary_server.address_v6 or self.block.another_v6()
        self.primary_server.reload()
        wait_for_answer(self.primary_server.address_v6, ".", self.primary_server.folder / "output", any_answer=True)
        return self.primary_server.address_v6

    def zone(
        self,
        name: str,
        records: str = "",
        *,
        lagging: bool = False,
        servers: Mapping[str, Sequence[str]] | None = None,
        negative: int = 5,
    ) -> None:
        """Serve the zone `name` (under `test` or `com`) on primary and secondary, and delegate to them.

        Args:
            name: such as contoso.test, without trailing dot.
            records: more lines of its zone file.
            lagging: whether the secondary hears of changes only by `transfer`.
            servers: other name servers than ns1 and ns2 of the zone, with their addresses; hosts inside the
                zone get address records there and glue in the parent.
            negative: seconds for which resolvers may remember that something is not there.
        """
        servers = servers or {f"ns1.{name}": [self.primary], f"ns2.{name}": [self.secondary]}
        lines = [f"$TTL {_TTL}", f"@ SOA ns1.{name}. admin.{name}. 1 3600 600 86400 {negative}"]
        lines += [f"@ NS {host}." for host in servers]
        lines += [line for host in servers if host.endswith(f".{name}") for line in _glue(host, servers[host])]
        (self.primary_server.folder / f"{name}.zone").write_text("\n".join([*lines, records, ""]))
        notify = "notify no" if lagging else f"notify explicit; also-notify {{ {self.secondary}; }}"
        self.primary_server.clauses[name] = (
            f'type primary; file "{name}.zone"; allow-update {{ key "{self.key.name}"; }}; {notify};'
        )
        self.secondary_server.clauses[name] = (
            f"type secondary; primaries {{ {self.primary}; }}; allow-notify {{ any; }}; masterfile-format text;"
            f' file "{name}.copy";'
        )
        self.primary_server.reload()
        wait_for_answer(self.primary, name, self.primary_server.folder / "output")
        self.secondary_server.reload()
        wait_for_answer(self.secondary, name, self.secondary_server.folder / "output")
        self.delegate(name, servers)

    def delegate(self, name: str, servers: Mapping[str, Sequence[str]]) -> None:
        """Delegate `name` to `servers` (addresses by host) in the zone above it, with glue where it is needed."""
        above = max((zone for zone in (*self.primary_server.clauses, *TOP_LEVEL) if name.endswith(f".{zone}")), key=len)
        change = self._update(above)
        change.delete(f"{name}.", "NS")
        for host, addresses in servers.items():
            change.add(f"{name}.", _TTL, "NS", f"{host}.")
            if host.endswith(f".{above}"):
                for address in addresses:
                    change.delete(f"{host}.", _kind(address))
                for address in addresses:
                    change.add(f"{host}.", _TTL, _kind(address), address)
        self._send(change, above)

    def records(self, zone: str, name: str, kind: str, *values: str) -> None:
        """Let exactly `values` (in zone file syntax) stand as the records of type `kind` at `name` (absolute)."""
        change = self._update(zone)
        change.delete(f"{name}.", kind)
        for value in values:
            change.add(f"{name}.", _TTL, kind, value)
        self._send(change, zone)

    @contextmanager
    def holding(self, zone: str, name: str, kind: str, *values: str) -> Iterator[None]:
        """Let `values` stand so on both servers until the block ends, and nothing afterwards."""
        self.records(zone, name, kind, *values)
        self.settle(zone)
        try:
            yield
        finally:
            self.records(zone, name, kind)
            self.settle(zone)

    def settle(self, zone: str) -> None:
        """Return once the secondary has what the primary has."""
        end = time.monotonic() + SECONDS
        while (primary := _serial(self.primary, zone)) != _serial(self.secondary, zone):
            if time.monotonic() > end:
                raise RuntimeError(f"the secondary of {zone} does not come to {primary}")
            time.sleep(0.05)

    def transfer(self, zone: str) -> None:
        """Tell a lagging secondary that the zone has changed (RFC 1996)."""
        notice = dns.message.make_query(f"{zone}.", "SOA")
        notice.set_opcode(dns.opcode.NOTIFY)
        notice.flags = notice.flags & ~dns.flags.RD | dns.flags.AA
        dns.query.udp(notice, self.secondary, timeout=SECONDS, source=self.primary)

    def break_secondary(self, zone: str) -> None:
        """Let the secondary have no copy of `zone`, and no way to get one: it answers SERVFAIL."""
        server = self.secondary_server
        server.stop()
        server.clauses[zone] = f'type secondary; primaries {{ {self.block.another()}; }}; file "none-{zone}.copy";'
        server.start()

    def _update(self, zone: str) -> dns.update.UpdateMessage:
        keyring = dns.tsigkeyring.from_text({f"{self.key.name}.": self.key.secret})
        return dns.update.UpdateMessage(f"{zone}.", keyring=keyring, keyalgorithm=f"{self.key.algorithm}.")

    def _send(self, change: dns.update.UpdateMessage, zone: str) -> None:
        where = self.primary if zone in self.primary_server.clauses else self.parent
        answer = dns.query.tcp(change, where, timeout=SECONDS)
        if answer.rcode() != dns.rcode.NOERROR:
            raise RuntimeError(f"the update of {zone} was answered {dns.rcode.to_text(answer.rcode())}: {change}")


@contextmanager
def bind_world(*, trust_anchors: Sequence[str] = (), caching: bool = False) -> Iterator[World]:
    """A DNS world until the block ends.

    Args:
        trust_anchors: DS or DNSKEY records, as lines, from which the resolver validates; none: it does not.
        caching: whether the resolver remembers answers as long as their TTL says; else it asks anew each time.
    """
    require("bind9", "unbound")
    require_root()
    with ExitStack() as stack:
        addresses = stack.enter_context(block())
        parent, primary, secondary = (
            Named(addresses.assign(addresses[number]), stack.enter_context(short_folder(role)))
            for number, role in enumerate(("parent", "primary", "secondary"), 1)
        )
        for zone in (".", *TOP_LEVEL):
            file = f"{zone.strip('.') or 'root'}.zone"
            delegations = "".join(f"{name}. NS {_HOST}.\n" for name in TOP_LEVEL if zone == ".")
            glue = f"{_HOST}. A {parent.address}\n" if zone in {".", "test"} else ""
            (parent.folder / file).write_text(_TOP.format(ttl=_TTL, host=_HOST) + delegations + glue)
            parent.clauses[zone] = f'type primary; file "{file}"; allow-update {{ key "{KEY.name}"; }};'
        for server in (parent, primary, secondary):
            stack.callback(server.stop)
            server.start()
        resolver = stack.enter_context(
            unbound(addresses[53], parent.address, trust_anchors=trust_anchors, caching=caching)
        )
        yield World(addresses, resolver, parent, primary, secondary)


def wait_for_answer(address: str, zone: str, log: Path, *, any_answer: bool = False) -> None:
    """Return once the server at `address` answers for `zone` with authority, or at all."""
    question = dns.message.make_query(zone, "SOA")
    end = time.monotonic() + SECONDS
    while True:
        try:
            answer = dns.query.udp(question, address, timeout=0.1)
        except (dns.exception.Timeout, OSError):
            answer = None
        if answer is not None and (any_answer or (answer.answer and answer.flags & dns.flags.AA)):
            return
        if time.monotonic() > end:
            raise RuntimeError(f"{address} does not answer for {zone}, log:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.02)


def _serial(address: str, zone: str) -> str:
    answer = dns.query.tcp(dns.message.make_query(f"{zone}.", "SOA"), address, timeout=SECONDS)
    return str(answer.answer[0][0]).split()[2]


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _glue(host: str, addresses: Sequence[str]) -> list[str]:
    return [f"{host}. {_kind(address)} {address}" for address in addresses]
