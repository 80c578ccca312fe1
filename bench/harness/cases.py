"""The cases. Each takes a `Bench` and returns the tables it made.

A case says in its first line what it measures; the rest is how. Contenders that aren't there are
left out by name, never silently.
"""

import subprocess
import threading
import time
from dataclasses import dataclass

from .figures import Column, Result, alternate
from .load import Load
from .process import BenchError, CpuMeter, Process
from .servers import Contender, Setup, find

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# Memory is read this long after the last answer: what a server gives back a moment later isn't held.
SETTLE_SECONDS = 3

CPU = Column("cpu_us", "CPU µs per request", "{:.2f}", ratio=True)
RATE = Column("rate", "requests/s", "{:.0f}")
P50 = Column("p50_us", "p50 µs", "{:.0f}")
P99 = Column("p99_us", "p99 µs", "{:.0f}")
FOREIGN = Column("foreign", "others on the server's CPU", "{:.1%}")


@dataclass
class Bench:
    setup: Setup
    load: Load
    rounds: int
    seconds: int
    say: callable
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
        return Result(title, columns, baseline, samples, notes, target)

    # -- contenders

    def nginx_fixed(self):
        missing = "" if find("nginx") else "no nginx"
        return Contender("nginx `return 200`", self.setup.nginx_fixed, "no access log", missing)

    def hyper_fixed(self):
        return Contender("hyper, fixed answer", self.setup.hyper_fixed, "no log")

    def ouli_replay(self, recordings, port):
        start = lambda: self.setup.ouli_serve("replay", port, recordings)
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

    def origin(self):
        """nginx `return 200` on the load's CPU, for everything that forwards."""
        if not find("nginx"):
            raise BenchError("no nginx, which is the origin of what is forwarded")
        return self.setup.nginx_fixed(self.setup.load_cpus)

    # -- measuring

    def cpu_per_request(self, server, drive):
        """Drives a server and divides its CPU time by the answers it gave."""
        meter = CpuMeter(server.process, server.cpus)
        logged = server.log_bytes()
        meter.start()
        load = drive()
        # The last connections' ends belong to the requests.
        time.sleep(0.05)
        meter.stop()
        sample = {
            "cpu_us": meter.seconds * 1e6 / load["requests"],
            "rate": load["requests"] / load["seconds"],
            "p50_us": load["p50_us"],
            "p99_us": load["p99_us"],
            "foreign": meter.foreign,
        }
        if grown := server.log_bytes() - logged:
            sample["log_bytes_per_request"] = grown / load["requests"]
        return sample

    def closed_loop(self, connections=64, seconds=None):
        """A measurement with keep-alive connections, between two passes that check every body."""

        def measure(server):
            self.load.check(server)
            sample = self.cpu_per_request(
                server,
                lambda: self.load.closed_loop(server, connections, seconds or self.seconds),
            )
            self.load.check(server)
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
                self.load.own(
                    "run", "--addr", server.addr, "--connections", 1, "--requests", 1,
                    body=self.setup.body_file(),
                )
        finally:
            server.stop()
            origin.stop()
        return folder, origin.port

    def ask_items(self, server, items, requests, connections=64, **options):
        named = [part for name, value in options.items() for part in (f"--{name}", value)]
        return self.load.own(
            "run", "--addr", server.addr, "--paths", items, "--requests", requests,
            "--connections", connections, *named, body=self.setup.item_body_file(),
        )


OULI_LOGS = "its default log to a file: no line per exchange, since that is no terminal"


def replay(bench):
    """Replay of a recorded 256-byte JSON answer against nginx's `return 200` of the same body."""
    recordings, port = bench.recorded()
    contenders = [bench.nginx_fixed(), bench.ouli_replay(recordings, port), bench.hyper_fixed()]
    yield bench.compare(
        "Replay of a 256-byte JSON answer, 64 keep-alive connections",
        contenders, [CPU, RATE, P50, P99, FOREIGN], "nginx `return 200`", bench.closed_loop(),
        target="Ouli at most 1.1 × nginx",
    )


def record(bench):
    """Recording in front of a fast origin against proxies that only forward to it."""
    check_that_all_is_kept(bench)
    setup = bench.setup
    origin = bench.origin()
    missing_haproxy = "" if find("haproxy") else "no haproxy"
    contenders = [
        bench.nginx_proxy(origin),
        bench.ouli_record(origin),
        Contender("HAProxy", lambda: setup.haproxy(origin), "no log", missing_haproxy),
        Contender("hyper + hyper-util", lambda: setup.hyper_forward(origin), "no log"),
    ]
    try:
        yield bench.compare(
            "Record of a 256-byte JSON answer, 64 keep-alive connections",
            contenders, [CPU, RATE, P50, P99, FOREIGN], "nginx `proxy_pass`", bench.closed_loop(),
            target="Ouli at most 1.3 × nginx",
            notes=["the origin is nginx `return 200` on the load's CPU"],
        )
    finally:
        origin.stop()


def check_that_all_is_kept(bench, items=2000):
    """A recorder that loses exchanges would be fast: what was recorded must replay, each by its path."""
    if not bench.setup.ouli:
        return
    recordings, port = bench.recorded(items)
    server = bench.setup.ouli_serve("replay", port, recordings, "--strict")
    bench.ask_items(server, items, items)
    # Exits with 3 if a request missed or a recording was left over.
    server.stop()
    bench.say(f"recorded {items} different exchanges under load; all replay")


def connections(bench):
    """A new connection for every request: CPU and rate under load, latency without load."""
    recordings, port = bench.recorded()
    contenders = [bench.nginx_fixed(), bench.ouli_replay(recordings, port), bench.hyper_fixed()]

    def new(server, concurrency, seconds):
        return bench.load.own(
            "run", "--addr", server.addr, "--connections", concurrency, "--new-connections", "yes",
            "--seconds", seconds, body=bench.setup.body_file(),
        )

    def measure(server):
        new(server, 64, 0.2)
        sample = bench.cpu_per_request(server, lambda: new(server, 64, bench.seconds))
        alone = new(server, 1, bench.seconds / 2)
        sample |= {"alone_p50_us": alone["p50_us"], "alone_p99_us": alone["p99_us"]}
        return sample

    yield bench.compare(
        "A new connection per request",
        contenders,
        [
            Column("cpu_us", "CPU µs per connection", "{:.1f}", ratio=True),
            Column("rate", "connections/s, 64 at once", "{:.0f}"),
            Column("alone_p50_us", "connect to answer p50 µs, one at a time", "{:.0f}"),
            Column("alone_p99_us", "p99 µs", "{:.0f}"),
            FOREIGN,
        ],
        "nginx `return 200`", measure,
        target="connections/s at least 0.9 × nginx's; accept to first byte p50 below 100 µs",
        notes=[
            "the client closes each connection once it has the answer",
            "connect to answer is seen by the client: it holds the accept to first byte, and more",
        ],
    )


def active(bench):
    """4,096 connections that all ask, through replay and record: flat out, and at a fixed rate."""
    recordings, port = bench.recorded()
    yield active_on(
        bench, "replay", [bench.nginx_fixed(), bench.ouli_replay(recordings, port)], 20_000
    )
    origin = bench.origin()
    try:
        contenders = [bench.nginx_proxy(origin), bench.ouli_record(origin)]
        yield active_on(bench, "record", contenders, 10_000)
    finally:
        origin.stop()


def active_on(bench, road, contenders, rate):
    def measure(server):
        sample = bench.closed_loop(4096)(server)
        paced = bench.load.own(
            "run", "--addr", server.addr, "--connections", 4096, "--rate", rate,
            "--seconds", bench.seconds, body=bench.setup.body_file(),
        )
        return sample | {"paced_p50_us": paced["p50_us"], "paced_p99_us": paced["p99_us"]}

    return bench.compare(
        f"4,096 concurrent connections, all active, {road}",
        contenders,
        [
            CPU, RATE,
            Column("p50_us", "saturated: p50 µs", "{:.0f}"), Column("p99_us", "p99 µs", "{:.0f}"),
            Column("paced_p50_us", f"at {rate:,}/s: p50 µs", "{:.0f}"),
            Column("paced_p99_us", "p99 µs", "{:.0f}"), FOREIGN,
        ],
        contenders[0].name, measure,
        target="p50 below 1 ms and p99 below 10 ms where the machine allows, at most 1.5 × nginx's",
        notes=[
            "saturated: each connection asks again at once, so latency is 4,096 divided by the rate",
            "at a fixed rate a latency counts from when its request was due",
        ],
    )


def idle(bench):
    """Anonymous memory per kept connection that does nothing, 4,096 of them."""
    recordings, port = bench.recorded()
    contenders = [bench.nginx_fixed(), bench.ouli_replay(recordings, port), bench.hyper_fixed()]
    count = 4096

    def measure(server):
        bench.load.check(server)
        time.sleep(1)
        before = server.process.anonymous_bytes()
        sample = {"before_mib": before / MIB}
        for key, at_once in (("one_kib", "no"), ("all_kib", "yes")):
            holder = hold(bench, server, count, at_once)
            time.sleep(SETTLE_SECONDS)
            sample[key] = (server.process.anonymous_bytes() - before) / count / KIB
            release(holder)
        return sample

    yield bench.compare(
        "Memory of an idle HTTP/1.1 connection, 4,096 held",
        contenders,
        [
            Column("one_kib", "KiB each, asked one by one", "{:.2f}", ratio=True),
            Column("all_kib", "KiB each, all asked at once before", "{:.2f}"),
            Column("before_mib", "MiB before", "{:.1f}"),
        ],
        "nginx `return 200`", measure,
        target="Ouli at most 6 KiB",
        notes=[
            "growth of anonymous memory over what the server had after a burst of 64 connections,"
            f" {SETTLE_SECONDS} s after the last answer; the kernel's part of a connection isn't in it",
            "each connection answers once more at the end, which proves that it was held",
        ],
    )


def hold(bench, server, count, at_once="no"):
    """Connections that each made a request and are kept; `release` ends them."""
    argv = [
        bench.load.program, "idle", "--addr", server.addr, "--connections", count,
        "--at-once", at_once, "--body", bench.setup.body_file(),
    ]
    log = bench.setup.scratch / "idle.stderr"
    holder = Process(argv, bench.setup.load_cpus, log, stdin=subprocess.PIPE)
    holder.read_line(60)
    return holder


def release(holder):
    holder.child.stdin.close()
    holder.read_line(60)
    holder.stop()


def memory(bench):
    """What a server holds at rest, under load, and after it: buffers that come back or don't."""
    recordings, port = bench.recorded()
    contenders = [bench.nginx_fixed(), bench.ouli_replay(recordings, port), bench.hyper_fixed()]

    def measure(server):
        held = lambda: server.process.anonymous_bytes() / MIB
        sample = {"ready": held()}
        with Peak(server.process) as peak:
            bench.closed_loop(64)(server)
        sample["peak_64"] = peak.bytes / MIB
        time.sleep(SETTLE_SECONDS)
        sample["after_64"] = held()
        with Peak(server.process) as peak:
            bench.closed_loop(4096)(server)
        sample["peak_4096"] = peak.bytes / MIB
        time.sleep(SETTLE_SECONDS)
        sample["after_4096"] = held()
        time.sleep(15)
        sample["later"] = held()
        return sample

    yield bench.compare(
        "Anonymous memory of the whole server, MiB",
        contenders,
        [
            Column("ready", "ready"), Column("peak_64", "peak, 64 active"),
            Column("after_64", "after"), Column("peak_4096", "peak, 4,096 active"),
            Column("after_4096", "after"), Column("later", "15 s later"),
        ],
        "nginx `return 200`", measure,
    )


class Peak:
    """Highest anonymous memory of a process while the block runs, read every 10 ms."""

    def __init__(self, process):
        self.process, self.bytes, self.running = process, 0, True
        self.thread = threading.Thread(target=self._watch)

    def _watch(self):
        while self.running:
            try:
                self.bytes = max(self.bytes, self.process.anonymous_bytes())
            except OSError:
                return  # It died; who drives it will notice.
            time.sleep(0.01)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()


STREAM_BYTES, STREAM_RATE = GIB, 128 * MIB


def stream(bench):
    """A 1 GiB answer through record and replay to a slow reader: how much memory grows."""
    bench.say("== a 1 GiB answer to a slow reader")
    samples, notes = {}, []
    origin = bench.setup.origin_streaming()
    try:
        for name, path, begin in streamers(bench, origin, notes):
            server = begin()
            try:
                samples[name] = [stream_once(bench, server, path)]
            finally:
                server.stop()
            bench.say(f"{name}: {samples[name][0]}")
    finally:
        origin.stop()
    yield Result(
        f"Memory while a 1 GiB answer passes to a reader of {STREAM_RATE // MIB} MiB/s",
        [
            Column("grown_mib", "MiB grown"), Column("peak_mib", "peak MiB"),
            Column("rate", "MiB/s read", "{:.0f}"),
        ],
        "", samples, notes, target="growth below 4 MiB",
    )


def streamers(bench, origin, notes):
    """What the answer passes through, in turn: a replay needs the recording made just before."""
    setup = bench.setup
    if find("nginx"):
        yield "nginx `proxy_pass`, by length", "bytes", lambda: setup.nginx_proxy(origin)
    else:
        notes.append("nginx is missing")
    if not setup.ouli:
        notes.append(f"Ouli is missing: {bench.ouli_missing()}")
        return
    keeping = setup.folder("config") / "ouli.toml"
    keeping.write_text('[limits]\nmax_kept_body = "2GiB"\n')

    def ouli(mode, recordings, *options):
        return lambda: setup.ouli_serve(mode, origin.port, recordings, *options)

    for path, way in (("bytes", "by length"), ("chunked", "in chunks")):
        passed, kept = setup.folder("passed"), setup.folder("kept")
        yield f"Ouli record, {way}, over `max_kept_body`", path, ouli("record", passed)
        yield f"Ouli record, {way}, kept", path, ouli("record", kept, "--config", keeping)
        yield f"Ouli replay, {way}", path, ouli("replay", kept, "--config", keeping)
        setup.remove(passed)
        setup.remove(kept)


def stream_once(bench, server, path):
    """Peak growth while the answer passes, over what a small one needed."""
    ask = lambda size, *options: bench.load.own(
        "stream", "--addr", server.addr, "--path", f"/{path}/{size}", "--bytes", size, *options
    )
    ask(MIB)
    before = server.process.anonymous_bytes()
    with Peak(server.process) as peak:
        taken = ask(STREAM_BYTES, "--rate", STREAM_RATE)
    return {
        "grown_mib": max(0, peak.bytes - before) / MIB,
        "peak_mib": peak.bytes / MIB,
        "rate": STREAM_BYTES / MIB / taken["seconds"],
    }


def start(bench):
    """From the process's start to its line `ready`, and to its first replayed answer."""
    setup, starts = bench.setup, 20
    if not setup.ouli:
        bench.say(f"start: Ouli is missing: {bench.ouli_missing()}")
        return
    samples = {}
    for items in (0, 1, 10_000) + ((1_000_000,) if bench.big else ()):
        if items:
            recordings, port = bench.recorded(items)
        else:
            recordings, port = setup.folder("empty"), 9
        name = {0: "nothing recorded", 1: "1 exchange"}.get(items, f"{items:,} exchanges")
        samples[name] = [start_once(bench, recordings, port, items) for _ in range(starts)]
        bench.say(f"start, {name}: {samples[name][0]}")
    yield Result(
        f"Start to `ready`, {starts} starts each",
        [Column("ready_ms", "ms to `ready`"), Column("answer_ms", "ms to the first answer")],
        "", samples, target="10 ms with nothing recorded, 50 ms with 10,000 exchanges",
    )


def start_once(bench, recordings, port, items):
    log = bench.setup.scratch / "start.stderr"
    argv = bench.setup.ouli_argv("replay", port, recordings)
    process = Process(argv, bench.setup.server_cpus, log)
    listening = process.wait_ready()[0]
    sample = {"ready_ms": (time.monotonic() - process.started) * 1e3}
    if items:
        ask_once(listening)
        sample["answer_ms"] = (time.monotonic() - process.started) * 1e3
    process.stop()
    return sample


def ask_once(port, path="/item/0000000"):
    import http.client

    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", path)
    answer = client.getresponse()
    if answer.status != 200 or path.encode() not in answer.read():
        raise BenchError(f"the first answer was {answer.status}")
    client.close()


def library(bench):
    """Replay cost as the number of recorded exchanges grows."""
    setup = bench.setup
    if not setup.ouli:
        bench.say(f"library: Ouli is missing: {bench.ouli_missing()}")
        return
    sizes = [10, 10_000] + ([1_000_000] if bench.big else [])

    def contender(items):
        recordings, port = bench.recorded(items)

        def begin():
            server = setup.ouli_serve("replay", port, recordings)
            server.items = items
            return server

        return Contender(f"{items:,} exchanges", begin, "")

    def measure(server):
        # The first pass loads the cassette and asks for every recording once.
        bench.ask_items(server, server.items, server.items)
        ask = lambda: bench.load.own(
            "run", "--addr", server.addr, "--paths", server.items, "--order", "mixed",
            "--connections", 64, "--seconds", bench.seconds, body=setup.item_body_file(),
        )
        return bench.cpu_per_request(server, ask)

    yield bench.compare(
        "Replay by number of recorded exchanges, each asked for in turn",
        [contender(items) for items in sizes],
        [CPU, RATE, P50, P99, FOREIGN], f"{sizes[0]:,} exchanges", measure,
        target="10,000 at most 1.1 ×, 1,000,000 at most 1.5 × the cost of 10",
    )


def runtimes(bench):
    """One runtime per core against a work-stealing one, on both roads, with one and two threads."""
    body = ["--body", bench.setup.body_file()]
    yield from runtimes_on(bench, "fixed", "replay's road: a fixed answer", body)
    origin = bench.origin()
    try:
        forward = ["--origin", origin.addr]
        title = "record's road: forwarded and appended to a file"
        yield from runtimes_on(bench, "forward", title, forward)
    finally:
        origin.stop()


def runtimes_on(bench, road, title, args):
    setup = bench.setup

    def contender(name, model, threads):
        cpus = setup.server_cpus if threads == 1 else setup.server_cpus | setup.load_cpus

        def begin():
            scratch = setup.folder("runtimes")
            return setup.program(
                "runtimes", road, *args, "--model", model, "--threads", threads,
                "--tape", scratch / "tape", cpus=cpus, scratch=scratch,
            )

        return Contender(name, begin, "")

    for threads, words in ((1, "1 thread"), (2, "2 threads")):
        yield bench.compare(
            f"Runtimes, {title}, {words}",
            [
                contender("work-stealing", "stealing", threads),
                contender("one runtime per core", "per-core", threads),
            ],
            [CPU, RATE, P50, P99], "work-stealing", bench.closed_loop(),
            notes=["two threads share the second CPU with the load"] * (threads == 2),
        )


CASES = {
    "replay": replay,
    "record": record,
    "connections": connections,
    "active": active,
    "idle": idle,
    "memory": memory,
    "stream": stream,
    "start": start,
    "library": library,
    "runtimes": runtimes,
}
