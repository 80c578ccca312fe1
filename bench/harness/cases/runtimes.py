"""The two ways to spread connections over threads, compared without the rest of Ouli."""

from ..bench import CPU, FOREIGN, P50, P99, RATE
from ..servers import Contender


def runtimes(bench):
    """One runtime per core against a work-stealing one, on both roads, with one and two threads."""
    body = ["--body", bench.setup.body_file()]
    yield from runtimes_on(bench, "fixed", "replay's road: a fixed answer", body)
    origin = bench.origin()
    try:
        forward = ["--origin", origin.addr]
        title = "record's road: forwarded and appended to a file"
        yield from runtimes_on(bench, "forward", title, forward)
    finally:
        origin.stop()


def runtimes_on(bench, road, title, args):
    setup = bench.setup

    def contender(name, model, threads):
        cpus = setup.server_cpus if threads == 1 else setup.server_cpus | setup.load_cpus

        def begin():
            scratch = setup.folder("runtimes")
            return setup.program(
                "runtimes", road, *args, "--model", model, "--threads", threads,
                "--tape", scratch / "tape", cpus=cpus, scratch=scratch,
            )

        return Contender(name, begin, "")

    for threads, words in ((1, "1 thread"), (2, "2 threads")):
        yield bench.compare(
            f"runtimes-{road}-{threads}", f"Runtimes, {title}, {words}",
            [
                contender("work-stealing", "stealing", threads),
                contender("one runtime per core", "per-core", threads),
            ],
            [CPU, RATE, P50, P99, FOREIGN], "work-stealing", bench.closed_loop(),
            notes=["two threads share the second CPU with the load"] * (threads == 2),
        )
