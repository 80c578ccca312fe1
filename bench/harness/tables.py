"""Tables as the page shows them, from what is kept of a result."""

from .figures import Column, Target


def markdown(table, about=""):
    """The table, its targets and whether they are met, its notes, and what it was measured with."""
    lines = [f"### {table['title']}", "", *grid(table)]
    if table["poor"]:
        lines += ["", f"**Not to be quoted**: {table['poor']}."]
    if said := [*verdict_lines(table), *table["notes"]]:
        lines += ["", *[f"- {words}" for words in said]]
    if about:
        lines += ["", f"<sub>{about}</sub>"]
    return "\n".join(lines) + "\n"


def grid(table):
    columns = [Column(**column) for column in table["columns"]]
    ratio_of = next((c for c in columns if c.ratio and table["baseline"]), None)
    headings = [""] + [c.heading for c in columns]
    if ratio_of:
        headings.append(f"against {table['baseline']}")
    rows = [headings, ["---"] + ["---:"] * (len(headings) - 1)]
    for row in table["rows"]:
        cells = [cell(row["figures"].get(c.key), c.form) for c in columns]
        if ratio_of:
            ratio = row["ratios"].get(ratio_of.key)
            cells.append("1" if row["is_base"] else cell(ratio, "{:.2f}") + " ×" * bool(ratio))
        rows.append([row["name"]] + cells)
    return ["| " + " | ".join(row) + " |" for row in rows]


def cell(figure, form):
    """Median, then the lowest and highest in brackets, unless it is one value."""
    if not figure:
        return "–"
    median, lowest, highest = map(form.format, figure)
    return median if lowest == highest == median else f"{median} ({lowest}–{highest})"


def verdicts(table):
    """Each target in words, whether it is met (None: not measured), and the figure that says so."""
    columns = {column["key"]: Column(**column) for column in table["columns"]}
    rows = {row["name"]: row for row in table["rows"]}
    for target in map(lambda raw: Target(**raw), table["targets"]):
        column = columns[target.key]
        kind = "ratios" if target.ratio else "figures"
        figures = [rows[name][kind].get(target.key) for name in target.rows(rows)]
        figure = target.worst([figure for figure in figures if figure])
        is_met = target.is_met(figure[0]) if figure else None
        form = "{:.2f}" if target.ratio else column.form
        yield target.words(column), is_met, cell(figure, form) + (" ×" if figure and target.ratio else "")


def verdict_lines(table):
    for words, is_met, shown in verdicts(table):
        yield f"Target: {words}. {SAID[is_met]}: {shown}."


SAID = {True: "**Met**", False: "**Missed**", None: "**Not measured**"}


def verdict_table(tables):
    """All targets of all tables, for the head of the page."""
    lines = ["| | target | | measured |", "| --- | --- | --- | ---: |"]
    for table in tables:
        title = table["title"]
        for words, is_met, shown in verdicts(table):
            doubt = ", not to be quoted" if table["poor"] and is_met is not None else ""
            lines.append(f"| {title} | {words} | {SAID[is_met]}{doubt} | {shown} |")
            # Told once for all targets of a table.
            title = ""
    return "\n".join(lines)
