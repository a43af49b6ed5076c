"""Tables of figures: on a terminal, and as JSON."""

import dataclasses
import json
import statistics


@dataclasses.dataclass
class Row:
    name: str
    median: float
    low: float
    high: float
    runs: int

    @classmethod
    def of(cls, name, values):
        low, high = min(values), max(values)
        if len(values) >= 10:
            low, *_, high = statistics.quantiles(values, n=10)
        return cls(name, *(round(value, 4) for value in (statistics.median(values), low, high)), len(values))


@dataclasses.dataclass
class Table:
    """`low` and `high` of a row: a tenth of its runs was below, a tenth above; of fewer than 10 runs the least and the most."""

    key: str
    title: str
    unit: str
    # The row that the others are compared with.
    base: str
    rows: list = dataclasses.field(default_factory=list)
    # How many records there were in the run directory.
    records: int = 0

    def add(self, name, values):
        self.rows.append(Row.of(name, values))

    def ratio(self, row):
        base = next((each.median for each in self.rows if each.name == self.base), 0)
        return row.median / base if base else None

    def lines(self):
        places = 0 if self.unit in ("KiB", "per second", "") else 2
        number = lambda value: f"{value:.{places}f}"
        for row in self.rows:
            ratio = self.ratio(row)
            spread = f"{number(row.low)} to {number(row.high)}" if row.runs > 1 else ""
            yield row.name, number(row.median), self.unit, spread, f"{ratio:.2f}" if ratio is not None else ""

    def show(self):
        print(f"\n{self.title}; {self.records} records" if self.records else f"\n{self.title}")
        for name, median, unit, spread, ratio in self.lines():
            told = f"{ratio:>8} x {self.base}" if ratio and name != self.base else ""
            print(f"  {name:26} {median:>9} {unit:10} {f'({spread})' if spread else '':22}{told}".rstrip(), flush=True)


@dataclasses.dataclass
class Results:
    about: dict
    tables: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)

    def add(self, table):
        if table.rows:
            table.show()
            self.tables.append(table)

    def find(self, key):
        """The first of them, with the fewest records; None: it was not measured."""
        return next((table for table in self.tables if table.key == key), None)

    def near(self, key, records):
        """The one with about so many: each measurement leaves some more behind."""
        tables = [table for table in self.tables if table.key == key]
        return min(tables, key=lambda table: abs(table.records - records))

    def note(self, text):
        print(f"  ({text})")
        self.notes.append(text)

    def write(self, path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path):
        stored = json.loads(path.read_text())
        tables = [Table(**{**table, "rows": [Row(**row) for row in table["rows"]]}) for table in stored["tables"]]
        return cls(stored["about"], tables, stored["notes"])
