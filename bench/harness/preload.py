"""Libraries that are preloaded into a server, to see or to leave out what can't be told from outside."""

import contextlib
import os
import struct
import subprocess
from pathlib import Path

from .process import BenchError, Missing
from .servers import find

HERE = Path(__file__).resolve().parent

# Takes the writes to tapes out of a program that isn't changed otherwise.
UNTAPED = HERE / "untaped.c"

# Notes how long a program takes from accepting a connection to sending on it.
ACCEPTED = HERE / "accepted.c"

# As accepted.c has it.
TIMES = 65536


def compiled(source, folder):
    """Compiles one into the folder."""
    made = folder / source.with_suffix(".so").name
    if not find("cc"):
        raise Missing(f"no C compiler (cc) for {source.name}, which is preloaded")
    done = subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", "-o", made, source], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise BenchError(f"{source} doesn't compile\n{done.stderr}")
    return made


@contextlib.contextmanager
def preloaded(library, **variables):
    """What is started meanwhile has the library, and finds the variables."""
    before = dict(os.environ)
    os.environ.update(variables, LD_PRELOAD=str(library))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class AcceptTimes:
    """The notes of accepted.c."""

    def __init__(self, path):
        self.path = path

    def clear(self):
        """For a program that is to be started."""
        self.path.write_bytes(bytes(4 * (1 + TIMES)))

    def count(self):
        return struct.unpack("<I", self.path.read_bytes()[:4])[0]

    def since(self, before):
        """Microseconds of each connection but the first so many, in their order."""
        count = self.count()
        if count > TIMES:
            raise BenchError(f"{count} connections, and room to note {TIMES}")
        times = struct.unpack_from(f"<{count}I", self.path.read_bytes(), 4)
        return [time / 1000 for time in times[before:]]
