"""A server that runs, one that can be started and compared, and where the programs of both are."""

import os
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .process import BenchError, Process
from .protocol import HTTP1, Protocol

# Where bench/peers installs what Debian has no packages of.
INSTALLED = Path(__file__).resolve().parent.parent / "target/peers"


@dataclass
class Server:
    """A running server."""

    process: Process
    port: int
    # Files that go with it.
    scratch: Path
    how_to_stop: int = signal.SIGTERM
    # What it must exit with when stopped that way; None for those that are killed.
    exit_code: int | None = 0
    protocol: Protocol = HTTP1
    # Far slower than the others: it is asked less often where that makes no difference.
    is_slow: bool = False
    # Asked before it is measured: programs that compile themselves as they run start slowly.
    warm_up_requests: int = 0
    # What a case varies from contender to contender: a number of connections, a size.
    point: object = None

    @property
    def addr(self):
        return f"127.0.0.1:{self.port}"

    def log_bytes(self):
        return os.path.getsize(self.process.log)

    def stop(self, seconds=120):
        code = self.process.stop(self.how_to_stop, seconds)
        tail = self.process.log_tail()
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.exit_code is not None and code != self.exit_code:
            raise BenchError(f"{self.process.describe()} ended with {code}\n{tail}")

    def kill(self):
        """Makes SIGKILL its end: for servers whose orderly end isn't measured, and takes long."""
        self.how_to_stop, self.exit_code = signal.SIGKILL, None
        return self

    def listening(self, seconds=10):
        """Waits until somebody accepts: for servers that don't say so."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.process.check_alive()
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.01)
        raise BenchError(f"{self.process.describe()} doesn't listen\n{self.process.log_tail()}")


@dataclass
class Contender:
    """Something that can be started and compared."""

    name: str
    start: Callable[[], Server]
    # What it writes to its log per request, as configured; stated with the figures.
    logs: str = "none"
    missing: str = ""
    # Where it stands in a plot: on which line, and at which number.
    line: str = ""
    point: object = None

    def at(self, point, words):
        """The same, where a case varies something."""
        name = f"{self.name}, {words}"
        return Contender(name, self.start, self.logs, self.missing, self.name, point)


def find(name):
    """The path of a peer's program, or None."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", str(INSTALLED / "bin")]
    return shutil.which(name, path=os.pathsep.join(places))


def find_wiremock():
    """WireMock's program for Java, as npm installs it; None where either is missing."""
    command = shutil.which("wiremock")
    packages = [INSTALLED / "node_modules/wiremock"] + ([Path(command).resolve().parent] if command else [])
    found = [jar for package in packages for jar in sorted(package.glob("build/*.jar"))]
    return found[0] if found and find("java") else None


# Peers by the names that tables use, and what tells their versions.
VERSIONS = {
    "nginx": ("nginx", "-v"), "HAProxy": ("haproxy", "-v"), "mitmproxy": ("mitmdump", "--version"),
    "wrk": ("wrk", "-v"), "h2load": ("h2load", "--version"),
}


def version(name):
    """What a peer calls itself, in short; None where it is missing."""
    if name == "WireMock":
        jar = find_wiremock()
        return f"WireMock {jar.stem.rsplit('-', 1)[1]}" if jar else None
    if name == "hyper":
        lock = tomllib.loads((INSTALLED.parent.parent / "Cargo.lock").read_text())
        return "hyper " + next(p["version"] for p in lock["package"] if p["name"] == "hyper")
    program, option = VERSIONS[name]
    if not find(program):
        return None
    done = subprocess.run([find(program), option], capture_output=True, text=True)
    words = (done.stdout + done.stderr).replace("/", " ").replace(":", " ").split()
    number = next((word for word in words if word[0].isdigit() and "." in word), "of an unknown version")
    return f"{name} {number.split('-')[0]}"


PEERS = (*VERSIONS, "WireMock", "hyper")


def free_port():
    """A port that was free a moment ago; the peers can't choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
