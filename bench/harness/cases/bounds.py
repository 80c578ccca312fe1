"""Bounds at full size: memory whatever the body, the stream or the peer, and when paced pieces come."""

import contextlib
import json
import socket
import statistics
import threading
import time

from ..figures import Column, Result, Target
from ..process import BenchError
from .memory import GIB, KIB, MIB, Peak

ANSWER_BYTES = UPLOAD_BYTES = GIB

# Peers that are slow at the same time, and for how long.
SLOW_COUNT, SLOW_SECONDS = 500, 10
# A slow reader's answer: more than it will take and all buffers hold.
SLOW_BYTES, SLOW_RATE = 8 * MIB, KIB
# A trickling origin: a byte each 100 ms.
TRICKLE_COUNT, TRICKLE_MICROS = 10 * SLOW_SECONDS, 100_000

# A stream whose pieces come at times that are no whole milliseconds.
PACED_COUNT, PACED_MICROS = 1500, 7300


def bounds(bench):
    """Peak memory with bodies of gigabytes and with 500 slow peers at once."""
    keeping = bench.setup.folder("config") / "ouli.toml"
    keeping.write_text('[limits]\nmax_kept_body = "5GiB"\n')
    with streaming(bench, "bounds") as origin:
        if origin:
            yield large(bench, origin, keeping)
            yield slow(bench, origin)


def pace(bench):
    """How late the pieces of a stream leave under `--pace recorded`."""
    with streaming(bench, "pace") as origin:
        if origin:
            yield paced(bench, origin)


@contextlib.contextmanager
def streaming(bench, name):
    """The origin while it is needed; none if there is no Ouli to ask it."""
    if not bench.setup.ouli:
        bench.say(f"{name}: Ouli is missing: {bench.ouli_missing()}")
        yield None
        return
    origin = bench.setup.origin_streaming()
    try:
        yield origin
    finally:
        origin.stop()


def large(bench, origin, keeping):
    answer = lambda path: lambda server: read(bench, server, f"/{path}/{ANSWER_BYTES}", ANSWER_BYTES)
    upload = lambda chunked: lambda server: bench.load.own(
        "upload", "--addr", server.addr, "--bytes", UPLOAD_BYTES, "--chunked", chunked
    )
    samples = {}
    for name, drive in (
        ("1 GiB answer, by length", answer("bytes")), ("1 GiB answer, in chunks", answer("chunked")),
        ("1 GiB upload, by length", upload("false")), ("1 GiB upload, in chunks", upload("true")),
    ):
        samples |= on_both_roads(bench, origin, name, drive, "--config", keeping)
    columns = [
        Column("grown_mib", "MiB grown"), Column("peak_mib", "peak MiB"),
        Column("rate", "MiB/s", "{:.0f}"), Column("cpu_us", "CPU µs per MiB", "{:.0f}"),
        Column("end_s", "s to end", "{:.2f}"), Column("end_mib", "peak MiB meanwhile"),
    ]
    targets = [Target("…", "grown_mib", "below", 4, "MiB")]
    return Result(
        "bounds-large", "Memory while a large body passes", columns, "", samples, targets=targets, rounds_min=1
    )


def slow(bench, origin):
    readers = lambda count: lambda server: read(
        bench, server, f"/bytes/{SLOW_BYTES}", SLOW_BYTES, "--rate", SLOW_RATE, "--piece", SLOW_RATE,
        "--seconds", SLOW_SECONDS, "--connections", count,
    )
    trickle = lambda count: lambda server: read(
        bench, server, f"/trickle/{TRICKLE_COUNT}/{TRICKLE_MICROS}", TRICKLE_COUNT,
        "--connections", count,
    )
    samples = {}
    for count in (1, SLOW_COUNT):
        each = "" if count == 1 else f", {count} at once"
        samples |= on_both_roads(bench, origin, f"reader of 1 KiB/s{each}", readers(count))
        pace = "--pace", "recorded"
        samples |= on_both_roads(bench, origin, f"a byte each 100 ms{each}", trickle(count), replay=pace)
    columns = [
        Column("grown_mib", "MiB grown", "{:.2f}"), Column("peak_mib", "peak MiB"),
        Column("end_s", "s to end", "{:.2f}"), Column("end_mib", "peak MiB meanwhile"),
    ]
    return Result("bounds-slow", "Memory with slow peers", columns, "", samples, rounds_min=1)


def on_both_roads(bench, origin, name, drive, *options, replay=()):
    """Records what `drive` asks for, and replays it; each server's figures by its name."""
    recordings, samples = bench.setup.folder("recorded"), {}
    for mode, more in (("record", ()), ("replay", replay)):
        server = bench.setup.ouli_serve(mode, origin.port, recordings, *options, *more)
        sample = grown(server, lambda: drive(server))
        started = time.monotonic()
        with Peak(server.process) as peak:
            server.stop()
        sample |= {"end_s": time.monotonic() - started, "end_mib": peak.bytes / MIB}
        bench.say(f"{name}, {mode}: {sample}")
        samples[f"{name}, {mode}"] = [sample]
    bench.setup.remove(recordings)
    return samples


def grown(server, drive):
    """Peak growth of memory while `drive` lasts, and what the bytes cost."""
    before, cpu = server.process.anonymous_bytes(), server.process.cpu_seconds()[0]
    with Peak(server.process) as peak:
        taken = drive()
    mib = taken["bytes"] / MIB
    return {
        "grown_mib": max(0, peak.bytes - before) / MIB,
        "peak_mib": peak.bytes / MIB,
        "rate": mib / taken["seconds"],
        "cpu_us": (server.process.cpu_seconds()[0] - cpu) * 1e6 / mib,
    }


def read(bench, server, path, size, *options):
    return bench.load.own(
        "stream", "--addr", server.addr, "--path", path, "--bytes", size, *options
    )


def paced(bench, origin):
    """How late each piece of a replayed stream comes, by the times in its cassette."""
    recordings = bench.setup.folder("recorded")
    path = f"/trickle/{PACED_COUNT}/{PACED_MICROS}"
    server = bench.setup.ouli_serve("record", origin.port, recordings)
    arrivals(server, path)
    server.stop()
    due = recorded_times(recordings / "default.json")
    server = bench.setup.ouli_serve("replay", origin.port, recordings, "--pace", "recorded")
    try:
        samples = {}
        for count in (1, 50):
            bench.say(f"pace: {count} at once")
            samples[f"{count} at once"] = [lateness(server, path, due, count)]
    finally:
        server.stop()
    columns = [
        Column("p50_ms", "p50 ms", "{:.2f}"), Column("p99_ms", "p99 ms", "{:.2f}"),
        Column("max_ms", "max ms", "{:.2f}"),
    ]
    title = f"Lateness of {PACED_COUNT} pieces under `--pace recorded`, one each {PACED_MICROS / 1000} ms"
    targets = [Target("…", "max_ms", "at most", 2, "ms")]
    return Result("pace", title, columns, "", samples, targets=targets, rounds_min=1)


def recorded_times(cassette):
    stream = json.loads(cassette.read_text())["exchanges"][0]["response"]["body"]["stream"]
    return [piece["at_ms"] / 1000 for piece in stream]


def lateness(server, path, due, count):
    """Of the pieces that one client sees, while all others ask for the same."""
    others = [threading.Thread(target=drain, args=(server, path)) for _ in range(count - 1)]
    for other in others:
        other.start()
    came = arrivals(server, path)
    for other in others:
        other.join()
    if len(came) != len(due):
        raise BenchError(f"{len(came)} pieces came, of {len(due)}")
    late = sorted((at - when) * 1000 for at, when in zip(came, due))
    return {
        "p50_ms": statistics.median(late), "p99_ms": late[len(late) * 99 // 100], "max_ms": late[-1],
    }


def ask(server, path):
    host, port = server.addr.rsplit(":", 1)
    client = socket.create_connection((host, int(port)))
    client.sendall(f"GET {path} HTTP/1.1\r\nhost: {server.addr}\r\n\r\n".encode())
    return client


# `1 CR LF byte CR LF`: a piece of one byte in its chunk.
PIECE_BYTES = 6
LAST_CHUNK = b"0\r\n\r\n"


def arrivals(server, path):
    """When each piece came, in seconds from its request."""
    with ask(server, path) as client:
        started, seen, came, in_head = time.monotonic(), b"", [], True
        while seen != LAST_CHUNK:
            read = client.recv(65536)
            at = time.monotonic() - started
            if not read:
                raise BenchError("a paced stream was cut")
            seen += read
            if in_head:
                _, end, body = seen.partition(b"\r\n\r\n")
                if not end:
                    continue
                seen, in_head = body, False
            count = len(seen) // PIECE_BYTES
            came += [at] * count
            seen = seen[count * PIECE_BYTES:]
        return came


def drain(server, path):
    with ask(server, path) as client:
        last = b""
        while last != LAST_CHUNK:
            last = (last + client.recv(65536))[-5:]
