"""Processes: started on given CPUs, measured through /proc, stopped by their id.

Owns every process the bench starts. CPU time is the scheduler's own count in nanoseconds
(/proc/PID/task/*/schedstat), since user and system time come in ticks of 10 ms; the ticks are
read as well, and a difference between both is a fault of the measurement.
"""

import contextlib
import os
import resource
import select
import signal
import subprocess
import time
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")

# What the two counts may differ by: the ticks' own grain, per process.
CPU_DISAGREEMENT_SECONDS = 5 * TICK_SECONDS


class BenchError(Exception):
    """The bench can't go on: a server died, an answer was wrong, a figure can't be trusted."""


class Missing(BenchError):
    """What a case needs isn't installed here: it is left out, by name."""


# Those not stopped yet: what a failed case leaves behind is killed before the next one.
RUNNING = set()


def kill_all():
    for process in list(RUNNING):
        process.kill_tree()


class Process:
    """A child and what it forks."""

    def __init__(self, argv, cpus, log, stdin=subprocess.DEVNULL):
        self.argv = [str(arg) for arg in argv]
        self.log = Path(log)
        own = os.sched_getaffinity(0)
        # Set here and inherited, not by a wrapper: nothing stands between spawn and exec.
        os.sched_setaffinity(0, cpus)
        try:
            with open(log, "ab") as err:
                self.started = time.monotonic()
                self.child = subprocess.Popen(
                    self.argv,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=err,
                    # Away from a configuration file that the bench's caller may have beside them.
                    cwd=self.log.parent,
                )
        finally:
            os.sched_setaffinity(0, own)
        RUNNING.add(self)
        self.pid = self.child.pid
        self._lines = b""

    def read_line(self, seconds):
        """The next line of stdout."""
        until = time.monotonic() + seconds
        while b"\n" not in self._lines:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.child.stdout], [], [], left)[0]:
                raise BenchError(f"{self.argv[0]}: no line within {seconds} s\n{self.log_tail()}")
            piece = os.read(self.child.stdout.fileno(), 65536)
            if not piece:
                raise BenchError(f"{self.describe()} ended\n{self.log_tail()}")
            self._lines += piece
        line, self._lines = self._lines.split(b"\n", 1)
        return line.decode()

    def wait_ready(self, seconds=30):
        """Reads up to the line `ready`; returns the ports of the lines `listening http://…:PORT …`."""
        ports = []
        while (line := self.read_line(seconds)) != "ready":
            if line.startswith("listening "):
                ports.append(int(line.split()[1].rsplit(":", 1)[1]))
        return ports

    def pids(self):
        """This process and its descendants (nginx serves from a child)."""
        found, waiting = [], [self.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            waiting += _children(pid)
        return found

    def cpu_seconds(self):
        """CPU time of all threads so far, by the scheduler's count and by the clock ticks."""
        exact, ticks = 0, 0
        for pid in self.pids():
            for task in _tasks(pid):
                exact += int(_read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
            # Fields after the command, which may hold spaces: utime and stime are 14 and 15.
            stat = _read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()
            ticks += int(stat[11]) + int(stat[12])
        return exact / 1e9, ticks * TICK_SECONDS

    def anonymous_bytes(self):
        """Memory that is this program's own: heap, stacks, dirtied data."""
        total = 0
        for pid in self.pids():
            for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith("Anonymous:"):
                    total += int(line.split()[1]) * 1024
        return total

    def check_alive(self):
        if self.child.poll() is not None:
            raise BenchError(f"{self.describe()} died ({self.child.returncode})\n{self.log_tail()}")

    def stop(self, how=signal.SIGTERM, seconds=120):
        """Ends it and returns its exit code; SIGKILL also ends what it forked."""
        if how == signal.SIGKILL:
            self.kill_tree()
        if self.child.poll() is None:
            self.child.send_signal(how)
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_tree()
            raise BenchError(f"{self.describe()} didn't end within {seconds} s") from None
        RUNNING.discard(self)
        self.child.stdout.close()
        return self.child.returncode

    def kill_tree(self):
        RUNNING.discard(self)
        if self.child.poll() is None:
            for pid in self.pids():
                os.kill(pid, signal.SIGKILL)
            self.child.wait()

    def describe(self):
        return " ".join(self.argv)

    def log_tail(self):
        with open(self.log, "rb") as log:
            return log.read()[-2000:].decode(errors="replace")


class CpuMeter:
    """CPU time of a process between `start` and `stop`, and what ran meanwhile that isn't the bench's."""

    def __init__(self, process, cpus):
        self.process, self.cpus = process, cpus

    def start(self):
        self.exact, self.ticks = self.process.cpu_seconds()
        self.foreign_before = self._foreign_seconds()
        self.at = time.monotonic()

    def stop(self):
        exact, ticks = self.process.cpu_seconds()
        foreign = self._foreign_seconds() - self.foreign_before
        # CPUs' worth of work by others: 1.0 is one CPU, fully.
        self.foreign = max(0.0, foreign) / (time.monotonic() - self.at)
        self.seconds = exact - self.exact
        ticks -= self.ticks
        if abs(self.seconds - ticks) > CPU_DISAGREEMENT_SECONDS + 0.02 * ticks:
            raise BenchError(
                f"{self.process.argv[0]}: {self.seconds:.3f} s of CPU by the scheduler,"
                f" {ticks:.3f} s by the clock ticks: a thread ended in between?"
            )

    def _foreign_seconds(self):
        """All that the CPUs did, less what the bench, its servers and its ended load did."""
        ours = sum(process.cpu_seconds()[0] for process in RUNNING)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            ours += usage.ru_utime + usage.ru_stime
        return busy_seconds(self.cpus) - ours


def busy_seconds(cpus):
    """Time that the given CPUs spent on anything, steal by the hypervisor included."""
    total = 0
    for line in _read("/proc/stat").splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            total += user + nice + system + irq + softirq + steal
    return total * TICK_SECONDS


def _children(pid):
    """Those of all threads that haven't ended meanwhile."""
    found = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in _tasks(pid):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    return found


def _tasks(pid):
    return os.listdir(f"/proc/{pid}/task")


def _read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()
