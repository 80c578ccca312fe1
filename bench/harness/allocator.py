"""What jemalloc says of itself inside a running Ouli, asked through gdb: the program isn't changed for it.

The calls are made on a stopped thread of an idle server and change nothing but the allocator's epoch, which
is what makes its figures current.
"""

import re
import subprocess

from .servers import find

FIGURES = ("allocated", "active", "resident")

# mallctl(name, old value, its length, new value, its length)
CALL = '(int(*)(const char*,void*,void*,void*,unsigned long))_rjem_mallctl'


def why_not(ouli):
    """Why it can't be asked; nothing if it can."""
    if not find("gdb"):
        return "no gdb, which asks the allocator"
    if not ouli:
        return "no binary"
    return ""


def statistics(pid):
    """Bytes by figure; empty where gdb may not attach or the program has no such allocator."""
    script = [
        "set confirm off",
        # A place for values: 64 bytes of the server's own.
        "set $place = ((char*(*)(unsigned long))_rjem_malloc)(64)",
        "set {unsigned long}$place = 1",
        "set {unsigned long}($place + 8) = 8",
        f'print ({CALL})("epoch", 0, 0, $place, 8)',
    ]
    for name in FIGURES:
        script.append(f'print ({CALL})("stats.{name}", $place, $place + 8, 0, 0)')
        script.append(f'printf "{name} %lu\\n", {{unsigned long}}$place')
    script += ["call ((void(*)(void*))_rjem_free)($place)", "detach"]
    argv = [find("gdb"), "-nx", "-q", "-batch", "-p", str(pid)]
    for line in script:
        argv += ["-ex", line]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return {}
    found = dict(re.findall(r"^(\w+) (\d+)$", done.stdout, re.MULTILINE))
    return {name: int(found[name]) for name in FIGURES if name in found}
