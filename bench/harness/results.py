"""The stored results: one JSON file, in which a run replaces the tables that it measured.

Every table names the run that it is of: its day, machine, versions, rounds. Runs that no table is of
any more are forgotten.
"""

import json
from pathlib import Path

EMPTY = {"runs": {}, "tables": {}}


def load(path):
    path = Path(path)
    return json.loads(path.read_text()) if path.exists() else json.loads(json.dumps(EMPTY))


def merge(stored, run, tables):
    """Puts a run's tables over those that were stored.

    Tables by key, in the order of `tables` for new ones. A run is known by its begin and revision.
    """
    key = f"{run['begun']} {run['ouli']}"
    runs = stored["runs"] | {key: run}
    kept = stored["tables"] | {name: table | {"run": key} for name, table in tables.items()}
    used = {table["run"] for table in kept.values()}
    return {"runs": {key: run for key, run in runs.items() if key in used}, "tables": kept}


def save(path, stored):
    Path(path).write_text(json.dumps(stored, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def about(table, run):
    """What a table was measured with, in a line: only the versions of what took part."""
    text = json.dumps([table["rows"], table["notes"], table["baseline"], table["load"]], ensure_ascii=False)
    versions = [version for name, version in sorted(run["versions"].items()) if name in text]
    counts = sorted({row["rounds"] for row in table["rows"]})
    rounds = "one round" if counts == [1] else f"{'–'.join(map(str, counts))} rounds"
    parts = [
        f"{run['begun'][:10]}, {run['machine']}", ", ".join(versions),
        f"Ouli at {run['ouli']}, {run['rustc']}",
        f"{rounds}, {run['seconds']} s of load in each" if table["load"] else rounds,
        f"load: {table['load']}" if table["load"] else "",
    ]
    return "; ".join(part for part in parts if part)
