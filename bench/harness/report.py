"""Where the tables of a run go: into the stored results, and with them onto the page.

A table that says little isn't kept: one of too few rounds, or measured beside others' work. Then the page
keeps the one it had.
"""

from pathlib import Path

from . import page, results

BENCH = Path(__file__).resolve().parent.parent
TEMPLATE = BENCH / "report.md"


class Report:
    def __init__(self, run, folder=None, keep_poor=False, template=TEMPLATE):
        """Into the repository, or all of it into one folder."""
        self.run, self.keep_poor, self.template = run, keep_poor, Path(template)
        self.folder = Path(folder) if folder else BENCH.parent / "docs"
        self.stored_in = self.folder / "results.json" if folder else BENCH / "results.json"
        self.stored = results.load(self.stored_in)
        # Table's key → its case, and why it isn't kept.
        self.left_out = {}
        self.written = []

    def take(self, case, tables, seconds):
        """Keeps a case's tables and writes everything, so that a run which is ended loses nothing."""
        good = {}
        for key, table in tables.items():
            if table["poor"] and not self.keep_poor:
                self.left_out[key] = case, table["poor"]
            else:
                good[key] = table
        if not good:
            return
        took = self.stored.get("took", {}) | {case: round(seconds)}
        self.stored = results.merge(self.stored, self.run, good) | {"took": took}
        self.folder.mkdir(parents=True, exist_ok=True)
        results.save(self.stored_in, self.stored)
        self.render()

    def render(self):
        self.written = page.write(self.folder, self.template.read_text(), self.stored)

    def said(self):
        """What became of the run's tables, for who started it."""
        lines = [f"written: {self.written[0]} and {len(self.written) - 1} plots"] if self.written else []
        if self.left_out:
            lines.append("not written, so that the page keeps what it had (--poor writes them too):")
            lines += [f"  {key}: {why}" for key, (_, why) in self.left_out.items()]
            cases = dict.fromkeys(case for case, _ in self.left_out.values())
            lines.append(f"again, on a quiet machine: bench/run {' '.join(cases)}")
        return "\n".join(lines)


def estimate(cases):
    """Seconds that the cases took when they were last measured; None where one never was."""
    took = results.load(BENCH / "results.json").get("took", {})
    return sum(took[case] for case in cases) if all(case in took for case in cases) else None
