"""The cases. Each takes a `Bench` and yields the tables it made.

A case says in its first line what it measures; the rest is how. Contenders that aren't there are
left out by name, never silently.
"""

from .bounds import bounds, pace
from .memory import idle, memory, stream
from .protocols import h2c, handshakes, h2tls, record_h2c, tls
from .runtimes import runtimes
from .speed import active, connections, library, noise, record, replay
from .startup import start
from .websocket import websocket, websocket_idle, websocket_many

CASES = {
    "noise": noise,
    "replay": replay,
    "record": record,
    "h2c": h2c,
    "h2tls": h2tls,
    "tls": tls,
    "record_h2c": record_h2c,
    "connections": connections,
    "handshakes": handshakes,
    "active": active,
    "idle": idle,
    "memory": memory,
    "stream": stream,
    "bounds": bounds,
    "pace": pace,
    "start": start,
    "library": library,
    "runtimes": runtimes,
    "websocket": websocket,
    "websocket_many": websocket_many,
    "websocket_idle": websocket_idle,
}
