"""What a request costs as something grows: connections, bodies, recordings, sessions."""

import shutil

from ..bench import CPU, FOREIGN, P50, P99, RATE
from ..figures import Column, Target, ratio_target
from ..protocol import H2C, HTTP1, HTTP1_TLS, SAME_CERTIFICATE
from ..servers import Contender
from .startup import MILLION, ask_once

KIB, MIB = 1 << 10, 1 << 20

CONNECTIONS = (64, 512, 4096)

# Requests per second over 4,096 connections, on either road: less than any of the servers can do.
REPLAY_RATE, RECORD_RATE = 20_000, 10_000


def concurrency(bench):
    """64, 512 and 4,096 connections that all ask, through replay and record: flat out, and at a fixed rate."""
    recordings, port = bench.recorded()
    replay = [bench.nginx_fixed(), bench.ouli_replay(recordings, port)]
    yield concurrency_on(bench, "replay", replay, REPLAY_RATE)
    origin = bench.origin()
    try:
        record = [bench.nginx_proxy(origin), bench.ouli_record(origin)]
        yield concurrency_on(bench, "record", record, RECORD_RATE)
    finally:
        origin.stop()


def concurrency_on(bench, road, contenders, rate):
    flat_out = bench.closed_loop()

    def measure(server):
        sample = flat_out(server)
        paced = bench.load.run(
            server, "--connections", server.point, "--rate", rate, "--seconds", bench.seconds
        )
        return sample | {"paced_p50_us": paced["p50_us"], "paced_p99_us": paced["p99_us"]}

    measure.load = flat_out.load
    rows, against = rows_at(contenders, [(count, f"{count:,}") for count in CONNECTIONS])
    most = f"Ouli {road}, {CONNECTIONS[-1]:,}"
    return bench.compare(
        f"concurrency-{road}", f"{road.capitalize()} by number of connections, all active", rows,
        [
            CPU, RATE,
            Column("p50_us", "flat out: p50 µs", "{:,.0f}"), Column("p99_us", "flat out: p99 µs", "{:,.0f}"),
            Column("paced_p50_us", f"at {rate:,}/s: p50 µs", "{:,.0f}"),
            Column("paced_p99_us", f"at {rate:,}/s: p99 µs", "{:,.0f}"), FOREIGN,
        ],
        "nginx of as many", measure,
        [
            ratio_target(most, "p50_us", 1.5), ratio_target(most, "p99_us", 1.5),
            *(target for key, bound in (("paced_p50_us", 1000), ("paced_p99_us", 10_000))
              for target in (ratio_target(most, key, 1.5), Target(most, key, "below", bound, "µs"))),
        ],
        [
            "flat out: each connection asks again at once, so latency is their number divided by the rate",
            "at a fixed rate a latency counts from when its request was due; the bench's own generator asks",
        ],
        against,
    )


# What is asked for: a name, the number on the plot's axis, the load's arguments, the answer's size.
SIZES = (
    ("GET, 256 B", 256, ("--path", "/"), 0),
    ("POST of 1 KiB", KIB, ("--path", "/"), 0),
    ("GET, 64 KiB", 64 * KIB, ("--path", f"/file/{64 * KIB}"), 64 * KIB),
    ("GET, 1 MiB", MIB, ("--path", f"/file/{MIB}"), MIB),
)


def sizes(bench):
    """A GET of 256 B, a POST of 1 KiB of JSON, answers of 64 KiB and 1 MiB, through replay and record."""
    yield from sizes_over(bench, "sizes", HTTP1)


def sizes_tls(bench):
    """As `sizes`, from clients with TLS over HTTP/1.1."""
    yield from sizes_over(bench, "sizes_tls", HTTP1_TLS)


def sizes_h2c(bench):
    """As `sizes`, over HTTP/2 without TLS, 8 connections of 8 streams."""
    yield from sizes_over(bench, "sizes_h2c", H2C)


def sizes_over(bench, key, protocol):
    for *_, size in SIZES:
        if size:
            bench.setup.large_file(size)
    recordings, port = recorded_sizes(bench)
    replay = [bench.nginx_fixed(protocol), bench.ouli_replay(recordings, port, protocol)]
    replay[0].name = "nginx"
    # A file that the kernel sends is no peer of an answer that is compared and built.
    small = [ratio_target(f"Ouli replay, {name}", "cpu_us", 1.0) for name, *_, size in SIZES if not size]
    yield sizes_on(bench, key, "replay", protocol, replay, small, [
        "nginx: `return 200` for answers of 256 B, which reads a request's body and throws it away; a"
        " file by `sendfile` from its open-file cache for the larger ones",
        "Ouli compares the POST's JSON by its value",
    ])
    # From an origin of the client's version; nginx's `proxy_pass` speaks only HTTP/1.1 to it.
    origin = bench.origin(H2C if protocol.version == 2 else HTTP1)
    try:
        if protocol.version == 2:
            peer, targets, notes = bench.haproxy(origin), [], []
        else:
            peer, targets = bench.nginx_proxy(origin, protocol), [ratio_target("Ouli record…", "cpu_us", 1.2)]
            notes = ["nginx `proxy_pass` may hold a MiB of an answer in memory and writes none to a file"]
        record = [peer, bench.ouli_record(origin, protocol)]
        yield sizes_on(bench, key, "record", protocol, record, targets, [
            "the origin is nginx on the load's CPU, without TLS, with `return 200` and files by `sendfile`",
            *notes, "others include the kernel's own work of writing to the disk what Ouli keeps",
        ])
    finally:
        origin.stop()


def sizes_on(bench, key, road, protocol, contenders, targets, notes):
    over = f", {protocol.name}" if protocol != HTTP1 else ""
    layout, words = (64, 1), "64 keep-alive connections"
    if protocol.version == 2:
        layout, words = (8, 8), "8 connections of 8 streams"

    def measure(server):
        args = size_args(bench, server.point)
        return bench.checked_loop(*args, body=size_body(bench, server.point), layout=layout)(server)

    rows, against = rows_at(contenders, [(point, name) for name, point, *_ in SIZES])
    return bench.compare(
        f"{key}-{road}", f"{road.capitalize()} by size of the body{over}, {words}", rows,
        [CPU, RATE, P50, P99, FOREIGN], f"{contenders[0].name.split()[0]} of that size", measure, targets,
        ["every byte of every answer is compared", *[SAME_CERTIFICATE] * protocol.tls, *notes], against,
    )


def size_args(bench, point):
    args = next(args for _, at, args, _ in SIZES if at == point)
    return (*args, "--send", bench.setup.question_file()) if point == KIB else args


def size_body(bench, point):
    size = next(size for _, at, _, size in SIZES if at == point)
    return bench.setup.large_file(size) if size else bench.setup.body_file()


def recorded_sizes(bench):
    folder = bench.setup.folder("recorded")
    if not bench.setup.ouli:
        return folder, 0
    origin = bench.origin()
    server = bench.setup.ouli_serve("record", origin.port, folder)
    try:
        for _, point, *_ in SIZES:
            bench.load.own(
                "run", *bench.load.to(server), *size_args(bench, point), "--connections", 1, "--requests", 1,
                body=size_body(bench, point),
            )
    finally:
        server.stop()
        origin.stop()
    return folder, origin.port


def rows_at(contenders, points):
    """Each contender at each point, and which row each is compared to: the first contender's there."""
    rows = [c.at(point, words) for point, words in points for c in contenders]
    against = {f"{c.name}, {words}": f"{contenders[0].name}, {words}" for c in contenders for _, words in points}
    return rows, against


def library(bench):
    """Replay cost with 10, 10,000 and 1,000,000 recorded exchanges of 1 KiB, each asked for in turn."""
    if not bench.setup.ouli:
        bench.say(f"library: Ouli is missing: {bench.ouli_missing()}")
        return
    counts = [10, 10_000] + [MILLION] * bench.million

    def contender(items):
        recordings, port = bench.library(items)
        start = lambda: bench.setup.ouli_serve("replay", port, recordings, seconds=300)
        return Contender(f"{items:,} exchanges", start, "", line="Ouli replay", point=items)

    def measure(server):
        # An index may be built first, for longer than the load would wait. Then every recording is asked for once.
        ask_once(server.port)
        bench.ask_items(server, server.point, server.point, size=KIB)
        ask = lambda: bench.load.own(
            "run", "--addr", server.addr, "--paths", server.point, "--order", "mixed",
            "--connections", 64, "--seconds", bench.seconds, body=bench.setup.item_body_file(KIB),
        )
        sample = bench.cpu_per_request(server, ask)
        return sample | {"anon_mib": server.process.anonymous_bytes() / MIB}

    base = f"{counts[0]:,} exchanges"
    yield bench.compare(
        "library", "Replay by number of recorded exchanges of 1 KiB, 64 keep-alive connections",
        [contender(items) for items in counts],
        [CPU, RATE, P50, P99, Column("anon_mib", "anonymous MiB after", "{:,.1f}"), FOREIGN], base, measure,
        [
            ratio_target("10,000 exchanges", "cpu_us", 1.1, "× the cost of ten"),
            ratio_target("1,000,000 exchanges", "cpu_us", 1.5, "× the cost of ten"),
            Target("1,000,000 exchanges", "anon_mib", "below", 300, "MiB"),
        ],
        ["each exchange is asked for once before, and its answer holds its own path"]
        + [bench.without_million] * (not bench.million),
    )


SESSION_COUNTS, SESSION_PATHS = (1, 1000), 10


def sessions(bench):
    """1 and 1,000 sessions of ten exchanges, asked for in turn, through replay and record."""
    setup = bench.setup
    if not setup.ouli:
        bench.say(f"sessions: Ouli is missing: {bench.ouli_missing()}")
        return
    origin = bench.origin()
    made = {count: recorded_sessions(bench, origin, count) for count in SESSION_COUNTS}
    replayed = lambda count: lambda: setup.ouli_serve("replay", origin.port, made[count])
    recorded = lambda count: lambda: setup.ouli_record(origin)
    try:
        for road, start in (("replay", replayed), ("record", recorded)):
            names = {count: f"{count:,} session{'s' * (count > 1)}" for count in SESSION_COUNTS}
            contenders = [Contender(names[count], start(count), "", point=count) for count in SESSION_COUNTS]
            yield bench.compare(
                f"sessions-{road}", f"{road.capitalize()} by number of sessions, 64 keep-alive connections",
                contenders, [CPU, RATE, P50, P99, FOREIGN], names[1], lambda server: in_sessions(bench, server),
                notes=[f"each request names its session in a field; {SESSION_PATHS} exchanges in each, asked for in turn"],
            )
    finally:
        origin.stop()
        for folder in made.values():
            shutil.rmtree(folder, ignore_errors=True)


def in_sessions(bench, server):
    count = server.point
    options = {"sessions": count, "order": "mixed"}
    bench.ask_items(server, SESSION_PATHS, SESSION_PATHS * count, **options)
    body = bench.setup.item_body_file()
    return bench.cpu_per_request(server, lambda: bench.load.own(
        "run", *bench.load.to(server), "--paths", SESSION_PATHS, "--sessions", count, "--order", "mixed",
        "--connections", 64, "--seconds", bench.seconds, body=body,
    ))


def recorded_sessions(bench, origin, count):
    folder = bench.setup.folder("recorded")
    server = bench.setup.ouli_serve("record", origin.port, folder)
    try:
        bench.ask_items(server, SESSION_PATHS, SESSION_PATHS * count, sessions=count)
    finally:
        server.stop()
    return folder
