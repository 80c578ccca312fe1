"""What all cases share: contenders, measured drives, and recordings to replay."""

import time
from dataclasses import dataclass
from typing import Callable

from .figures import Column, Result, alternate
from .load import Load
from .process import BenchError, CpuMeter
from .protocol import HTTP1
from .servers import Contender, Setup, find

CPU = Column("cpu_us", "CPU µs per request", "{:.2f}", ratio=True)
RATE = Column("rate", "requests/s", "{:.0f}")
MEAN = Column("mean_us", "mean µs", "{:.0f}")
P50 = Column("p50_us", "p50 µs", "{:.0f}")
P99 = Column("p99_us", "p99 µs", "{:.0f}")
FOREIGN = Column("foreign", "others, of one CPU", "{:.1%}")

OULI_LOGS = "its default log to a file: no line per exchange, since that is no terminal"


# Above this share of a CPU, others had a say in the figures: their turns, the caches, the load's pace.
FOREIGN_MAX = 0.1


def busy_note(samples):
    """A warning to stand beside figures from a machine that did something else as well."""
    highest = max((s.get("foreign", 0) for rounds in samples.values() for s in rounds), default=0)
    if highest <= FOREIGN_MAX:
        return []
    return [f"**not to be quoted**: others took up to {highest:.0%} of a CPU"]


@dataclass
class Bench:
    setup: Setup
    load: Load
    rounds: int
    seconds: int
    say: Callable[[str], None]
    big: bool = False

    def present(self, contenders, notes):
        """Those that can run; the others are named in the notes."""
        for contender in contenders:
            if contender.missing:
                notes.append(f"{contender.name} is missing: {contender.missing}")
                self.say(notes[-1])
        return [c for c in contenders if not c.missing]

    def compare(self, title, contenders, columns, baseline, measure, target="", notes=()):
        notes = list(notes)
        present = self.present(contenders, notes)
        self.say(f"== {title}")
        samples = alternate(present, self.rounds, measure, self.say)
        notes += [f"{c.name} writes {c.logs}" for c in present if c.logs]
        notes += busy_note(samples)
        return Result(title, columns, baseline, samples, notes, target)

    # -- contenders

    def nginx_fixed(self, protocol=HTTP1):
        missing = "" if find("nginx") else "no nginx"
        start = lambda: self.setup.nginx_fixed(protocol=protocol)
        return Contender("nginx `return 200`", start, "no access log", missing)

    def hyper_fixed(self, protocol=HTTP1):
        start = lambda: self.setup.hyper_fixed(protocol)
        return Contender("hyper, fixed answer", start, "no log")

    def ouli_replay(self, recordings, port, protocol=HTTP1):
        start = lambda: self.setup.ouli_replay(port, recordings, protocol)
        return Contender("Ouli replay", start, OULI_LOGS, self.ouli_missing())

    def nginx_proxy(self, origin):
        start = lambda: self.setup.nginx_proxy(origin)
        return Contender("nginx `proxy_pass`", start, "no access log")

    def ouli_record(self, origin):
        start = lambda: self.setup.ouli_record(origin)
        logs = OULI_LOGS + ", and every exchange to its tape"
        return Contender("Ouli record", start, logs, self.ouli_missing())

    def ouli_missing(self):
        return "" if self.setup.ouli else "no binary (cargo build --release)"

    def fixed_and_replay(self, protocol=HTTP1):
        """Those that give one answer: nginx, Ouli with that answer recorded, hyper."""
        recordings, port = self.recorded()
        return [
            self.nginx_fixed(protocol),
            self.ouli_replay(recordings, port, protocol),
            self.hyper_fixed(protocol),
        ]

    def origin(self, protocol=HTTP1):
        """nginx `return 200` on the load's CPU, for everything that forwards."""
        if not find("nginx"):
            raise BenchError("no nginx, which is the origin of what is forwarded")
        return self.setup.nginx_fixed(self.setup.load_cpus, protocol)

    # -- measuring

    def cpu_per_request(self, server, drive):
        """Drives a server and divides its CPU time by the answers it gave."""
        meter = CpuMeter(server.process, self.setup.server_cpus | self.setup.load_cpus)
        logged = server.log_bytes()
        meter.start()
        load = drive()
        # The last connections' ends belong to the requests.
        time.sleep(0.05)
        meter.stop()
        sample = {
            "cpu_us": meter.seconds * 1e6 / load["requests"],
            "rate": load["requests"] / load["seconds"],
            "foreign": meter.foreign,
        }
        # What the load measures of latency depends on which load it is.
        sample |= {key: load[key] for key in ("mean_us", "p50_us", "p99_us") if key in load}
        if "resumed" in load:
            sample["resumed"] = load["resumed"] / load["requests"]
        if grown := server.log_bytes() - logged:
            sample["log_bytes_per_request"] = grown / load["requests"]
        return sample

    def closed_loop(self, connections=64, seconds=None, streams=1):
        """A measurement with kept connections, between two passes that check every body."""
        check = lambda server: self.load.check(server, min(connections, 64), streams)

        def measure(server):
            check(server)
            sample = self.cpu_per_request(
                server,
                lambda: self.load.closed_loop(server, connections, seconds or self.seconds, streams),
            )
            check(server)
            return sample

        return measure

    # -- recordings to replay

    def recorded(self, items=0):
        """A folder with one recorded exchange, or with `items` of different paths; and the port of
        the origin they came from, which is gone again."""
        folder = self.setup.folder("recorded")
        if not self.setup.ouli:
            return folder, 0
        origin = self.setup.nginx_fixed(self.setup.load_cpus)
        server = self.setup.ouli_serve("record", origin.port, folder)
        try:
            if items:
                self.ask_items(server, items, items)
            else:
                self.load.run(server, "--connections", 1, "--requests", 1)
        finally:
            server.stop()
            origin.stop()
        return folder, origin.port

    def ask_items(self, server, items, requests, connections=64, **options):
        named = [part for name, value in options.items() for part in (f"--{name}", value)]
        return self.load.own(
            "run", *self.load.to(server), "--paths", items, "--requests", requests,
            "--connections", connections, *named, body=self.setup.item_body_file(),
        )
