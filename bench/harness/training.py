"""What a build with counters in it goes through, so that the next one is guided by them: record and replay over
each protocol, mostly as the cases measure them. Every answer is checked here too.

A program writes its counters when it ends in an orderly way, so every recorder seals what it kept.
"""

import os
import signal

from .bench import Bench
from .cases import scale
from .cases.websocket import SCRIPT, echo, recorded
from .load import Load
from .protocol import H2_TLS, H2C, HTTP1, HTTP1_TLS
from .setup import Setup

REQUESTS = 10_000
# Of a kind that is rarer than a small GET, or costs as much as a hundred of them.
SOME, FEW = 2_000, 100

PROTOCOLS = (HTTP1, HTTP1_TLS, H2C, H2_TLS)

EVENTS = ("--path", "/events/100/200")


def train(ouli, programs, scratch, say):
    """Has `ouli` work in the ways that most is asked of it. `programs`: where those of the bench are."""
    # Nothing is measured, so each may run where this runs.
    cpus = os.sched_getaffinity(0)
    setup = Setup(scratch, programs, ouli, cpus, cpus)
    bench = Bench(setup, Load(setup, "own"), 1, 1, say)
    for lesson in (small, sizes, library, sessions, events, conversations):
        say(f"training: {lesson.__name__}")
        lesson(bench)


def small(bench):
    """GETs with small answers, over kept connections and new ones."""
    recordings, port = bench.recorded()
    for protocol in PROTOCOLS:
        origin = bench.origin(H2C if protocol == H2C else HTTP1)
        recorder = orderly(bench.setup.ouli_record(origin, protocol))
        for server in (recorder, bench.setup.ouli_replay(port, recordings, protocol)):
            streams = 8 if protocol.version == 2 else 1
            for connections in (1, 64):
                bench.load.run(
                    server, "--connections", connections, "--streams", streams, "--requests", REQUESTS
                )
            if protocol.version == 1:
                bench.load.run(server, "--connections", 8, "--new-connections", "yes", "--requests", SOME)
            server.stop()
        origin.stop()


def sizes(bench):
    """A POST of JSON, larger answers."""
    for *_, size in scale.SIZES:
        if size:
            bench.setup.large_file(size)
    recordings, port = scale.recorded_sizes(bench)
    origin = bench.origin()
    for server in (orderly(bench.setup.ouli_record(origin)), bench.setup.ouli_replay(port, recordings)):
        for _, point, _, size in scale.SIZES:
            bench.load.own(
                "run", *bench.load.to(server), *scale.size_args(bench, point), "--connections", 16,
                "--requests", FEW if size else SOME, body=scale.size_body(bench, point),
            )
        server.stop()
    origin.stop()


def library(bench):
    """Many recordings: from memory, and from an index."""
    recordings, port = bench.recorded(SOME, size=1024)
    indexed = bench.setup.kept("indexed.toml", b'[limits]\nindex_over = "0B"\n')
    for options in ((), ("--config", indexed)):
        server = bench.setup.ouli_serve("replay", port, recordings, *options)
        for _ in range(5):
            bench.ask_items(server, SOME, SOME, size=1024)
        server.stop()


def sessions(bench):
    """Several sessions, told apart by a field."""
    origin = bench.origin()
    recordings = scale.recorded_sessions(bench, origin, 20)
    server = bench.setup.ouli_serve("replay", origin.port, recordings)
    bench.ask_items(server, scale.SESSION_PATHS, SOME, sessions=20, order="mixed")
    server.stop()
    origin.stop()


def events(bench):
    """Server-sent events."""
    body = bench.setup.events_file(100)
    origin = bench.setup.origin_streaming()
    recordings = bench.setup.folder("recorded")
    for mode in ("record", "replay"):
        server = bench.setup.ouli_serve(mode, origin.port, recordings)
        bench.load.own(
            "run", *bench.load.to(server), *EVENTS, "--connections", 16, "--requests", FEW, body=body
        )
        server.stop()
    origin.stop()


def conversations(bench):
    """WebSocket."""
    port, recordings = recorded(bench)
    origin = bench.setup.origin_echo()
    recorder = orderly(bench.setup.ouli_record(origin))
    echo(bench, recorder, "--connections", 64, "--messages", 200)
    recorder.stop()
    origin.stop()
    replay = bench.setup.ouli_serve("replay", port, recordings)
    again = "--messages", SCRIPT, "--again", "yes", "--seconds", 1
    echo(bench, replay, "--connections", 16, *again)
    replay.stop()


def orderly(server):
    """Ends with a signal that lets it write what it has to, where the cases would have it killed."""
    server.how_to_stop, server.exit_code = signal.SIGTERM, 0
    return server
