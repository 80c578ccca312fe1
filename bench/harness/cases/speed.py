"""CPU per request, rate and latency: replay, record, new and many connections, many recordings."""

from ..bench import CPU, FOREIGN, P50, P99, RATE
from ..figures import Column
from ..servers import Contender, find


def noise(bench):
    """nginx against itself: how far apart two equal servers come out on this machine, now."""
    again = bench.nginx_fixed()
    again.name = "nginx, the same again"
    yield bench.compare(
        "The measurement's own noise: nginx against itself",
        [bench.nginx_fixed(), again], [CPU, RATE, P50, P99, FOREIGN], "nginx `return 200`",
        bench.closed_loop(),
    )


def replay(bench):
    """Replay of a recorded 256-byte JSON answer against nginx's `return 200` of the same body."""
    contenders = bench.fixed_and_replay()
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
    contenders = bench.fixed_and_replay()

    def new(server, concurrency, seconds):
        return bench.load.run(
            server, "--connections", concurrency, "--new-connections", "yes", "--seconds", seconds
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
        paced = bench.load.run(
            server, "--connections", 4096, "--rate", rate, "--seconds", bench.seconds
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
