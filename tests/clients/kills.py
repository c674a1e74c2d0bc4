"""Kills `topline materialize` all over its duration, on a local disk and on an S3 server, and holds what is left to account.

    kills.py BINARY [--kills 200] [--on disk,s3]

Half of the kills come at any moment of a run, the other half after its first commit. A server joins two published tables
all the while. The S3 server is moto, one write at a time, which makes its conditional puts atomic; that they are is
tried first. Exits with 1 where anything is lost, doubled, half seen or not on the record.
"""

import argparse
import concurrent.futures
import contextlib
import datetime
import decimal
import json
import logging
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow
import pyarrow.parquet

METRICS = ("paid", "paid_ever")
FEBRUARY = "2026-02-01"
BUCKET = "warehouse"
RACES = 20  # keys that some writers want at the same time
WRITERS = 16
MEASURED = 5  # whole runs, whose median is the duration
CHECKED_EVERY = 10  # kills, after which a whole run must give what one clean run gives
SECONDS_MAX = 60  # a run that hangs fails

CONFIGURATION = """
[reporting]
as_of = "2026-04-01T00:00:00Z"

[sources.billing]
connector = "canonical"
location = "billing"

[warehouse]
location = "{warehouse}"

[models]
location = "models"
"""

PAID = """select
    local_month(paid_at) as month,
    cast(sum(amount) as decimal(18, 2)) as paid,
    local_month(paid_at) < local_month(setting('reporting.as_of')) as is_complete
from billing.payments
where paid_at < setting('reporting.as_of')
group by local_month(paid_at)
"""

PAID_SIDECAR = """
description = "What was paid in a month."
grain = "month"
key = ["month"]
period = "month"
columns = [
    ["month", "date", "month"],
    ["paid", "money", "payments"],
    ["is_complete", "flag", "whether the month has ended at as_of"],
]
"""

EVER = """select
    'all' as scope,
    cast(sum(amount) as decimal(18, 2)) as paid
from billing.payments
where paid_at < setting('reporting.as_of')
"""

EVER_SIDECAR = """
description = "What was paid."
grain = "scope"
key = ["scope"]
columns = [
    ["scope", "text", "all"],
    ["paid", "money", "payments"],
]
"""

# Both tables in one query: the sums agree where both are of one run.
LOOK = """select months.paid, ever.paid from (select sum(paid) as paid from published.paid) as months
    cross join published.paid_ever as ever"""


class Disk:
    """A warehouse in a folder."""

    name = "disk"

    def __init__(self, folder):
        self.location = "warehouse"
        self.environment = {}
        self.folder = folder / "warehouse" / "published"

    def commits(self):
        return sum(len(list(log.glob("*.json"))) for log in self.folder.glob("*/_delta_log"))

    def wait_for_commit(self, run):
        before = self.commits()
        while run.poll() is None and self.commits() == before:
            pass

    def stop(self):
        pass


class S3:
    """A warehouse in a bucket of a server of this process."""

    name = "s3"

    def __init__(self, _folder):
        # Imported here: a run on disk alone needs no server.
        import moto.server
        import werkzeug.serving

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.inner = moto.server.DomainDispatcherApplication(moto.server.create_backend_app)
        self.writing = threading.Lock()
        self.committed = threading.Event()
        self.server = werkzeug.serving.make_server("127.0.0.1", 0, self.answer, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        self.location = f"s3://{BUCKET}/topline"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.client().create_bucket(Bucket=BUCKET)
        self.try_conditional_puts()

    def client(self):
        import boto3

        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1",
                            aws_access_key_id="test", aws_secret_access_key="test")

    def answer(self, environment, start):
        if environment["REQUEST_METHOD"] == "GET" or environment["REQUEST_METHOD"] == "HEAD":
            return self.inner(environment, start)
        with self.writing:
            # The answer is made whole within the lock, so that a condition and its write are one.
            answer = list(self.inner(environment, start))
        if re.search(r"/published/.*/_delta_log/\d+\.json$", environment["PATH_INFO"]):
            self.committed.set()
        return answer

    def try_conditional_puts(self):
        clients = [self.client() for _ in range(WRITERS)]

        def put(client, race):
            try:
                client.put_object(Bucket=BUCKET, Key=f"race-{race}", Body=b"x", IfNoneMatch="*")
                return 1
            except client.exceptions.ClientError as error:
                assert error.response["Error"]["Code"] == "PreconditionFailed", error
                return 0

        with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
            for race in range(RACES):
                won = sum(pool.map(lambda client: put(client, race), clients))
                assert won == 1, f"{won} of {WRITERS} got the key: the server does not honour conditional puts"

    def wait_for_commit(self, run):
        while run.poll() is None and not self.committed.wait(0.0005):
            pass

    def stop(self):
        self.server.shutdown()


class Shop:
    """A company with payments, one of which is another each time, and a warehouse."""

    def __init__(self, binary, warehouse_of):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        self.binary = binary
        self.warehouse = warehouse_of(self.folder)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOPLINE_", "AWS_"))}
        self.environment = kept | self.warehouse.environment
        self.cents = 0
        for path, text in {
            "topline.toml": CONFIGURATION.format(warehouse=self.warehouse.location),
            "models/metrics/paid.sql": PAID,
            "models/metrics/paid.toml": PAID_SIDECAR,
            "models/metrics/paid_ever.sql": EVER,
            "models/metrics/paid_ever.toml": EVER_SIDECAR,
        }.items():
            self.folder.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
            self.folder.joinpath(path).write_text(text)
        self.write("first", [("p1", 1, 10_000), ("p2", 2, 10_000), ("p3", 3, 10_000)])

    def write(self, name, payments):
        """Writes payments: id, month, cents."""
        count = len(payments)
        paid_at = [datetime.datetime(2026, month, 15, tzinfo=datetime.timezone.utc) for _, month, _ in payments]
        table = pyarrow.table({
            "payment_id": [payment for payment, _, _ in payments],
            "customer_id": ["b1"] * count,
            "status": ["succeeded"] * count,
            "currency": ["USD"] * count,
            "paid_at": pyarrow.array(paid_at, pyarrow.timestamp("us", "UTC")),
            "amount": pyarrow.array([decimal.Decimal(cents) / 100 for _, _, cents in payments], pyarrow.decimal128(18, 2)),
        })
        path = self.folder / "billing" / "payments" / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        # In one step: a reader of the source must not see half of it.
        unfinished = self.folder / "unfinished"
        pyarrow.parquet.write_table(table, unfinished)
        unfinished.rename(path)

    def pay_late(self):
        self.cents += 1
        self.write("late", [("p4", 2, self.cents)])

    def start(self, *arguments, **options):
        return subprocess.Popen([self.binary, *arguments], cwd=self.folder, env=self.environment, text=True, **options)

    def run(self, *arguments):
        run = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, error = run.communicate(timeout=SECONDS_MAX)
        assert run.returncode == 0, f"{arguments}: {error}"
        return out

    def query(self, sql):
        return [list(row.values()) for row in json.loads(self.run("query", "--format", "json", sql))]

    def materialize(self):
        return self.start("materialize", *METRICS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def close(self):
        self.warehouse.stop()
        self.temporary.cleanup()


class Reader:
    """A server that joins both tables all the while."""

    def __init__(self, shop):
        self.looks, self.faults, self.ended = 0, [], threading.Event()
        self.server = shop.start("serve", "--listen", "127.0.0.1:0", stderr=subprocess.PIPE)
        port = next(found.group(1) for found in (re.search(r"127\.0\.0\.1:(\d+)", line) for line in self.server.stderr) if found)
        self.connection = flightsql.connect(f"grpc://127.0.0.1:{port}", autocommit=True)
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        with self.connection.cursor() as cursor:
            while not self.ended.is_set():
                try:
                    cursor.execute(LOOK)
                    rows = cursor.fetchall()
                    if len(rows) != 1 or rows[0][0] != rows[0][1]:
                        self.faults.append(rows)
                except Exception as error:  # whatever a reader meets is a fault
                    self.faults.append(repr(error))
                self.looks += 1

    def close(self):
        self.ended.set()
        self.thread.join()
        self.connection.close()
        self.server.send_signal(signal.SIGTERM)
        self.server.wait(timeout=SECONDS_MAX)


def measure(shop):
    """Returns the seconds of a whole run, and those from its first commit to its end."""
    wholes, tails = [], []
    for _ in range(MEASURED):
        shop.pay_late()
        clear(shop)
        started = time.monotonic()
        run = shop.materialize()
        shop.warehouse.wait_for_commit(run)
        committed = time.monotonic()
        assert run.wait(timeout=SECONDS_MAX) == 0
        wholes.append(time.monotonic() - started)
        tails.append(time.monotonic() - committed)
    return sorted(wholes)[MEASURED // 2], sorted(tails)[MEASURED // 2]


def clear(shop):
    committed = getattr(shop.warehouse, "committed", None)
    if committed:
        committed.clear()


def kill_once(shop, seconds, is_late):
    """Kills a run; returns whether it was still there."""
    shop.pay_late()
    clear(shop)
    run = shop.materialize()
    if is_late:
        shop.warehouse.wait_for_commit(run)
    time.sleep(seconds)
    was_there = run.poll() is None
    run.kill()
    run.wait()
    return was_there


def check(shop):
    """Runs to the end and returns what is wrong."""
    faults = []

    def demand(what, found, expected):
        if found != expected:
            faults.append(f"{what}: found {found}, expected {expected}")

    shop.run("materialize", *METRICS)
    late = f"{100 + shop.cents / 100:.2f}"
    demand("published months", shop.query("select cast(paid as varchar) as paid from published.paid order by month"),
           [["100.00"], [late], ["100.00"]])
    demand("published ever", shop.query("select cast(paid as varchar) as paid from published.paid_ever"),
           [[f"{300 + shop.cents / 100:.2f}"]])
    for metric, first, last in (("paid", "100.00", late), ("paid_ever", "300.00", f"{300 + shop.cents / 100:.2f}")):
        steps = shop.query(f"select value_before, value_after from meta.restatements where metric = '{metric}' order by at")
        values = [first, *(after for _, after in steps)]
        demand(f"restatements of {metric}", [before for before, _ in steps], values[:-1])
        demand(f"last restatement of {metric}", values[-1], last)
    versions = [row[0] for row in shop.query("select version from meta.runs order by version")]
    demand("versions", versions, list(range(len(versions))))
    demand("rows of runs that are not on the record", shop.query(
        """select count(*) as n from (
            select _run_id as run_id from published.paid union all select _run_id from published.paid_ever
            union all select run_id from meta.restatements
        ) as written where run_id not in (select run_id from meta.runs where kind = 'published')"""), [[0]])
    demand("nothing left to do", "nothing to do" in shop.run("materialize", *METRICS), True)
    shop.run("verify")
    return faults


def trial(binary, warehouse_of, kills, dice):
    """Kills runs on one kind of warehouse; returns what is wrong."""
    shop = Shop(binary, warehouse_of)
    faults, done, after_commit, runs = [], 0, 0, 0
    try:
        shop.run("materialize", *METRICS)
        whole, tail = measure(shop)
        reader = Reader(shop)
        with contextlib.closing(reader):
            while done < kills:
                runs += 1
                # Kills that come too late count as none, so that as many runs are cut short as are asked for.
                is_late = after_commit * 2 < kills and runs % 2 == 0 or done - after_commit >= (kills + 1) // 2
                was_there = kill_once(shop, dice.uniform(0, tail if is_late else whole), is_late)
                done += was_there
                after_commit += was_there and is_late
                if was_there and done % CHECKED_EVERY == 0:
                    faults += check(shop)
            faults += check(shop)
        faults += [f"a reader sees {fault}" for fault in reader.faults]
        published = shop.query("select count(*) as n from meta.runs where kind = 'published'")[0][0]
        print(f"{shop.warehouse.name}: {done} kills in {runs} runs of {whole:.2f} s, {after_commit} of them within the "
              f"{tail * 1000:.0f} ms after the first commit, {published} published, {reader.looks} looks, {len(faults)} violations")
    finally:
        shop.close()
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=os.path.abspath)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--on", default="disk,s3")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    warehouses = {"disk": Disk, "s3": S3}
    faults = []
    for name in arguments.on.split(","):
        faults += trial(arguments.binary, warehouses[name], arguments.kills, random.Random(arguments.seed))
    for fault in faults:
        print(f"FAIL {fault}")
    sys.exit(1 if faults else 0)


main()
