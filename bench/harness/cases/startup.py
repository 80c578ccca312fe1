"""From the process's start to its first line and its first answer."""

import http.client
import time

from ..figures import Column, Result
from ..process import BenchError, Process


def start(bench):
    """From the process's start to its line `ready`, and to its first replayed answer."""
    setup, starts = bench.setup, 20
    if not setup.ouli:
        bench.say(f"start: Ouli is missing: {bench.ouli_missing()}")
        return
    samples = {}
    for items in (0, 1, 10_000) + ((1_000_000,) if bench.big else ()):
        if items:
            recordings, port = bench.recorded(items)
        else:
            recordings, port = setup.folder("empty"), 9
        name = {0: "nothing recorded", 1: "1 exchange"}.get(items, f"{items:,} exchanges")
        samples[name] = [start_once(bench, recordings, port, items) for _ in range(starts)]
        bench.say(f"start, {name}: {samples[name][0]}")
    yield Result(
        f"Start to `ready`, {starts} starts each",
        [Column("ready_ms", "ms to `ready`"), Column("answer_ms", "ms to the first answer")],
        "", samples, target="10 ms with nothing recorded, 50 ms with 10,000 exchanges",
    )


def start_once(bench, recordings, port, items):
    log = bench.setup.scratch / "start.stderr"
    argv = bench.setup.ouli_argv("replay", port, recordings)
    process = Process(argv, bench.setup.server_cpus, log)
    listening = process.wait_ready()[0]
    sample = {"ready_ms": (time.monotonic() - process.started) * 1e3}
    if items:
        ask_once(listening)
        sample["answer_ms"] = (time.monotonic() - process.started) * 1e3
    if (code := process.stop()) != 0:
        raise BenchError(f"{process.describe()} ended with {code}\n{process.log_tail()}")
    return sample


def ask_once(port, path="/item/0000000"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    client.request("GET", path)
    answer = client.getresponse()
    if answer.status != 200 or path.encode() not in answer.read():
        raise BenchError(f"the first answer was {answer.status}")
    client.close()
