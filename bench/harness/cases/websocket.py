"""WebSocket: CPU per message, many conversations at once, memory of silent ones."""

import json
import subprocess

from ..bench import CPU, FOREIGN, NGINX_PROXY as NGINX
from ..bench import OULI_LOGS, missing
from ..figures import Column, Target, ratio_target
from ..process import Process
from ..servers import Contender
from .memory import ALLOCATOR_COLUMNS, SETTLE_SECONDS, held_kib, hold, is_ouli, release

COLUMNS = [
    Column(CPU.key, "CPU µs per message", "{:.2f}", ratio=True),
    Column("rate", "messages/s", "{:,.0f}"),
    Column("p50_us", "echo p50 µs", "{:,.0f}"),
    Column("p99_us", "p99 µs", "{:,.0f}"),
    FOREIGN,
]

# Of a recorded conversation that is replayed again and again: its begin and end cost little then.
SCRIPT = 1000

MEANING = [
    "an echo is two messages of 256 bytes, one each way; each is another one, and compared when it is back",
    "the origin is one of the bench's own on the load's CPU, without any compression",
]


EVERY_MESSAGE = "every message comes back: one that doesn't ends the run"


def websocket(bench):
    """Relaying and recording WebSocket messages of 256 bytes, with the tape's writes and without; replaying them."""
    check_that_all_is_kept(bench)
    setup = bench.setup
    origin = setup.origin_echo()
    untaped = Contender(
        "Ouli record, no write to the tape", lambda: setup.ouli_untaped(origin), OULI_LOGS,
        bench.ouli_missing(),
    )
    contenders = [nginx(bench, origin), bench.ouli_record(origin), untaped]
    try:
        yield bench.compare(
            "websocket-record", "Record of 256-byte WebSocket messages, 64 conversations",
            contenders, COLUMNS, NGINX, echoing(bench, 64),
            [ratio_target("Ouli record", "cpu_us", 1.2), ratio_target(untaped.name, "cpu_us", 1.0)],
            notes=[*MEANING, "without its writes, the tape's frames are still made and checksummed"],
        )
    finally:
        origin.stop()
    yield from replay(bench)


def replay(bench):
    port, recordings = recorded(bench)
    echo = Contender("an echo, the bench's origin", lambda: setup_echo(bench))
    yield bench.compare(
        "websocket-replay", f"Replay of 256-byte WebSocket messages, 64 conversations of {SCRIPT:,} echoes",
        [echo, bench.ouli_replay(recordings, port)], COLUMNS, echo.name,
        echoing(bench, 64, "--messages", SCRIPT, "--again", "yes"),
        notes=[*MEANING[:1], "one conversation is recorded, and each client says the same again"],
    )


def setup_echo(bench):
    return bench.setup.origin_echo(bench.setup.server_cpus)


def websocket_many(bench):
    """2,000 WebSocket conversations at once, every message echoed, through record and replay."""
    count = 2000
    port, recordings = recorded(bench)
    origin = bench.setup.origin_echo()
    again = "--messages", SCRIPT, "--again", "yes"
    try:
        yield bench.compare(
            "websocket_many-record", f"Record of 256-byte WebSocket messages, {count:,} conversations at once",
            [nginx(bench, origin), bench.ouli_record(origin)], COLUMNS, NGINX, echoing(bench, count),
            notes=[*MEANING, EVERY_MESSAGE],
        )
        yield bench.compare(
            "websocket_many-replay", f"Replay of 256-byte WebSocket messages, {count:,} conversations at once",
            [bench.ouli_replay(recordings, port)], COLUMNS, "", echoing(bench, count, *again),
            notes=[*MEANING[:1], EVERY_MESSAGE],
        )
    finally:
        origin.stop()


def websocket_idle(bench):
    """Anonymous memory per silent WebSocket conversation, its two connections together, 4,096 of them."""
    count = 4096
    origin = bench.setup.origin_echo()

    def measure(server):
        echo(bench, server, "--connections", 64, "--messages", 10)
        hold_all = lambda: hold(bench, server, count, "websocket-idle")
        return held_kib(server, count, hold_all, ask_allocator=is_ouli(bench, server))

    measure.load = ""
    try:
        yield bench.compare(
            "websocket_idle", f"Memory of a silent WebSocket conversation that is recorded, {count:,} held",
            [nginx(bench, origin), bench.ouli_record(origin)],
            [
                Column("one_kib", "KiB each, opened one by one", "{:.2f}", ratio=True),
                Column("all_kib", "KiB each, after all spoke at once", "{:.2f}"),
                Column("before_mib", "MiB before", "{:.1f}"),
                *ALLOCATOR_COLUMNS,
            ],
            NGINX, measure, [Target("Ouli record", "one_kib", "at most", 12, "KiB, both sides together")],
            [
                "growth of anonymous memory over what the server had after 64 conversations,"
                f" {SETTLE_SECONDS} s after the last echo; the kernel's part of the connections isn't in it",
                "each conversation echoes once more at the end, which proves that it was held",
            ],
            at_once=True,
        )
    finally:
        origin.stop()


def nginx(bench, origin):
    start = lambda: bench.setup.nginx_websocket(origin)
    return Contender(NGINX, start, "none", missing("nginx"))


def echo(bench, server, *args):
    return bench.load.own("websocket", "--addr", server.addr, *args)


def echoing(bench, count, *args):
    """A measurement of what a message costs: an echo is two."""

    def measure(server):
        echo(bench, server, "--connections", min(count, 64), "--requests", 2000, *args)
        limits = "--connections", count, "--seconds", bench.seconds
        talk = begin(bench, server, *limits, *args)
        sample = bench.cpu_per_request(server, lambda: go(bench, talk))
        release(talk)
        return sample | {"cpu_us": sample["cpu_us"] / 2, "rate": sample["rate"] * 2}

    return measure


def begin(bench, server, *args):
    """Conversations that are open and wait for `go`; `release` closes them."""
    argv = [bench.load.program, "websocket", "--addr", server.addr, "--pauses", "yes", *args]
    log = server.scratch / "websocket.stderr"
    talk = Process(argv, bench.setup.load_cpus, log, stdin=subprocess.PIPE)
    talk.read_line(60)
    return talk


def go(bench, talk):
    talk.child.stdin.write(b"\n")
    talk.child.stdin.flush()
    return json.loads(talk.read_line(bench.seconds + 60))


def record_once(bench, *args):
    """Has conversations recorded; returns the port of their origin, which is gone again, and the folder."""
    setup = bench.setup
    recordings = setup.folder("recorded")
    origin = setup.origin_echo()
    server = setup.ouli_serve("record", origin.port, recordings)
    try:
        echo(bench, server, *args)
    finally:
        server.stop()
        origin.stop()
    return origin.port, recordings


def recorded(bench):
    """One conversation, to be replayed."""
    if not bench.setup.ouli:
        return 0, None
    return record_once(bench, "--connections", 1, "--messages", SCRIPT)


def check_that_all_is_kept(bench, count=64, messages=50):
    """Each conversation must get its own messages back from the recording of all."""
    if not bench.setup.ouli:
        return
    args = "--connections", count, "--messages", messages
    port, recordings = record_once(bench, *args)
    server = bench.setup.ouli_serve("replay", port, recordings, "--strict")
    echo(bench, server, *args)
    # Exits with 3 if a conversation missed or a recording was left over.
    server.stop()
    bench.say(f"recorded {count} different conversations under load; all replay")
