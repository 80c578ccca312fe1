"""Load: wrk for the keep-alive cases of HTTP/1.1, h2load for those of HTTP/2, the bench's own generator
for all others and for checking.

Whatever drives a measurement, a wrong answer ends the bench: the own generator compares every body,
and a round under wrk or h2load stands between two passes of it, with none of their error counts above zero.
"""

import json
import re
import subprocess

from .process import BenchError
from .servers import find

# Requests of the passes before and after a round under wrk or h2load; of a server that is slow.
CHECKED_REQUESTS, CHECKED_REQUESTS_SLOW = 2000, 200


class Load:
    def __init__(self, setup, keep_alive="wrk"):
        self.setup = setup
        self.program = setup.programs / "load"
        # By HTTP's version, the name of what drives kept connections.
        foreign = {1: "wrk", 2: "h2load"}
        self.drivers = {
            version: name if keep_alive != "own" and find(name) else "own"
            for version, name in foreign.items()
        }

    def own(self, *args, body=None):
        """Runs the generator; returns what it says."""
        argv = [self.program, *args]
        if body:
            argv += ["--body", body]
        return json.loads(self._output(argv))

    def to(self, server):
        """The own generator's arguments that say where a server is and what it speaks."""
        args = ["--addr", server.addr, "--http", server.protocol.version]
        return args + ["--tls", self.setup.certificate().file] * server.protocol.tls

    def run(self, server, *args):
        return self.own("run", *self.to(server), *args, body=self.setup.body_file())

    def check(self, server, connections=64, streams=1):
        requests = CHECKED_REQUESTS_SLOW if server.is_slow else CHECKED_REQUESTS
        if server.warm_up_requests:
            requests, server.warm_up_requests = server.warm_up_requests, 0
        self.run(
            server, "--connections", connections, "--streams", streams, "--requests", requests
        )

    def closed_loop(self, server, connections, seconds, streams=1):
        """Kept connections that ask again as soon as they are answered."""
        driver = self.drivers[server.protocol.version]
        if driver == "own":
            return self.run(
                server, "--connections", connections, "--streams", streams, "--seconds", seconds
            )
        url = f"{server.protocol.scheme}://{server.addr}/"
        argv = [find(driver), "-t1", f"-c{connections}"]
        if driver == "wrk":
            return parse_wrk(self._output([*argv, f"-d{seconds:g}s", "--latency", url]))
        return parse_h2load(self._output([*argv, f"-m{streams}", f"-D{seconds:g}", url]))

    def _output(self, argv):
        argv = ["taskset", "-c", ",".join(map(str, self.setup.load_cpus)), *map(str, argv)]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"load failed: {' '.join(argv[3:])}\n{done.stdout}{done.stderr}")
        return done.stdout


UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 6e7}


def parse_wrk(text):
    """wrk's report as the own generator would give it.

    >>> parse_wrk('''
    ...   Latency Distribution
    ...      50%  412.00us
    ...      99%    1.30ms
    ...   300000 requests in 2.00s, 120.00MB read
    ... ''')
    {'requests': 300000, 'seconds': 2.0, 'p50_us': 412.0, 'p99_us': 1300.0}
    """
    for fault in ("Socket errors", "Non-2xx"):
        if fault in text:
            raise BenchError(f"wrk saw errors:\n{text}")
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    quantiles = dict(re.findall(r"(50|99)%\s+([\d.]+(?:us|ms|s|m))", text))
    if not total or len(quantiles) != 2:
        raise BenchError(f"wrk's report can't be read:\n{text}")
    return {
        "requests": int(total[1]),
        "seconds": float(total[2]) * UNITS_US[total[3]] / 1e6,
        "p50_us": _us(quantiles["50"]),
        "p99_us": _us(quantiles["99"]),
    }


def parse_h2load(text):
    """h2load's report as the own generator would give it. It knows no quantiles.

    >>> parse_h2load('''
    ... finished in 4.01s, 100000.00 req/s, 30.00MB/s
    ... requests: 401000 total, 401256 started, 401000 done, 401000 succeeded, 0 failed, 0 errored, 0 timeout
    ... status codes: 401012 2xx, 0 3xx, 0 4xx, 0 5xx
    ...                      min         max         mean         sd        +/- sd
    ... time for request:      312us     18.01ms      2.55ms       402us    86.11%
    ... ''')
    {'requests': 401000, 'seconds': 4.01, 'mean_us': 2550.0}
    """
    finished = re.search(r"finished in ([\d.]+)(us|ms|s|m),", text)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    times = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+(?:us|ms|s|m))\s", text)
    if not finished or not counts or not times:
        raise BenchError(f"h2load's report can't be read:\n{text}")
    done, succeeded, *faults = map(int, counts.groups())
    # Codes are counted at the heads, so those of answers cut off by the run's end are among them.
    codes = re.search(r"status codes: \d+ 2xx, 0 3xx, 0 4xx, 0 5xx", text)
    if any(faults) or succeeded != done or not codes:
        raise BenchError(f"h2load saw errors:\n{text}")
    return {
        "requests": done,
        "seconds": float(finished[1]) * UNITS_US[finished[2]] / 1e6,
        "mean_us": _us(times[1]),
    }


def _us(text):
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()
    return float(number) * UNITS_US[unit]
