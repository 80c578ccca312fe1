"""What all cases share: contenders, measured drives, and recordings to replay."""

import time
from dataclasses import dataclass, field
from typing import Callable

from .figures import Column, Result
from .load import Load
from .process import BenchError, CpuMeter, Missing
from .protocol import HTTP1
from .rounds import alternate, together
from .servers import Contender, find, find_wiremock
from .setup import Setup

CPU = Column("cpu_us", "CPU µs per request", "{:,.2f}", ratio=True)
RATE = Column("rate", "requests/s", "{:,.0f}")
MEAN = Column("mean_us", "mean µs", "{:,.0f}")
P50 = Column("p50_us", "p50 µs", "{:,.0f}")
P99 = Column("p99_us", "p99 µs", "{:,.0f}")
FOREIGN = Column("foreign", "others, of one CPU", "{:.1%}")

NGINX, NGINX_PROXY = "nginx `return 200`", "nginx `proxy_pass`"

OULI_LOGS = "to a file as by default, no line per exchange"


@dataclass
class Bench:
    setup: Setup
    load: Load
    rounds: int
    seconds: float
    say: Callable[[str], None]
    # Whether a million recordings are made and replayed, and if not, why.
    million: bool = True
    without_million: str = ""
    # Recordings that several cases replay, by their number; see `library`.
    libraries: dict = field(default_factory=dict)

    def present(self, contenders, notes):
        """Those that can run; the others are named in the notes."""
        for contender in contenders:
            if contender.missing:
                notes.append(f"{contender.name} is missing: {contender.missing}")
                self.say(notes[-1])
        return [c for c in contenders if not c.missing]

    def compare(
        self, key, title, contenders, columns, baseline, measure,
        targets=(), notes=(), against=None, at_once=False,
    ):
        """A table of all contenders: in turns, or `at_once` where memory is all that is measured."""
        notes = list(notes)
        present = self.present(contenders, notes)
        self.say(f"== {title}")
        if at_once:
            samples = together(present, self.rounds, measure, self.say)
        else:
            samples, count, again = alternate(present, self.rounds, measure, self.say)
            if count > self.rounds:
                notes.append(f"{count} rounds, of which the {self.rounds} with least work of others count")
            if again:
                notes.append(f"measured again at once since others worked beside it: {again} times in all rounds")
        notes += logged(present)
        points = {c.name: (c.line, c.point) for c in present if c.line}
        load = getattr(measure, "load", "the bench's own generator")
        return Result(
            key, title, columns, baseline, samples, notes, list(targets), against or {}, points, load=load
        )

    # -- contenders

    def nginx_fixed(self, protocol=HTTP1):
        start = lambda: self.setup.nginx_fixed(protocol=protocol)
        return Contender(NGINX, start, "none", missing("nginx"))

    def hyper_fixed(self, protocol=HTTP1):
        return Contender("hyper, fixed answer", lambda: self.setup.hyper_fixed(protocol))

    def ouli_replay(self, recordings, port, protocol=HTTP1, options=()):
        start = lambda: self.setup.ouli_replay(port, recordings, protocol, options)
        return Contender("Ouli replay", start, OULI_LOGS, self.ouli_missing())

    def nginx_proxy(self, origin, protocol=HTTP1):
        start = lambda: self.setup.nginx_proxy(origin, protocol)
        return Contender(NGINX_PROXY, start, "none", missing("nginx"))

    def haproxy(self, origin, protocol=None):
        start = lambda: self.setup.haproxy(origin, protocol)
        return Contender("HAProxy", start, "none", missing("haproxy"))

    def hyper_forward(self, origin, protocol=None):
        return Contender("hyper + hyper-util", lambda: self.setup.hyper_forward(origin, protocol))

    def ouli_record(self, origin, protocol=None):
        start = lambda: self.setup.ouli_record(origin, protocol)
        logs = OULI_LOGS + ", and every exchange to its tape"
        return Contender("Ouli record", start, logs, self.ouli_missing())

    def mitmproxy_replay(self):
        if find("mitmdump"):
            flows, port = self.setup.mitmproxy_flows()
        start = lambda: self.setup.mitmproxy_replay(flows, port)
        return Contender("mitmproxy, server replay", start, "none", missing("mitmdump"))

    def mitmproxy_record(self, origin):
        start = lambda: self.setup.mitmproxy_record(origin)
        return Contender("mitmproxy, reverse proxy", start, "none, and every exchange to a file", missing("mitmdump"))

    def wiremock(self):
        lacking = "" if find_wiremock() else "no WireMock, or no Java"
        return Contender("WireMock", self.setup.wiremock, "none, nor a journal of requests", lacking)

    def ouli_missing(self):
        return "" if self.setup.ouli else "no binary (cargo build --release)"

    def floor(self):
        return Contender("a bare epoll loop", self.setup.floor)

    def fixed_and_replay(self, protocol=HTTP1):
        """Those that give one answer: nginx, Ouli with that answer recorded, hyper."""
        recordings, port = self.recorded()
        return [
            self.nginx_fixed(protocol),
            self.ouli_replay(recordings, port, protocol),
            self.hyper_fixed(protocol),
        ]

    def origin(self, protocol=HTTP1, **options):
        """nginx with known answers on the load's CPU, for everything that forwards."""
        if not find("nginx"):
            raise Missing("no nginx, which is the origin of what is forwarded and recorded")
        return self.setup.nginx_fixed(self.setup.load_cpus, protocol, **options)

    # -- measuring

    def meter(self, server):
        return CpuMeter(server.process, self.setup.server_cpus | self.setup.load_cpus)

    def cpu_per_request(self, server, drive):
        """Drives a server and divides its CPU time by the answers it gave."""
        meter = self.meter(server)
        logged = server.log_bytes()
        meter.start()
        load = drive()
        # The last connections' ends belong to the requests.
        time.sleep(0.05)
        meter.stop()
        if not load["requests"]:
            raise BenchError(f"{server.process.argv[0]} answered no request in time")
        sample = {
            "cpu_us": meter.seconds * 1e6 / load["requests"],
            "rate": load["requests"] / load["seconds"],
            "foreign": meter.foreign,
        }
        # What the load measures of latency depends on which load it is.
        sample |= {key: load[key] for key in ("mean_us", "p50_us", "p99_us") if key in load}
        for key in ("resumed", "chunks"):
            if key in load:
                sample[key] = load[key] / load["requests"]
        if grown := server.log_bytes() - logged:
            sample["log_bytes_per_request"] = grown / load["requests"]
        return sample

    def closed_loop(self, connections=64, streams=1, protocol=HTTP1):
        """A measurement with kept connections, between two passes that check every body."""

        def measure(server):
            kept = server.point or connections
            self.load.check(server, min(kept, 64), streams)
            # Of one that is slow few answers would come in a second, and many connections take part of one.
            seconds = self.seconds + 2 * server.is_slow + (kept > 1000)
            drive = lambda: self.load.closed_loop(server, kept, seconds, streams)
            sample = self.cpu_per_request(server, drive)
            self.load.check(server, min(kept, 64), streams)
            return sample

        driver = self.load.drivers[protocol.version]
        measure.load = driver if driver != "own" else "the bench's own generator"
        return measure

    def checked_loop(self, *args, body, layout=(64, 1)):
        """A measurement by the own generator, which compares every byte, with so many kept connections
        of so many streams."""
        connections, streams = layout

        def measure(server):
            ask = lambda *limits: self.load.own(
                "run", *self.load.to(server), "--connections", connections, "--streams", streams,
                *args, *limits, body=body,
            )
            ask("--requests", 2 * connections * streams)
            return self.cpu_per_request(server, lambda: ask("--seconds", self.seconds))

        return measure

    # -- recordings to replay

    def recorded(self, items=0, size=256, seconds=900):
        """A folder with one recorded exchange, or with `items` of different paths; and the port of
        the origin they came from, which is gone again."""
        folder = self.setup.folder("recorded")
        if not self.setup.ouli:
            return folder, 0
        origin = self.origin(item_size=size)
        # A million exchanges may take longer to seal than a recorder waits by itself.
        config = self.setup.kept("patient.toml", f'[limits]\nseal_timeout = "{seconds}s"\n'.encode())
        server = self.setup.ouli_serve("record", origin.port, folder, "--config", config)
        try:
            if items:
                self.ask_items(server, items, items, size=size)
            else:
                self.load.run(server, "--connections", 1, "--requests", 1)
        finally:
            server.stop(seconds)
            origin.stop()
        return folder, origin.port

    def library(self, items):
        """As `recorded`, of 1 KiB each, made once for all cases of a run."""
        if items not in self.libraries:
            self.say(f"recording {items:,} exchanges of 1 KiB")
            self.libraries[items] = self.recorded(items, size=1024)
        return self.libraries[items]

    def ask_items(self, server, items, requests, connections=64, size=256, **options):
        named = [part for name, value in options.items() for part in (f"--{name}", value)]
        return self.load.own(
            "run", *self.load.to(server), "--paths", items, "--requests", requests,
            "--connections", connections, *named, body=self.setup.item_body_file(size),
        )


def missing(program):
    return "" if find(program) else f"no {program}"


def logged(contenders):
    """What each writes while it is measured, those that write the same together."""
    by_log = {}
    for contender in contenders:
        if contender.logs:
            by_log.setdefault(contender.logs, []).append((contender.line or contender.name))
    said = [f"{', '.join(dict.fromkeys(names))}: {logs}" for logs, names in by_log.items()]
    return ["logs while measured: " + "; ".join(said)] if said else []
