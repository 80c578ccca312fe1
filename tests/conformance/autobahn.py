"""Autobahn's fuzzing client on a server, directly and through `ouli record`: equal, case by case.

Arguments are cases such as `6.*`; without one, all. Ends with 1 where a case differs.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OULI = os.environ.get("OULI", f"{ROOT}/target/debug/ouli")
PYTHON = os.environ.get("OULI_TEST_PYTHON", f"{ROOT}/target/peers/bin/python")
WSTEST = os.environ.get("WSTEST", f"{ROOT}/target/autobahn/bin/wstest")

ECHO = """
from websockets.sync.server import serve
def echo(ws):
    for message in ws:
        ws.send(message)
server = serve(echo, '127.0.0.1', 0, max_size=None)
print(server.socket.getsockname()[1], flush=True)
server.serve_forever()
"""


@contextmanager
def started(command, address_of):
    """A program that runs until the end of the block; where it listens is in one of its lines."""
    pipe, silence = subprocess.PIPE, subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=pipe, stderr=silence, text=True)
    try:
        for line in process.stdout:
            if address := address_of(line):
                break
        else:
            raise SystemExit(f"{command[0]} ended instead of listening")
        yield address
    finally:
        process.terminate()
        process.wait()


def server():
    return started([PYTHON, "-c", ECHO], lambda line: f"127.0.0.1:{line.strip()}")


def recorder(origin, folder):
    command = [OULI, "record", f"http://{origin}", "--listen", "127.0.0.1:0", "-q"]
    command += ["--recording-dir", f"{folder}/recordings"]
    start = "listening http://"
    return started(command, lambda line: line.startswith(start) and line[len(start) :].split()[0])


def run_cases(agents, cases, folder):
    """The table of the results: agent, then case, then what it was found to do."""
    servers = [{"agent": name, "url": f"ws://{address}"} for name, address in agents.items()]
    spec = {"outdir": f"{folder}/reports", "servers": servers, "cases": cases}
    spec |= {"exclude-cases": [], "exclude-agent-cases": {}}
    with open(f"{folder}/spec.json", "w") as file:
        json.dump(spec, file)
    with open(f"{folder}/log", "w") as log:
        command = [WSTEST, "-m", "fuzzingclient", "-s", f"{folder}/spec.json"]
        subprocess.run(command, cwd=folder, stdout=log, stderr=log, check=True)
    with open(f"{folder}/reports/index.json") as file:
        return json.load(file)


def outcome(result):
    """Whether an answer to what precedes a broken rule comes before the close depends on how the
    bytes were cut into reads, which no relay keeps: the suite says `NON-STRICT`, and allows it."""
    behavior = result["behavior"].replace("NON-STRICT", "OK")
    return behavior, result["behaviorClose"], result["remoteCloseCode"]


def compare(table):
    """Prints what differs, and how many cases came out how; returns whether all are equal."""
    direct, recorded = table["direct"], table["recorded"]
    in_order = lambda case: [int(part) for part in case.split(".")]
    counts = {}
    for case in sorted(direct, key=in_order):
        expected, seen = outcome(direct[case]), outcome(recorded[case])
        counts[expected[0]] = counts.get(expected[0], 0) + 1
        if seen != expected:
            print(f"{case}: directly {expected}, through Ouli {seen}")
    print(f"{len(direct)} cases, directly: {counts}")
    return all(outcome(direct[case]) == outcome(recorded[case]) for case in direct)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of every `finally`
    cases = sys.argv[1:] or ["*"]
    with tempfile.TemporaryDirectory() as folder:
        with server() as origin, recorder(origin, folder) as ouli:
            table = run_cases({"direct": origin, "recorded": ouli}, cases, folder)
    sys.exit(0 if compare(table) else 1)


main()
