"""From the process's start to its first line and its first answer; and what the program weighs."""

import http.client
import os
import shutil
import subprocess
import time

from ..figures import Column, Result, Target
from ..process import BenchError, Process
from ..servers import find

STARTS = 20

MILLION = 1_000_000
MILLION_SECONDS = 300

# What a start may make beside the cassettes, to be faster the next time.
INDEX = ".ouli/index"


def start(bench):
    """From the process's start to its line `ready`, and to its first replayed answer; a million recordings too."""
    setup = bench.setup
    if not setup.ouli:
        bench.say(f"start: Ouli is missing: {bench.ouli_missing()}")
        return
    samples = {}
    for items in (0, 1, 10_000):
        recordings, port = bench.library(items) if items else (setup.folder("empty"), 9)
        name = {0: "nothing recorded", 1: "1 exchange"}.get(items, f"{items:,} exchanges")
        samples[name] = [start_once(bench, recordings, port, items) for _ in range(STARTS)]
        bench.say(f"start, {name}: {samples[name][0]}")
    yield Result(
        "start", f"Start to `ready`, {STARTS} starts each",
        [Column("ready_ms", "ms to `ready`"), Column("answer_ms", "ms to the first answer")], "", samples,
        targets=[
            Target("nothing recorded", "ready_ms", "at most", 10, "ms"),
            Target("10,000 exchanges", "ready_ms", "at most", 50, "ms"),
        ],
    )
    if bench.million:
        yield start_with_million(bench)
    else:
        bench.say(f"start: {bench.without_million}")


def start_with_million(bench):
    recordings, port = bench.library(MILLION)
    first, again = "first start: no index yet", "started again"
    samples = {first: [], again: []}
    for number in range(bench.rounds):
        shutil.rmtree(recordings / INDEX, ignore_errors=True)
        for name in samples:
            samples[name].append(start_once(bench, recordings, port, MILLION))
            bench.say(f"round {number + 1}, 1,000,000 exchanges, {name}: {samples[name][-1]}")
    has_index = (recordings / INDEX).exists()
    return Result(
        "start-million", "Start with 1,000,000 recorded exchanges of 1 KiB",
        [
            Column("ready_ms", "ms to `ready`", "{:,.0f}"), Column("answer_ms", "ms to the first answer", "{:,.0f}"),
            Column("anon_mib", "anonymous MiB then", "{:,.1f}"),
        ],
        "", samples, [f"`{INDEX}` is removed before every first start" if has_index else "this build keeps no index"],
        [
            Target(first, "answer_ms", "at most", 30_000, "ms"), Target(again, "answer_ms", "at most", 2_000, "ms"),
            Target(again, "anon_mib", "below", 300, "MiB"),
        ],
    )


def start_once(bench, recordings, port, items):
    log = bench.setup.scratch / "start.stderr"
    argv = bench.setup.ouli_argv("replay", port, recordings)
    process = Process(argv, bench.setup.server_cpus, log)
    listening = process.wait_ready(MILLION_SECONDS)[0]
    sample = {"ready_ms": (time.monotonic() - process.started) * 1e3}
    if items:
        ask_once(listening)
        sample["answer_ms"] = (time.monotonic() - process.started) * 1e3
    sample["anon_mib"] = process.anonymous_bytes() / (1 << 20)
    if (code := process.stop()) != 0:
        raise BenchError(f"{process.describe()} ended with {code}\n{process.log_tail()}")
    return sample


def ask_once(port, path="/item/0000000"):
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=MILLION_SECONDS)
    client.request("GET", path)
    answer = client.getresponse()
    if answer.status != 200 or path.encode() not in answer.read():
        raise BenchError(f"the first answer was {answer.status}")
    client.close()


def size(bench):
    """Bytes of the program, as it is built and without its symbols, beside the peers'."""
    samples, notes = {}, []
    programs = [("Ouli", bench.setup.ouli)] + [(name, find(name.lower())) for name in ("nginx", "HAProxy")]
    for name, program in programs:
        if not program:
            notes.append(f"{name} is missing")
            continue
        sample = {"mib": os.path.getsize(program) / (1 << 20)}
        if stripped := stripped_bytes(bench, program):
            sample["stripped_mib"] = stripped / (1 << 20)
        samples[name] = [sample]
    notes.append("nginx and HAProxy as Debian builds them: symbols removed, TLS and others in shared libraries")
    if not find("strip"):
        notes.append("no strip, which removes symbols")
    yield Result(
        "size", "Size of the program",
        [Column("mib", "MiB", "{:.2f}"), Column("stripped_mib", "MiB without symbols", "{:.2f}")],
        "", samples, notes, rounds_min=1,
    )


def stripped_bytes(bench, program):
    if not find("strip"):
        return 0
    copy = bench.setup.scratch / "stripped"
    done = subprocess.run([find("strip"), "-o", copy, program], capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"strip failed\n{done.stderr}")
    return os.path.getsize(copy)
