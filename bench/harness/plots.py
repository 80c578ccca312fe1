"""The page's plots: which lines of which tables stand in each."""

from dataclasses import dataclass

from .svg import Chart, Line

OULI, NGINX = "#0b6bcb", "#2f8f46"
COST = "server CPU, µs per request"


@dataclass
class Plot:
    file: str
    title: str
    x_label: str
    # Table's key → what its lines have before their names; dashed where it isn't empty.
    tables: dict
    # Number → its name on the axis.
    places: dict
    is_log: bool = False

    def render(self, tables):
        """The SVG; None where nothing of it was measured."""
        lines = []
        for number, key in enumerate(self.tables):
            by_name = {}
            for row in tables.get(key, {"rows": []})["rows"]:
                if "line" in row and "cpu_us" in row["figures"]:
                    by_name.setdefault(row["line"], []).append((row["point"], *row["figures"]["cpu_us"]))
            for name, points in by_name.items():
                color = NGINX if "nginx" in name else OULI
                plain = name.replace("`", "")
                lines.append(Line(plain, color, sorted(points), is_dashed=number > 0))
        if not lines:
            return None
        measured = {x for line in lines for x, *_ in line.points}
        places = [(x, name) for x, name in sorted(self.places.items()) if x in measured]
        return Chart(self.title, self.x_label, COST, places, lines, self.is_log).render()


PLOTS = [
    Plot(
        "concurrency.svg", "Cost against concurrency, 256-byte answers", "connections, all asking",
        {"concurrency-replay": "replay", "concurrency-record": "record"},
        {64: "64", 512: "512", 4096: "4,096"},
    ),
    Plot(
        "size.svg", "Cost against the size of a body", "bytes (POST: of the request; else of the answer)",
        {"sizes-replay": "replay", "sizes-record": "record"},
        {256: "GET 256 B", 1024: "POST 1 KiB", 65536: "GET 64 KiB", 1048576: "GET 1 MiB"}, is_log=True,
    ),
    Plot(
        "recordings.svg", "Cost of a replay against the number of recordings", "recorded exchanges of 1 KiB",
        {"library": "replay"}, {10: "10", 10_000: "10,000", 1_000_000: "1,000,000"},
    ),
]
