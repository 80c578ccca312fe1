"""The cases. Each takes a `Bench` and yields the tables it made.

A case says in its first line what it measures; the rest is how. Contenders that aren't there are
left out by name, never silently.
"""

from .memory import idle, memory, stream
from .runtimes import runtimes
from .speed import active, connections, library, noise, record, replay
from .startup import start

CASES = {
    "noise": noise,
    "replay": replay,
    "record": record,
    "connections": connections,
    "active": active,
    "idle": idle,
    "memory": memory,
    "stream": stream,
    "start": start,
    "library": library,
    "runtimes": runtimes,
}
