"""CPU per request over HTTP/2 and TLS, and per TLS handshake: what the cases of `speed` are for plain HTTP/1.1."""

from ..bench import CPU, FOREIGN, MEAN, P50, P99, RATE
from ..figures import Column
from ..protocol import H2_TLS, H2C, HTTP1_TLS
from ..servers import OULI_ENDPOINT, Contender, find

# Of HTTP/2: as many requests open at once as 256 connections of HTTP/1.1 have.
CONNECTIONS, STREAMS = 8, 32
LAYOUT = f"{CONNECTIONS} connections of {STREAMS} streams"

SAME_CERTIFICATE = "all servers hold the same ECDSA P-256 certificate; the client chooses TLS 1.3's suite and group"


def h2c(bench):
    """Replay over HTTP/2 without TLS (prior knowledge), 8 connections of 32 streams."""
    yield http2(bench, H2C, "Ouli at most 0.75 × nginx")


def h2tls(bench):
    """Replay over HTTP/2 with TLS, 8 connections of 32 streams."""
    yield http2(bench, H2_TLS, "Ouli at most 1.0 × nginx", [SAME_CERTIFICATE])


def http2(bench, protocol, target, notes=()):
    return bench.compare(
        f"Replay of a 256-byte JSON answer, {protocol.name}, {LAYOUT}",
        bench.fixed_and_replay(protocol), [CPU, RATE, MEAN, FOREIGN], "nginx `return 200`",
        bench.closed_loop(CONNECTIONS, streams=STREAMS), target=target, notes=notes,
    )


def tls(bench):
    """Replay over HTTP/1.1 with TLS, 64 keep-alive connections."""
    yield bench.compare(
        f"Replay of a 256-byte JSON answer, {HTTP1_TLS.name}, 64 keep-alive connections",
        bench.fixed_and_replay(HTTP1_TLS), [CPU, RATE, P50, P99, FOREIGN], "nginx `return 200`",
        bench.closed_loop(), target="Ouli at most 1.1 × nginx", notes=[SAME_CERTIFICATE],
    )


def record_h2c(bench):
    """Recording over HTTP/2 without TLS in front of a fast origin that speaks it too."""
    setup = bench.setup
    check_that_all_is_kept(bench)
    origin = bench.origin(H2C)
    missing_haproxy = "" if find("haproxy") else "no haproxy"
    contenders = [
        Contender("HAProxy", lambda: setup.haproxy(origin), "no log", missing_haproxy),
        bench.ouli_record(origin),
        Contender("hyper + hyper-util", lambda: setup.hyper_forward(origin), "no log"),
    ]
    try:
        yield bench.compare(
            f"Record of a 256-byte JSON answer, {H2C.name} on both sides, {LAYOUT}",
            contenders, [CPU, RATE, MEAN, FOREIGN], "HAProxy",
            bench.closed_loop(CONNECTIONS, streams=STREAMS),
            notes=[
                "the origin is nginx `return 200` over HTTP/2 on the load's CPU;"
                " nginx itself can't speak HTTP/2 to the origin of a `proxy_pass`",
            ],
        )
    finally:
        origin.stop()


def check_that_all_is_kept(bench, items=2000):
    """What was recorded over HTTP/2 must replay over HTTP/2, each by its path."""
    if not bench.setup.ouli:
        return
    setup, recordings = bench.setup, bench.setup.folder("recorded")
    origin = bench.origin(H2C)
    endpoint = OULI_ENDPOINT.format(source="http", target="h2c", origin=origin.port)
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
    yield handshakes_on(bench, "a full handshake", "no")
    yield handshakes_on(bench, "the session resumed where the server can", "yes")


def handshakes_on(bench, words, resume):
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
        f"A new TLS connection per request, {words}",
        bench.fixed_and_replay(HTTP1_TLS),
        [
            Column("cpu_us", "CPU µs per connection", "{:.1f}", ratio=True),
            Column("rate", "connections/s, 64 at once", "{:.0f}"),
            Column("resumed", "resumed", "{:.1%}"),
            Column("alone_p50_us", "connect to answer p50 µs, one at a time", "{:.0f}"),
            Column("alone_p99_us", "p99 µs", "{:.0f}"),
            FOREIGN,
        ],
        "nginx `return 200`", measure,
        target="handshakes/s at least 0.9 × nginx's: at most 1.11 × its CPU per connection",
        notes=[
            SAME_CERTIFICATE,
            "a connection is handshake, request, answer, close_notify, close",
            "the load compares each server's certificate, and checks its signature in passes before and"
            " after: doing so meanwhile would make it slower than the servers",
        ],
    )
