"""Reads published tables with deltalake and DuckDB and holds every value to what topline answers.

    warehouse.py BINARY

Makes a company, publishes it, publishes it again after a late file, and compares each metric at both versions of the
ledger. Exits with 1 where a reader sees other rows.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from deltalake import DeltaTable

SECONDS_MAX = 600  # a command that hangs fails


class Warehouse:
    """A company with its warehouse, and the binary that publishes it."""

    def __init__(self, binary, folder):
        self.binary = str(pathlib.Path(binary).resolve())
        self.folder = folder
        self.run("sample", "--accounts", "40", "--months", "9", "--out", str(folder))

    def run(self, *arguments):
        done = subprocess.run([self.binary, *arguments], cwd=self.folder, capture_output=True, timeout=SECONDS_MAX)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)}\n{done.stderr.decode()}")
        return done.stdout

    def entry(self, number):
        """Returns an entry of the ledger."""
        return json.loads((self.folder / f"warehouse/_topline/ledger/{number:020}.json").read_text())

    def answer(self, metric, number, columns):
        """Returns the rows that topline has of a metric as of an entry."""
        names = ", ".join(f'"{name}"' for name in columns)
        sql = f"select {names} from as_of_version('{metric}', {number})"
        return pa.ipc.open_stream(self.run("query", sql, "--format", "arrow")).read_all()

    def late(self):
        """Takes away every third payment."""
        path = self.folder / "billing/payments.parquet"
        payments = pa.parquet.read_table(path)
        kept = [row for row in range(payments.num_rows) if row % 3]
        pa.parquet.write_table(payments.take(kept), path)


def sorted_rows(rows):
    """Returns rows in an order of their own, each value with its type left out where readers differ in it."""

    def plain(value):
        return value.isoformat() if hasattr(value, "isoformat") else value

    plain_rows = [tuple(plain(value) for value in row) for row in rows]
    return sorted(plain_rows, key=lambda row: tuple((value is not None, str(value)) for value in row))


def rows_of(table, columns):
    return sorted_rows(zip(*(table.column(name).to_pylist() for name in columns))) if columns else []


def of_deltalake(table, columns):
    return rows_of(pa.table(table.to_pyarrow_table()), columns)


def of_duckdb(table, columns):
    """Returns what DuckDB reads in the files that the log names, months from their paths."""
    files = table.file_uris()
    if not files:
        return []
    names = ", ".join(f'"{name}"' for name in columns)
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.execute(
            f"select {names} from read_parquet(?, hive_partitioning = true, union_by_name = true)", [files]
        )
        return sorted_rows(rows.fetchall())


def compare(warehouse, number):
    """Compares every metric as of an entry; returns how many rows were compared, and what differs."""
    compared, problems = 0, []
    for metric, state in warehouse.entry(number)["state"]["tables"].items():
        table = DeltaTable(str(warehouse.folder / "warehouse/published" / metric), version=state["version"])
        columns = [field.name for field in table.schema().fields]
        expected = rows_of(warehouse.answer(metric, number, columns), columns)
        compared += len(expected)
        for name, read in (("deltalake", of_deltalake), ("duckdb", of_duckdb)):
            found = read(table, columns)
            if found != expected:
                first = next((pair for pair in zip(found, expected) if pair[0] != pair[1]), None)
                problems.append(f"{name}: {metric} as of {number}: {len(found)} rows for {len(expected)}: {first}")
    return compared, problems


def main():
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(sys.argv[1], pathlib.Path(folder))
        warehouse.run("materialize")
        warehouse.late()
        warehouse.run("materialize")
        compared, problems = 0, []
        for number in (0, 1):
            rows, found = compare(warehouse, number)
            compared, problems = compared + rows, problems + found
    print(f"{compared} rows of published tables, read with deltalake and DuckDB")
    if problems or compared == 0:
        sys.exit("\n".join(problems) or "nothing was compared")


main()
