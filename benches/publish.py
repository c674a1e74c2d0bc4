"""Measures what a late file costs against publishing everything, and how fast published months answer.

    publish.py --topline BINARY --data DIR

DIR is a company of `topline sample --accounts 50000 --months 36 --seed 11`, whose tables are linked into a temporary
folder. Each run is a process of its own: its wall and processor seconds, and the bytes that its scans read.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MONTH = "2025-06"
LATE_ROWS = 50
QUERIES = 200

# What comes late: the table, its key, and the column by which the rows are of the month.
LATE = [
    ("billing/invoices", "invoice_id", "issued_at"),
    ("billing/payments", "payment_id", "paid_at"),
    ("campaign/spend", None, "spend_date"),
    ("finance/costs", None, "month"),
    ("campaign/touches", "touch_id", "touched_at"),
]

DASHBOARD = [
    "select month, nrr, grr from nrr where month < '2026-11-01' order by month",
    "select month, model, channel, revenue, spend from attribution_by_channel"
    " where model = 'linear' and month < '2026-11-01' order by month, channel",
    "select period, metric, value, target, status from monthly_scorecard where period < '2026-11-01'",
]


def lay_out(data, folder):
    """Links the company's tables, each in a folder of its own, so that files can be added."""
    for source in data.rglob("*.parquet"):
        relative = source.relative_to(data)
        table = relative.with_suffix("") if len(relative.parts) == 2 else relative.parent
        place = folder / table / source.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    configuration = (data / "topline.toml").read_text() + '\n[warehouse]\nlocation = "warehouse"\naccelerate = true\n'
    (folder / "topline.toml").write_text(configuration)


def late_file(folder, table, key, column):
    """Writes some rows of a month once more, under other keys."""
    base = sorted((folder / table).glob("*.parquet"))
    for file in base:
        rows = pq.read_table(file)
        days = pc.cast(rows[column], pa.string())
        of_month = rows.filter(pc.starts_with(days, MONTH)).slice(0, LATE_ROWS)
        if of_month.num_rows:
            break
    if key:
        place = of_month.schema.get_field_index(key)
        ids = pa.array([f"late-{row}" for row in range(of_month.num_rows)], of_month.schema.field(key).type)
        of_month = of_month.set_column(place, of_month.schema.field(key), ids)
    path = folder / table / "zz-late.parquet"
    pq.write_table(of_month, path)
    return path


def materialize(binary, folder, *arguments):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        [binary, "materialize", "--format", "json", *arguments], cwd=folder, capture_output=True, text=True
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, json.loads(done.stdout)


def computed(report):
    """Returns in words how many metrics were computed, and of which months."""
    words = [metric["computed"] for metric in report["metrics"]]
    some = sum(1 for word in words if word != "none" and not word.startswith("all"))
    whole = sum(1 for word in words if word.startswith("all"))
    return f"{some} metrics in some months, {whole} in all, {len(words) - some - whole} in none"


def line(name, wall, cpu, report, full):
    megabytes = report["bytes_read"] / 1e6
    ratios = f"{wall / full[0]:.3f} | {report['bytes_read'] / full[1]:.3f}"
    restated = sum(1 for metric in report["metrics"] for what in metric["months"].values() if what == "restated")
    print(f"| {name} | {wall:.2f} | {cpu:.2f} | {megabytes:.1f} | {ratios} | {restated} | {computed(report)} |", flush=True)


def measure_runs(binary, folder):
    print("| run | s | cpu s | MB read | of full: time | bytes | months restated | computed |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    materialize(binary, folder)
    wall, cpu, report = materialize(binary, folder, "--full")
    full = (wall, report["bytes_read"])
    line("all months of all metrics", wall, cpu, report, full)
    line("nothing changed", *materialize(binary, folder), full)
    for table, key, column in LATE:
        path = late_file(folder, table, key, column)
        line(f"late file of {table}, {MONTH}", *materialize(binary, folder), full)
        path.unlink()
        materialize(binary, folder)
    untouched = folder / "finance/targets/zz-late.parquet"
    rows = pq.read_table(next((folder / "finance/targets").glob("*.parquet"))).slice(0, 0)
    pq.write_table(rows, untouched)
    line("late file without rows", *materialize(binary, folder), full)
    untouched.unlink()
    materialize(binary, folder)


def measure_answers(binary, folder):
    import adbc_driver_flightsql.dbapi as flight

    print("\n| question through Flight SQL | p50 ms | p95 ms | computed: p50 ms |")
    print("| --- | ---: | ---: | ---: |")
    times = {}
    for accelerate, count in (("true", QUERIES), ("false", 5)):
        environment = {**os.environ, "TOPLINE_WAREHOUSE_ACCELERATE": accelerate}
        command = [binary, "serve", "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            port = next(found.group(1) for text in server.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", text)))
            with flight.connect(f"grpc://127.0.0.1:{port}") as connection, connection.cursor() as cursor:
                for sql in DASHBOARD:
                    taken = []
                    for _ in range(count + 2):
                        started = time.perf_counter()
                        cursor.execute(sql)
                        cursor.fetch_arrow_table()
                        taken.append((time.perf_counter() - started) * 1e3)
                    times.setdefault(sql, []).append(sorted(taken[2:]))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    for sql, (fast, live) in times.items():
        p95 = fast[int(len(fast) * 0.95)]
        print(f"| {sql.split(' from ')[1].split()[0]} | {statistics.median(fast):.1f} | {p95:.1f} | {statistics.median(live):.1f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topline", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    binary = str(pathlib.Path(arguments.topline).resolve())
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lay_out(arguments.data, folder)
        measure_runs(binary, folder)
        measure_answers(binary, folder)


main()
