"""CPU per request over HTTP/2 and TLS, and per TLS handshake: what the cases of `speed` are for plain HTTP/1.1."""

from ..bench import CPU, FOREIGN, MEAN, NGINX, NGINX_PROXY, P50, P99, RATE
from ..figures import Column, ratio_target
from ..protocol import H2_TLS, H2C, HTTP1_TLS, SAME_CERTIFICATE

# Of HTTP/2: as many requests open at once as 256 connections of HTTP/1.1 have.
CONNECTIONS, STREAMS = 8, 32
LAYOUT = f"{CONNECTIONS} connections of {STREAMS} streams"


def h2c(bench):
    """Replay over HTTP/2 without TLS (prior knowledge), 8 connections of 32 streams."""
    yield replay_on(bench, "h2c", H2C, 0.75)


def h2tls(bench):
    """Replay over HTTP/2 with TLS, 8 connections of 32 streams."""
    yield replay_on(bench, "h2tls", H2_TLS, 1.0)


def tls(bench):
    """Replay over HTTP/1.1 with TLS, 64 keep-alive connections."""
    yield replay_on(bench, "tls", HTTP1_TLS, 1.0)


def replay_on(bench, key, protocol, target):
    words, columns, measure = driven(bench, protocol)
    return bench.compare(
        key, f"Replay of a 256-byte JSON answer, {protocol.name}, {words}",
        bench.fixed_and_replay(protocol), columns, NGINX, measure,
        [ratio_target("Ouli replay", "cpu_us", target)], [SAME_CERTIFICATE] * protocol.tls,
    )


def driven(bench, protocol):
    """How a protocol's kept connections are laid out, what is told of them, and the measurement."""
    if protocol.version == 2:
        measure = bench.closed_loop(CONNECTIONS, STREAMS, protocol)
        return LAYOUT, [CPU, RATE, MEAN, FOREIGN], measure
    return "64 keep-alive connections", [CPU, RATE, P50, P99, FOREIGN], bench.closed_loop()


def record_h2c(bench):
    """Recording over HTTP/2 without TLS in front of a fast origin that speaks it too."""
    check_that_all_is_kept(bench)
    origin = bench.origin(H2C)
    words, columns, measure = driven(bench, H2C)
    try:
        yield bench.compare(
            "record_h2c", f"Record of a 256-byte JSON answer, {H2C.name} on both sides, {words}",
            [bench.haproxy(origin), bench.ouli_record(origin), bench.hyper_forward(origin)],
            columns, "HAProxy", measure, notes=[
                "the origin is nginx `return 200` over HTTP/2 on the load's CPU;"
                " nginx itself can't speak HTTP/2 to the origin of a `proxy_pass`",
            ],
        )
    finally:
        origin.stop()


def record_tls(bench):
    """Recording from clients that speak TLS, over HTTP/1.1 and HTTP/2, in front of a fast origin without it."""
    origin = bench.origin()
    try:
        for key, protocol in (("record_tls", HTTP1_TLS), ("record_h2tls", H2_TLS)):
            words, columns, measure = driven(bench, protocol)
            contenders = [
                bench.nginx_proxy(origin, protocol), bench.ouli_record(origin, protocol),
                bench.haproxy(origin, protocol), bench.hyper_forward(origin, protocol),
            ]
            yield bench.compare(
                key, f"Record of a 256-byte JSON answer, {protocol.name} to plain HTTP/1.1, {words}",
                contenders, columns, NGINX_PROXY, measure, [ratio_target("Ouli record", "cpu_us", 1.2)],
                [SAME_CERTIFICATE, "the origin is nginx `return 200` over plain HTTP/1.1 on the load's CPU"],
            )
    finally:
        origin.stop()


def check_that_all_is_kept(bench, items=2000):
    """What was recorded over HTTP/2 must replay over HTTP/2, each by its path."""
    if not bench.setup.ouli:
        return
    setup, recordings = bench.setup, bench.setup.folder("recorded")
    origin = bench.origin(H2C)
    endpoint = setup.ouli_endpoint(origin.port, H2C, H2C)
    try:
        for mode, options in (("record", ()), ("replay", ("--strict",))):
            server = setup.ouli_configured(mode, endpoint, recordings, H2C, options=options)
            bench.ask_items(server, items, items, CONNECTIONS, streams=STREAMS)
            # Replay exits with 3 if a request missed or a recording was left over.
            server.stop()
    finally:
        origin.stop()
    bench.say(f"recorded {items} different exchanges over HTTP/2 under load; all replay")


def handshakes(bench):
    """A new TLS connection for every request, with a full handshake and with a resumed session."""
    yield handshakes_on(bench, "handshakes-full", "a full handshake", "no")
    yield handshakes_on(bench, "handshakes-resumed", "the session resumed where the server can", "yes")


def handshakes_on(bench, key, words, resume):
    def new(server, concurrency, *limits):
        return bench.load.run(
            server, "--connections", concurrency, "--new-connections", "yes", "--resume", resume,
            *limits,
        )

    def measure(server):
        new(server, 64, "--requests", 500)
        unchecked = "--signature", "unchecked"
        sample = bench.cpu_per_request(
            server, lambda: new(server, 64, "--seconds", bench.seconds, *unchecked)
        )
        alone = new(server, 1, "--seconds", bench.seconds / 2, *unchecked)
        sample |= {"alone_p50_us": alone["p50_us"], "alone_p99_us": alone["p99_us"]}
        new(server, 64, "--requests", 500)
        return sample

    return bench.compare(
        key, f"A new TLS connection per request, {words}",
        bench.fixed_and_replay(HTTP1_TLS),
        [
            Column("cpu_us", "CPU µs per connection", "{:.1f}", ratio=True),
            Column("rate", "connections/s, 64 at once", "{:.0f}"),
            Column("resumed", "resumed", "{:.1%}"),
            Column("alone_p50_us", "connect to answer p50 µs, one at a time", "{:.0f}"),
            Column("alone_p99_us", "p99 µs", "{:.0f}"),
            FOREIGN,
        ],
        NGINX, measure, [ratio_target("Ouli replay", "rate", 0.9, relation="at least")],
        [
            SAME_CERTIFICATE,
            "a connection is handshake, request, answer, close_notify, close",
            "the load compares each server's certificate, and checks its signature in passes before and"
            " after: doing so meanwhile would make it slower than the servers",
        ],
    )
