"""The peers' configurations: files in bench/config with `{{names}}` for what changes from run to run."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "config"


def render(name, **values):
    """The file of that name with every place filled.

    A place without a value and a value without a place are faults of the bench, so both end it.
    """
    text = (FOLDER / name).read_text()
    places = set(re.findall(r"\{\{(\w+)\}\}", text))
    if places != set(values):
        raise ValueError(f"{name} has places for {sorted(places)}, not for {sorted(values)}")
    return re.sub(r"\{\{(\w+)\}\}", lambda place: str(values[place[1]]), text)
