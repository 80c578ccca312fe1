"""CPU per request, rate and latency of small answers: replay, record, new connections."""

import statistics
from dataclasses import replace

from ..bench import CPU, FOREIGN, NGINX, NGINX_PROXY, P50, P99, RATE
from ..figures import Column, Target, ratio_target
from ..preload import ACCEPTED, AcceptTimes, compiled, preloaded
from ..process import BenchError

COLUMNS = [CPU, RATE, P50, P99, FOREIGN]

# Times nginx's CPU: what must be, and what is to be next.
REPLAY = 1.0, 0.85
RECORD = 1.2, 1.0


def noise(bench):
    """nginx against itself: how far apart two equal servers come out on this machine, now."""
    again = bench.nginx_fixed()
    again.name = "nginx, the same again"
    yield bench.compare(
        "noise", "The measurement's own noise: nginx against itself",
        [bench.nginx_fixed(), again], COLUMNS, NGINX, bench.closed_loop(),
    )


def replay(bench):
    """Replay of a recorded 256-byte JSON answer against nginx's `return 200` of the same body, and others."""
    others = [bench.floor(), bench.mitmproxy_replay(), bench.wiremock()]
    yield bench.compare(
        "replay", "Replay of a 256-byte JSON answer, 64 keep-alive connections",
        [*bench.fixed_and_replay(), *others], COLUMNS, NGINX, bench.closed_loop(),
        [ratio_target("Ouli replay", "cpu_us", bound) for bound in REPLAY],
        [
            "the bare epoll loop looks at nothing but where a request ends: what it costs is the kernel's, and the"
            " least there is",
        ],
    )


def record(bench):
    """Recording in front of a fast origin against proxies that only forward to it, and mitmproxy."""
    check_that_all_is_kept(bench)
    origin = bench.origin()
    contenders = [
        bench.nginx_proxy(origin), bench.ouli_record(origin), bench.haproxy(origin),
        bench.hyper_forward(origin), bench.mitmproxy_record(origin),
    ]
    try:
        yield bench.compare(
            "record", "Record of a 256-byte JSON answer, 64 keep-alive connections",
            contenders, COLUMNS, NGINX_PROXY, bench.closed_loop(),
            [ratio_target("Ouli record", "cpu_us", bound) for bound in RECORD],
            ["the origin is nginx `return 200` on the load's CPU"],
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
    """A new connection for every request: CPU and rate under load; the time to the first byte without load."""

    def measure(server):
        new_connections(bench, server, 64, 0.2)
        drive = lambda: new_connections(bench, server, 64, bench.seconds)
        sample = bench.cpu_per_request(server, drive)
        alone = new_connections(bench, server, 1, bench.seconds / 2)
        return sample | {"alone_p50_us": alone["p50_us"], "alone_p99_us": alone["p99_us"]}

    yield bench.compare(
        "connections", "A new connection per request", bench.fixed_and_replay(),
        [
            Column("cpu_us", "CPU µs per connection", "{:.1f}", ratio=True),
            Column("rate", "connections/s, 64 at once", "{:,.0f}"),
            Column("alone_p50_us", "connect to answer p50 µs, one at a time", "{:.0f}"),
            Column("alone_p99_us", "p99 µs", "{:.0f}"),
            FOREIGN,
        ],
        NGINX, measure,
        [
            ratio_target("Ouli replay", "rate", 0.9, relation="at least"),
        ],
        [
            "the client closes each connection once it has the answer",
            "connect to answer is what the client sees, with the kernel's handshake and both wake-ups",
        ],
    )
    yield first_byte(bench)


def new_connections(bench, server, concurrency, seconds):
    """So many at once, each for one request."""
    return bench.load.run(
        server, "--connections", concurrency, "--new-connections", "yes", "--seconds", seconds
    )


def first_byte(bench):
    """The server's share of what the client sees: from accepting a connection to sending on it."""
    times = AcceptTimes(bench.setup.folder("accepted") / "times")
    library = compiled(ACCEPTED, times.path.parent)

    def noting(contender):
        def start():
            times.clear()
            with preloaded(library, ACCEPTED=str(times.path)):
                return contender.start()

        return replace(contender, start=start)

    def measure(server):
        new_connections(bench, server, 1, 0.2)
        before = times.count()
        meter = bench.meter(server)
        meter.start()
        load = new_connections(bench, server, 1, bench.seconds / 2)
        meter.stop()
        took = times.since(before)
        if len(took) != load["requests"]:
            raise BenchError(f"{load['requests']} answers on {len(took)} accepted connections")
        quantiles = statistics.quantiles(took, n=100)
        return {"p50_us": quantiles[49], "p99_us": quantiles[98], "foreign": meter.foreign}

    return bench.compare(
        "connections-first", "From accepting a connection to the first byte of its answer, one at a time",
        [noting(contender) for contender in bench.fixed_and_replay()],
        [Column("p50_us", "p50 µs", "{:.1f}", ratio=True), Column("p99_us", "p99 µs", "{:.1f}"), FOREIGN],
        NGINX, measure, [Target("Ouli replay", "p50_us", "below", 100, "µs")],
        [
            "as the server's own process sees it: from the return of `accept4` to the first call that sends, which"
            " a preloaded library notes; the request comes in between",
        ],
    )
