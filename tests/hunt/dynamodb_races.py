"""Two processes race for names and versions in DynamoDB; never do both win.

    python tests/hunt/dynamodb_races.py --minutes 3

In a round both read a row, add what is named after its version, and update the row by that version.
At the end each name has one owner, the one who was told so, and the row has as many versions as
updates that were told to have won.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from dynamodb_servers import store_url  # noqa: E402
from holdfast import Entity, Field, field, key, version  # noqa: E402
from holdfast.errors import DuplicateError, StaleVersionError  # noqa: E402
from holdfast.sync import open_store  # noqa: E402
from hunt.rounds import hunt  # noqa: E402

STEPS = 500


class Owned(Entity, table="owned"):
    id: Field[str] = key(max_length=50)
    name: Field[str] = field(max_length=50, unique=True)
    owner: Field[str] = field(default="")


class Row(Entity, table="rows"):
    id: Field[str] = key(max_length=50)
    total: Field[int] = field(default=0)
    version: Field[int] = version()


def race(url, me, steps):
    """Do one process's part; return the names it won, and how many versions."""
    names, wins = [], 0
    with open_store(url, [Owned, Row]) as store:
        owned, rows = store.repository(Owned), store.repository(Row)
        rows.patch("started", Row.total.increment(1))
        while rows.get_one("started").total < 2:
            pass
        while (row := rows.get_one("raced")).version <= steps:
            name = f"n{row.version}"  # which the other one tries too, at the same time
            try:
                owned.add(Owned(id=f"{me} {name}", name=name, owner=me))
                names.append(name)
            except DuplicateError as taken:
                if taken.fields == ("id",):  # its own, of a version that nobody moved
                    assert name in names
            row.total += 1
            try:
                rows.update(row)
                wins += 1
            except StaleVersionError:
                continue
    return {"names": names, "wins": wins}


def run_round(_seed, steps=STEPS):
    """Let two processes race, and raise AssertionError when both won, or nobody."""
    url = store_url("dynoxide", f"races-{uuid4().hex}")
    with open_store(url, [Owned, Row]) as store:
        store.create_schema()
        store.repository(Row).add_many([Row(id="started"), Row(id="raced")])
        racing = [
            subprocess.Popen(
                [sys.executable, __file__, "--race", url, me, str(steps)], stdout=subprocess.PIPE
            )
            for me in ("one", "two")
        ]
        one, two = (json.loads(each.communicate()[0]) for each in racing)
        owners = {each.name: each.owner for each in store.repository(Owned).find()}
        assert not set(one["names"]) & set(two["names"]), "both won a name"
        told = dict.fromkeys(one["names"], "one") | dict.fromkeys(two["names"], "two")
        assert owners == told
        row = store.repository(Row).get_one("raced")
        won = one["wins"] + two["wins"]
        assert (row.version, row.total) == (won + 1, won), "an update was lost, or won twice"
        store.drop_schema()
    return one, two


if __name__ == "__main__":
    if sys.argv[1:2] == ["--race"]:
        url, me, steps = sys.argv[2:]
        print(json.dumps(race(url, me, int(steps))))
    else:
        hunt(__doc__, run_round, STEPS)
