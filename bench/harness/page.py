"""docs/benchmarks.md: hand-written prose (bench/report.md) with the stored tables and plots in its places.

A place is a comment on a line of its own: `<!-- table KEY -->`, `<!-- plot FILE -->`, `<!-- verdicts -->`.
"""

import re
from pathlib import Path

from . import results, tables
from .plots import PLOTS

PLACE = re.compile(r"^<!-- (table|plot|verdicts)(?: (\S+))? -->$", re.MULTILINE)

GENERATED = "<!-- Written by bench/run from bench/report.md and bench/results.json: change those, not this. -->\n"


def places(template):
    """What the template has places for: kind and name."""
    return [(place[1], place[2]) for place in PLACE.finditer(template)]


def fill(template, stored):
    """The page. A table that nobody measured is named with the command that would."""
    drawn = {plot.file for plot in PLOTS if plot.render(stored["tables"])}
    titles = {plot.file: plot.title for plot in PLOTS}

    def put(place):
        kind, name = place[1], place[2]
        if kind == "verdicts":
            wanted = [key for kind, key in places(template) if kind == "table"]
            return tables.verdict_table([stored["tables"][key] for key in wanted if key in stored["tables"]])
        if kind == "plot":
            return f"![{titles[name]}](benchmarks/{name})" if name in drawn else "*Not measured yet.*"
        if name not in stored["tables"]:
            return f"*Not measured yet (`{name}`).*"
        table = stored["tables"][name]
        return tables.markdown(table, results.about(table, stored["runs"][table["run"]])).rstrip()

    first, rest = PLACE.sub(put, template).split("\n", 1)
    return f"{first}\n\n{GENERATED}{rest}"


def write(folder, template, stored):
    """Writes the page and its plots; returns the files."""
    folder = Path(folder)
    plots = folder / "benchmarks"
    plots.mkdir(parents=True, exist_ok=True)
    written = [folder / "benchmarks.md"]
    written[0].write_text(fill(template, stored))
    for plot in PLOTS:
        if svg := plot.render(stored["tables"]):
            written.append(plots / plot.file)
            written[-1].write_text(svg)
    return written
