"""Anonymous memory: idle connections, a server's life, a long answer."""

import subprocess
import threading
import time

from .. import allocator
from ..bench import NGINX
from ..figures import Column, Result, Target
from ..process import Process
from ..protocol import H2_TLS, H2C, HTTP1, HTTP1_TLS
from ..servers import find

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# Memory is read this long after the last answer: what a server gives back a moment later isn't held.
SETTLE_SECONDS = 3

# 4,096 handshakes with each of three servers at the same time take some.
HOLD_SECONDS = 180

# And once more: what comes back only slowly.
LATER_SECONDS = 12


# What a kept connection may cost, by protocol, in KiB.
IDLE_TARGETS = (("http1", HTTP1, 4), ("tls", HTTP1_TLS, 20), ("h2c", H2C, 24), ("h2tls", H2_TLS, 24))


def idle(bench):
    """Anonymous memory per kept connection that does nothing, 4,096 of them, by protocol; allocator's figures."""
    for name, protocol, kib in IDLE_TARGETS:
        yield idle_on(bench, name, protocol, kib)


def idle_on(bench, name, protocol, target_kib):
    count = 4096

    def measure(server):
        bench.load.check(server)
        hold_all = lambda: hold(bench, server, count)
        return held_kib(server, count, hold_all, ask_allocator=is_ouli(bench, server))

    # Nothing asks for a time that would be worth telling.
    measure.load = ""
    lacking = allocator.why_not(bench.setup.ouli)
    return bench.compare(
        f"idle-{name}", f"Memory of an idle connection, {protocol.name}, 4,096 held",
        bench.fixed_and_replay(protocol),
        [
            Column("one_kib", "KiB each, asked one by one", "{:.2f}", ratio=True),
            Column("all_kib", "KiB each, after all asked at once", "{:.2f}"),
            Column("before_mib", "MiB before", "{:.1f}"),
            *ALLOCATOR_COLUMNS,
        ],
        NGINX, measure,
        [Target("Ouli replay", "one_kib", "at most", target_kib, "KiB")],
        [
            "growth of anonymous memory over what the server had after a burst of 64 connections,"
            f" {SETTLE_SECONDS} s after the last answer; the kernel's part of a connection isn't in it",
            "each connection answers once more at the end, which proves that it was held",
            f"no figures of the allocator: {lacking}" if lacking else allocator.MEANING,
        ],
        at_once=True,
    )


ALLOCATOR_COLUMNS = [
    Column(f"{name}_mib", f"{name} MiB", "{:.1f}") for name in allocator.FIGURES
]


def is_ouli(bench, server):
    return server.process.argv[0] == str(bench.setup.ouli)


def held_kib(server, count, hold, ask_allocator=False):
    """What each of those costs that `hold` holds, before and after all were active at once; and what the
    allocator says of them then."""
    time.sleep(1)
    before = server.process.anonymous_bytes()
    held = lambda: (server.process.anonymous_bytes() - before) / count / KIB
    holder = hold()
    time.sleep(SETTLE_SECONDS)
    sample = {"before_mib": before / MIB, "one_kib": held()}
    all_at_once(holder)
    time.sleep(SETTLE_SECONDS)
    sample["all_kib"] = held()
    if ask_allocator:
        figures = allocator.statistics(server.process.pid)
        sample |= {f"{name}_mib": figure / MIB for name, figure in figures.items()}
    release(holder)
    return sample


def hold(bench, server, count, command="idle"):
    """Connections that each made a request and are kept; `release` ends them."""
    argv = [
        bench.load.program, command, *bench.load.to(server), "--connections", count,
        "--body", bench.setup.body_file(),
    ]
    log = server.scratch / "idle.stderr"
    holder = Process(argv, bench.setup.load_cpus, log, stdin=subprocess.PIPE)
    holder.read_line(HOLD_SECONDS)
    return holder


def all_at_once(holder):
    """Has all of them make a request together."""
    holder.child.stdin.write(b"\n")
    holder.child.stdin.flush()
    holder.read_line(HOLD_SECONDS)


def release(holder):
    holder.child.stdin.close()
    holder.read_line(HOLD_SECONDS)
    holder.stop()


def memory(bench):
    """What a server holds at rest, under load, and after it: buffers that come back or don't."""
    contenders = bench.fixed_and_replay()
    # It drives three servers at the same time.
    active = lambda server, count: bench.load.run(
        server, "--connections", count, "--seconds", bench.seconds
    )

    def measure(server):
        held = lambda: server.process.anonymous_bytes() / MIB
        sample = {"ready": held()}
        with Peak(server.process) as peak:
            active(server, 64)
        sample["peak_64"] = peak.bytes / MIB
        time.sleep(SETTLE_SECONDS)
        sample["after_64"] = held()
        with Peak(server.process) as peak:
            active(server, 4096)
        sample["peak_4096"] = peak.bytes / MIB
        time.sleep(SETTLE_SECONDS)
        sample["after_4096"] = held()
        time.sleep(LATER_SECONDS)
        sample["later"] = held()
        return sample

    yield bench.compare(
        "memory", "Anonymous memory of the whole server, MiB", contenders,
        [
            Column("ready", "ready"), Column("peak_64", "peak, 64 active"),
            Column("after_64", "after"), Column("peak_4096", "peak, 4,096 active"),
            Column("after_4096", "after"), Column("later", f"{LATER_SECONDS} s later"),
        ],
        NGINX, measure, at_once=True,
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
        "stream", f"Memory while a 1 GiB answer passes to a reader of {STREAM_RATE // MIB} MiB/s",
        [
            Column("grown_mib", "MiB grown"), Column("peak_mib", "peak MiB"),
            Column("rate", "MiB/s read", "{:.0f}"),
        ],
        "", samples, notes, [Target("Ouli…", "grown_mib", "below", 4, "MiB")],
        rounds_min=1,
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
