"""The bodies that requests and answers have. All are text that could be real, and of an exact size."""

import json

TEXT = "lorem ipsum dolor sit amet "

# What the load puts the request's path in for, and what nginx does.
LOAD_PATH, NGINX_PATH = "@PATH@", "$uri"


def answer(uri, size=256):
    """A JSON answer; with a path of 13 characters in place of `uri` it has `size` bytes."""
    head = '{"uri":"%s","model":"m-1","choices":[{"index":0,"message":"' % uri
    tail = '"}],"usage":{"in":12,"out":34}}'
    fill = size - len(head) - len(tail) + len(uri) - 13
    return (head + (TEXT * (fill // len(TEXT) + 1))[:fill] + tail).encode()


BODY = answer("/item/default")
assert len(BODY) == 256


def question(size=1024):
    """A JSON request as clients of language models send it."""
    empty = {"model": "m-1", "stream": False, "messages": [{"role": "user", "content": ""}]}
    fill = size - len(json.dumps(empty))
    empty["messages"][0]["content"] = (TEXT * (fill // len(TEXT) + 1))[:fill]
    return json.dumps(empty).encode()


def events(count):
    """What the bench's origin sends for `/events/COUNT/MICROS`."""
    return "".join(f'data: {{"index":{n:04},"delta":"lorem ipsum"}}\n\n' for n in range(count)).encode()
