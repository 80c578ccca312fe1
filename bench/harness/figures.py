"""Figures: medians, spreads, ratios and targets, from the samples of a case to what is kept of them."""

import operator
import statistics
from dataclasses import asdict, dataclass, field

# Below this many rounds a median says little, and a spread nothing.
ROUNDS_MIN = 5

# Above this share of a CPU, others had a say in the figures: their turns, the caches, the load's pace.
FOREIGN_MAX = 0.1


@dataclass
class Column:
    key: str
    heading: str
    form: str = "{:.1f}"
    # Whether the ratio to the baseline is told of it.
    ratio: bool = False


@dataclass
class Target:
    """What a row should reach: its median in a column, or that of its ratio to the baseline.

    Where `row` ends in `…` all rows that begin like that should, and the one that is farthest off counts.
    """

    row: str
    key: str
    relation: str
    bound: float
    # The bound's unit in words, as in "at most 1.2 × nginx".
    unit: str
    ratio: bool = False

    RELATIONS = {"at most": operator.le, "at least": operator.ge, "below": operator.lt}

    def rows(self, names):
        begin = self.row.removesuffix("…")
        return [name for name in names if name == self.row or begin != self.row and name.startswith(begin)]

    def worst(self, figures):
        """Of medians with their spread."""
        return (min if self.relation == "at least" else max)(figures, default=None)

    def words(self, column):
        of = "" if self.ratio and column.ratio else f", {column.heading}"
        row = self.row.replace("…", ", all") if self.row != "…" else "all"
        return f"{row}{of}: {self.relation} {self.bound:g} {self.unit}"

    def is_met(self, value):
        return self.RELATIONS[self.relation](value, self.bound)


def ratio_target(row, key, bound, unit="× nginx", relation="at most"):
    return Target(row, key, relation, bound, unit, ratio=True)


@dataclass
class Result:
    """One table: contenders by columns."""

    # By which the page and the stored results know it.
    key: str
    title: str
    columns: list
    # The row that ratios are to, or what the rows are called that each row is compared to.
    baseline: str
    # Contender's name → its samples, one dict per round, in the order of rounds.
    samples: dict
    notes: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    # Row → the row that it is compared to, where that isn't the baseline for all.
    against: dict = field(default_factory=dict)
    # Row → the plot's line it belongs to and its number there.
    points: dict = field(default_factory=dict)
    # Where a row is one run by its nature, such as the passing of a gigabyte.
    rounds_min: int = ROUNDS_MIN
    load: str = ""

    def base(self, name):
        return self.against.get(name, name) if self.against else self.baseline

    def ratios(self, name, key):
        """Per round, so that what slows a whole round slows both sides of its ratio."""
        base = self.samples.get(self.base(name))
        if not base or name == self.base(name):
            return []
        pairs = zip(self.samples[name], base)
        return [own[key] / other[key] for own, other in pairs if other.get(key) and key in own]

    def poor(self):
        """Why these figures are not to be quoted; nothing if they are."""
        rounds = min((len(rounds) for rounds in self.samples.values()), default=0)
        if rounds < self.rounds_min:
            return f"{rounds} round{'s' * (rounds != 1)} only"
        if any(column.key == "foreign" for column in self.columns):
            if (highest := busiest(self.samples)) > FOREIGN_MAX:
                return f"others took up to {highest:.0%} of a CPU"
        return ""

    def summary(self):
        """What is kept of it: no sample, but their median, lowest and highest."""
        keys = [column.key for column in self.columns]
        ratio_keys = {c.key for c in self.columns if c.ratio} | {t.key for t in self.targets if t.ratio}
        rows = []
        for name, rounds in self.samples.items():
            row = {"name": name, "rounds": len(rounds), "figures": {}, "ratios": {}}
            row["is_base"] = bool(self.baseline) and name == self.base(name)
            for key in keys:
                if values := [sample[key] for sample in rounds if key in sample]:
                    row["figures"][key] = three(values)
            for key in sorted(ratio_keys) if self.baseline else ():
                if ratios := self.ratios(name, key):
                    row["ratios"][key] = three(ratios)
            if name in self.points:
                row["line"], row["point"] = self.points[name]
            rows.append(row)
        return {
            "title": self.title, "columns": [asdict(column) for column in self.columns],
            "baseline": self.baseline, "rows": rows, "notes": self.notes,
            "targets": [asdict(target) for target in self.targets], "poor": self.poor(),
            "load": self.load,
        }


def three(values):
    """Median, lowest, highest; four digits tell more than any run can repeat."""
    return [float(f"{v:.5g}") for v in (statistics.median(values), min(values), max(values))]


def busiest(samples):
    """The most that others took of a CPU in any of the rounds."""
    return max((s.get("foreign", 0) for rounds in samples.values() for s in rounds), default=0)
