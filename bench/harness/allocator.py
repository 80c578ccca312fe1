"""What jemalloc says of itself inside a running Ouli, asked through gdb: the program isn't changed for it.

The calls are made on a stopped thread of an idle server and change nothing but the allocator's epoch, which
is what makes its figures current.
"""

import re
import subprocess

from .servers import find

FIGURES = ("allocated", "active", "resident")

# Pages of all arenas: what an allocator that was built without statistics knows all the same.
PAGES = ("pactive", "pdirty", "pmuzzy")
ALL_ARENAS = 4096

PAGE_BYTES = 4096

# mallctl(name, old value, its length, new value, its length)
MALLCTL = "((int(*)(const char*,void*,void*,void*,unsigned long))_rjem_mallctl)"

MEANING = (
    "allocated, active and resident are jemalloc's, of the whole program; where it was built without"
    " statistics there is no allocated, and active and resident are counted from its pages, without what it"
    " needs for itself"
)


def why_not(ouli):
    """Why it can't be asked; nothing if it can."""
    if not find("gdb"):
        return "no gdb, which asks the allocator"
    if not ouli:
        return "no binary"
    return ""


def statistics(pid):
    """Bytes by figure; empty where gdb may not attach or the program has no such allocator."""
    names = [f"stats.{name}" for name in FIGURES]
    names += [f"stats.arenas.{ALL_ARENAS}.{name}" for name in PAGES]
    script = [
        "set confirm off",
        # A place for values: 64 bytes of the server's own.
        "set $place = ((char*(*)(unsigned long))_rjem_malloc)(64)",
        "set {unsigned long}$place = 1",
        f'print {MALLCTL}("epoch", 0, 0, $place, 8)',
    ]
    for name in names:
        script += [
            "set {unsigned long}($place + 8) = 8",
            f'set $fault = {MALLCTL}("{name}", $place, $place + 8, 0, 0)',
            f'printf "{name} %d %lu\\n", $fault, {{unsigned long}}$place',
        ]
    script += ["call ((void(*)(void*))_rjem_free)($place)", "detach"]
    argv = [find("gdb"), "-nx", "-q", "-batch", "-p", str(pid)]
    for line in script:
        argv += ["-ex", line]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return {}
    return read(done.stdout)


def read(text):
    """gdb's output as bytes by figure.

    >>> read("stats.allocated 0 100\\nstats.active 0 8192\\nstats.resident 0 9000\\n")
    {'allocated': 100, 'active': 8192, 'resident': 9000}
    >>> read("stats.allocated 2 1\\nstats.arenas.4096.pactive 0 3\\nstats.arenas.4096.pdirty 0 1\\n")
    {'active': 12288, 'resident': 16384}
    """
    lines = re.findall(r"^stats\.(\S+) (-?\d+) (\d+)$", text, re.MULTILINE)
    found = {name: int(value) for name, fault, value in lines if fault == "0"}
    if "allocated" in found:
        return {name: found[name] for name in FIGURES}
    pages = {name.rsplit(".", 1)[1]: value * PAGE_BYTES for name, value in found.items()}
    if "pactive" not in pages:
        return {}
    return {"active": pages["pactive"], "resident": sum(pages.values())}
