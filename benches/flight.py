"""Times the Flight SQL server: streaming 10 million rows of 8 columns, and the round trip of `select 1`.

    python benches/flight.py --topline target/release/topline [--rows 10000000]

Needs adbc-driver-flightsql and pyarrow. The server listens on a free port of loopback over the sample.
"""

import argparse
import re
import signal
import statistics
import subprocess
import tempfile
import time

import adbc_driver_flightsql.dbapi as flightsql

COLUMNS = (
    "value as a, value * 2 as b, cast(value as double) as c, value % 7 as d, "
    "date '2026-01-01' as e, cast(value as decimal(18, 2)) as f, value % 2 = 0 as g, 'linear' as h"
)
ROUND_TRIPS = 500


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topline", required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    command = [options.topline, "serve", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, cwd=tempfile.mkdtemp(), stderr=subprocess.PIPE, text=True)
    try:
        port = next(found.group(1) for line in server.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
        with flightsql.connect(f"grpc://127.0.0.1:{port}") as connection, connection.cursor() as cursor:
            begin = time.perf_counter()
            cursor.execute(f"select {COLUMNS} from generate_series(1, {options.rows})")
            rows = bytes_read = 0
            for batch in cursor.fetch_record_batch():
                rows += batch.num_rows
                bytes_read += batch.nbytes
            seconds = time.perf_counter() - begin
            print(f"{rows} rows, {bytes_read >> 20} MB in {seconds:.2f} s: {rows / seconds / 1e6:.2f} million rows/s")
            trips = []
            for _ in range(ROUND_TRIPS):
                begin = time.perf_counter()
                cursor.execute("select 1")
                cursor.fetchall()
                trips.append((time.perf_counter() - begin) * 1000)
            trips.sort()
            print(f"select 1: p50 {statistics.median(trips):.2f} ms, p99 {trips[len(trips) * 99 // 100]:.2f} ms")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=30)


main()
