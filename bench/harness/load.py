"""Load: wrk for the plain keep-alive cases, the bench's own generator for all others and for checking.

Whatever drives a measurement, a wrong answer ends the bench: the own generator compares every body,
and a round under wrk stands between two passes of it, with none of wrk's error counts above zero.
"""

import json
import re
import subprocess

from .process import BenchError
from .servers import find

# Requests of the passes before and after a round under wrk.
CHECKED_REQUESTS = 2000


class Load:
    def __init__(self, setup, keep_alive="wrk"):
        self.setup = setup
        self.program = setup.programs / "load"
        self.keep_alive = keep_alive if find("wrk") else "own"

    def own(self, *args, body=None):
        """Runs the generator; returns what it says."""
        argv = [self.program, *args]
        if body:
            argv += ["--body", body]
        return json.loads(self._output(argv))

    def check(self, server, path="/"):
        self.own(
            "run", "--addr", server.addr, "--path", path, "--connections", "64",
            "--requests", CHECKED_REQUESTS, body=self.setup.body_file(),
        )

    def closed_loop(self, server, connections, seconds, path="/"):
        """Keep-alive connections that ask again as soon as they are answered."""
        if self.keep_alive == "wrk":
            return self._wrk(server, connections, seconds, path)
        return self.own(
            "run", "--addr", server.addr, "--path", path, "--connections", connections,
            "--seconds", seconds, body=self.setup.body_file(),
        )

    def _wrk(self, server, connections, seconds, path):
        url = f"http://{server.addr}{path}"
        argv = [find("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
        return parse_wrk(self._output(argv))

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


def _us(text):
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", text).groups()
    return float(number) * UNITS_US[unit]
