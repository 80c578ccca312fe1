"""Server-sent events."""

from ..bench import FOREIGN, NGINX_PROXY, P50, P99
from ..figures import Column, ratio_target

EVENTS = 100
# Between an origin's events: they come one by one, as tokens do.
GAP_MICROS = 2000


def events(bench):
    """Server-sent events, 100 chunks an answer, through replay (as fast as it can) and record."""
    body = bench.setup.events_file(EVENTS)
    bench.setup.files().joinpath(f"{EVENTS}.txt").write_bytes(body.read_bytes())
    origin = bench.setup.origin_streaming()
    try:
        path = "--path", f"/events/{EVENTS}/{GAP_MICROS}"
        folder = bench.setup.folder("recorded")
        if bench.setup.ouli:
            server = bench.setup.ouli_serve("record", origin.port, folder)
            try:
                bench.load.own(
                    "run", *bench.load.to(server), *path, "--connections", 1, "--requests", 1, body=body
                )
            finally:
                server.stop()
        columns = [
            Column("cpu_us", "CPU µs per answer", "{:,.1f}", ratio=True), Column("rate", "answers/s", "{:,.0f}"),
            Column("chunks", "chunks an answer", "{:.0f}"), P50, P99, FOREIGN,
        ]
        instant = bench.ouli_replay(folder, origin.port, options=("--pace", "instant"))
        file = bench.nginx_fixed()
        file.name = "nginx, the same bytes from a file"

        def measure(server):
            own = server.process.argv[0] == str(bench.setup.ouli)
            at = path if own else ("--path", f"/file/{EVENTS}.txt")
            return bench.checked_loop(*at, body=body)(server)

        yield bench.compare(
            "events-replay", f"Replay of {EVENTS} server-sent events, 64 keep-alive connections",
            [file, instant], columns, file.name, measure,
            notes=[
                "Ouli replays with `--pace instant`, each event in a chunk of its own",
                "nginx can't replay chunks: it gives a file of the same bytes by `sendfile`, the least there is",
            ],
        )
        yield bench.compare(
            "events-record", f"Record of {EVENTS} server-sent events, 64 keep-alive connections",
            [bench.nginx_proxy(origin), bench.ouli_record(origin)], columns, NGINX_PROXY,
            bench.checked_loop(*path, body=body), [ratio_target("Ouli record", "cpu_us", 1.2)],
            [
                f"the origin, on the load's CPU, sends an event each {GAP_MICROS // 1000} ms, so rate and latency are its own",
                "nginx `proxy_pass` with `proxy_buffering off`; chunks are counted as they come to the client",
            ],
        )
    finally:
        origin.stop()
