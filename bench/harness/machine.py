"""What was measured, where, with which versions."""

import datetime
import os
import subprocess
from pathlib import Path

from .servers import PEERS, version

HERE = Path(__file__).resolve().parent.parent


def describe(bench, label=None):
    """The run as the stored results keep it; `label` names a build that isn't the repository's."""
    return {
        "begun": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": machine(),
        "versions": {name: found for name in PEERS if (found := version(name))},
        "missing": [name for name in PEERS if not version(name)],
        "ouli": (label or revision()) if bench.setup.ouli else "missing",
        "rustc": rustc(),
        "rounds": bench.rounds,
        "seconds": bench.seconds,
        "load_average": round(os.getloadavg()[0], 2),
    }


def heading(run):
    missing = f"; missing: {', '.join(run['missing'])}" if run["missing"] else ""
    return "\n".join([
        f"{run['begun']}, {run['machine']}",
        f"peers: {', '.join(run['versions'].values()) or 'none'}{missing}",
        f"Ouli at {run['ouli']}, {run['rustc']}",
        f"{run['rounds']} rounds of {run['seconds']} s; 1-minute load average at the start: {run['load_average']}",
    ])


def machine():
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, Linux {os.uname().release.split('-')[0]}"


def revision():
    """Of the repository that the bench stands in, without what the bench itself writes."""
    argv = ["git", "describe", "--always"]
    done = subprocess.run(argv, cwd=HERE, capture_output=True, text=True)
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no", "--", "src", "Cargo.toml", "Cargo.lock"],
        cwd=HERE.parent, capture_output=True, text=True,
    )
    found = done.stdout.strip() or "an unknown revision"
    return found + "-dirty" * bool(changed.stdout.strip())


def rustc():
    words = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()
    return " ".join(words[:2]) or "an unknown compiler"
