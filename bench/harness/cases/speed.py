"""CPU per request, rate and latency of small answers: replay, record, new connections."""

from ..bench import CPU, FOREIGN, NGINX, NGINX_PROXY, P50, P99, RATE
from ..figures import Column, Target, ratio_target

COLUMNS = [CPU, RATE, P50, P99, FOREIGN]


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
    others = [bench.mitmproxy_replay(), bench.wiremock()]
    yield bench.compare(
        "replay", "Replay of a 256-byte JSON answer, 64 keep-alive connections",
        [*bench.fixed_and_replay(), *others], COLUMNS, NGINX, bench.closed_loop(),
        [ratio_target("Ouli replay", "cpu_us", 1.0)],
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
            [ratio_target("Ouli record", "cpu_us", 1.2)],
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
    """A new connection for every request: CPU and rate under load, connect to first byte without load."""

    def new(server, concurrency, seconds):
        return bench.load.run(
            server, "--connections", concurrency, "--new-connections", "yes", "--seconds", seconds
        )

    def measure(server):
        new(server, 64, 0.2)
        sample = bench.cpu_per_request(server, lambda: new(server, 64, bench.seconds))
        alone = new(server, 1, bench.seconds / 2)
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
            Target("Ouli replay", "alone_p50_us", "below", 100, "µs"),
        ],
        [
            "the client closes each connection once it has the answer",
            "connect to answer is what the client sees: an upper bound of accept to first byte",
        ],
    )
