"""Figures: rounds in alternation, medians, spreads, ratios, and the tables they are shown in."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Column:
    key: str
    heading: str
    form: str = "{:.1f}"
    # Whether the ratio to the baseline is told of it.
    ratio: bool = False


@dataclass
class Result:
    """One table: contenders by columns."""

    title: str
    columns: list
    baseline: str
    # Contender's name → its samples, one dict per round, in the order of rounds.
    samples: dict
    notes: list = field(default_factory=list)
    # What the ratio of Ouli to the baseline should not exceed, in words.
    target: str = ""

    def median(self, name, key):
        return statistics.median(sample[key] for sample in self.samples[name])

    def ratios(self, name, key):
        """Per round, so that what slows a whole round slows both sides of its ratio."""
        if self.baseline not in self.samples:
            return []
        pairs = zip(self.samples[name], self.samples[self.baseline])
        return [own[key] / base[key] for own, base in pairs if base[key]]

    def markdown(self):
        ratio_of = next((c for c in self.columns if c.ratio and self.baseline), None)
        headings = [""] + [c.heading for c in self.columns]
        if ratio_of:
            headings.append(f"against {self.baseline}")
        rows = [headings, ["---"] + ["---:"] * (len(headings) - 1)]
        for name in self.samples:
            row = [name] + [self._cell(name, c) for c in self.columns]
            if ratio_of:
                row.append(self._ratio_cell(name, ratio_of.key))
            rows.append(row)
        lines = [f"### {self.title}", ""]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        if self.target:
            lines += ["", f"Target: {self.target}."]
        if self.notes:
            lines += [""] + [f"- {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def _cell(self, name, column):
        values = [sample[column.key] for sample in self.samples[name] if column.key in sample]
        if not values:
            return "–"
        return spread(values, column.form)

    def _ratio_cell(self, name, key):
        ratios = self.ratios(name, key)
        if name == self.baseline or not ratios:
            return "1" if name == self.baseline else "–"
        return spread(ratios, "{:.2f}") + " ×"

    def as_json(self):
        return {
            "title": self.title, "baseline": self.baseline, "samples": self.samples,
            "notes": self.notes, "target": self.target,
        }


def spread(values, form):
    """Median, then the lowest and highest in brackets."""
    median = form.format(statistics.median(values))
    if len(values) == 1:
        return median
    return f"{median} ({form.format(min(values))}–{form.format(max(values))})"


def alternate(contenders, rounds, measure, say):
    """Every contender once per round, the order turning, so that none always comes first."""
    samples = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            server = contender.start()
            try:
                sample = measure(server)
                server.process.check_alive()
            finally:
                server.stop()
            samples[contender.name].append(sample)
            shown = ", ".join(f"{k} {v:.4g}" for k, v in sample.items())
            say(f"round {number + 1}/{rounds} {contender.name}: {shown}")
    return samples
