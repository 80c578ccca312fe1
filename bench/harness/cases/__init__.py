"""The cases. Each takes a `Bench` and yields the tables it made.

A case says in its first line what it measures; the rest is how. Contenders that aren't there are
left out by name, never silently.
"""

from .bounds import bounds, pace
from .events import events
from .memory import idle, memory, stream
from .protocols import h2c, h2tls, handshakes, record_h2c, record_tls, tls
from .runtimes import runtimes
from .scale import concurrency, library, sessions, sizes, sizes_h2c, sizes_tls
from .speed import connections, noise, record, replay
from .startup import size, start
from .websocket import websocket, websocket_idle, websocket_many

CASES = {
    "noise": noise,
    "replay": replay,
    "record": record,
    "sizes": sizes,
    "concurrency": concurrency,
    "connections": connections,
    "h2c": h2c,
    "h2tls": h2tls,
    "tls": tls,
    "record_h2c": record_h2c,
    "record_tls": record_tls,
    "sizes_tls": sizes_tls,
    "sizes_h2c": sizes_h2c,
    "handshakes": handshakes,
    "events": events,
    "websocket": websocket,
    "websocket_many": websocket_many,
    "websocket_idle": websocket_idle,
    "sessions": sessions,
    "library": library,
    "start": start,
    "size": size,
    "idle": idle,
    "memory": memory,
    "stream": stream,
    "bounds": bounds,
    "pace": pace,
    "runtimes": runtimes,
}

# What each yields: the report must have a place for every one.
TABLES = {
    "connections": ["connections", "connections-first"],
    "sizes": ["sizes-replay", "sizes-record"],
    "sizes_tls": ["sizes_tls-replay", "sizes_tls-record"],
    "sizes_h2c": ["sizes_h2c-replay", "sizes_h2c-record"],
    "concurrency": ["concurrency-replay", "concurrency-record"],
    "record_tls": ["record_tls", "record_h2tls"],
    "handshakes": ["handshakes-full", "handshakes-resumed"],
    "events": ["events-replay", "events-record"],
    "websocket": ["websocket-record", "websocket-replay"],
    "websocket_many": ["websocket_many-record", "websocket_many-replay"],
    "sessions": ["sessions-replay", "sessions-record"],
    "start": ["start", "start-million"],
    "idle": ["idle-http1", "idle-tls", "idle-h2c", "idle-h2tls"],
    "bounds": ["bounds-large", "bounds-slow"],
    "runtimes": [f"runtimes-{road}-{threads}" for road in ("fixed", "forward") for threads in (1, 2)],
}


def tables_of(case):
    return TABLES.get(case, [case])
