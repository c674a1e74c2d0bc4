"""Loads a Flight SQL server with many clients at once: light questions beside heavy ones, without a pause.

    python benches/load.py --topline target/release/topline --data DIR [--clients 64] [--minutes 10] [--memory 2GB]

DIR is a company of `topline sample --accounts 50000 --months 36 --seed 11`. Half of the clients ask light questions, the
others heavy ones. Prints how long each took, what was refused, what failed, and the memory that the server held.
Needs adbc-driver-flightsql and pyarrow. Fails where a query fails otherwise than by a limit.
"""

import argparse
import collections
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import adbc_driver_flightsql.dbapi as flight

LIGHT = [
    "select 1",
    "select metric, label, unit from meta.metrics order by metric",
    "select month, metric, target from finance.targets limit 20",
    "select count(*) from crm.accounts",
    "select table_schema, table_name from information_schema.tables",
    "select stage, count(*) from crm.opportunities group by stage order by stage",
]
HEAVY = [
    "select month, channel, revenue, spend from attribution_by_channel where model = 'linear'",
    "select * from marketing_pnl",
    "select channel, count(*), count(distinct account_id) from campaign.touches group by channel",
    "select touch_id, touched_at from campaign.touches order by touched_at, touch_id limit 100000",
    "select month, nrr, grr from nrr",
    "select a.account_id, count(*) from campaign.touches a join campaign.touches b on a.account_id = b.account_id group by a.account_id order by 2 desc limit 10",
    "select * from time_to_revenue",
]

# How a refusal by a limit begins: its status, or what it says.
REFUSALS = re.compile("the server is busy|the limit of|RESOURCE_EXHAUSTED|ResourceExhausted", re.IGNORECASE)


class Tally:
    """What came of the queries of one kind."""

    def __init__(self):
        self.lock = threading.Lock()
        self.seconds = collections.defaultdict(list)
        self.refused = collections.Counter()
        self.failed = collections.Counter()

    def done(self, sql, seconds):
        with self.lock:
            self.seconds[sql].append(seconds)

    def missed(self, sql, error):
        with self.lock:
            (self.refused if REFUSALS.search(error) else self.failed)[(sql[:60], error[:300])] += 1


def work(uri, questions, tally, end, seed):
    dice = random.Random(seed)
    with flight.connect(uri) as connection:
        while time.monotonic() < end:
            sql = dice.choice(questions)
            begin = time.perf_counter()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(sql)
                    cursor.fetch_arrow_table()
                tally.done(sql, time.perf_counter() - begin)
            except Exception as error:  # noqa: BLE001: whatever it is, it is counted
                tally.missed(sql, str(error))
                time.sleep(0.1)


def resident(pid):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) / 1024, int(fields["VmHWM"].split()[0]) / 1024


def show(name, tally):
    everything = sorted(second for seconds in tally.seconds.values() for second in seconds)
    print(f"\n| {name} | queries | p50 ms | p99 ms | worst ms |\n| --- | ---: | ---: | ---: | ---: |")
    for sql, seconds in [("all", everything), *sorted(tally.seconds.items())]:
        if seconds:
            seconds = sorted(seconds)
            figures = (statistics.median(seconds), seconds[len(seconds) * 99 // 100], seconds[-1])
            print(f"| {sql[:70]} | {len(seconds)} | " + " | ".join(f"{figure * 1000:.0f}" for figure in figures) + " |")
    for kind, counted in (("refused", tally.refused), ("failed", tally.failed)):
        for (sql, error), count in counted.most_common(10):
            print(f"{kind} {count}: {sql}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topline", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--memory", default="2GB")
    options = parser.parse_args()
    environment = {**os.environ, "TOPLINE_LIMITS_MEMORY": options.memory}
    with tempfile.TemporaryFile(mode="w+") as log:
        command = [str(pathlib.Path(options.topline).resolve()), "serve", "--listen", "127.0.0.1:0"]
        server = subprocess.Popen(command, cwd=options.data, env=environment, stderr=log)
        try:
            port = None
            while port is None:
                time.sleep(0.1)
                log.seek(0)
                port = re.search(r"127\.0\.0\.1:(\d+)", log.read())
            uri = f"grpc://127.0.0.1:{port.group(1)}"
            light, heavy = Tally(), Tally()
            end = time.monotonic() + options.minutes * 60
            clients = []
            for number in range(options.clients):
                questions, tally = ((LIGHT, light), (HEAVY, heavy))[number % 2]
                clients.append(threading.Thread(target=work, args=(uri, questions, tally, end, number)))
            for client in clients:
                client.start()
            held = []
            while any(client.is_alive() for client in clients):
                time.sleep(1)
                held.append(resident(server.pid)[0])
            show("light", light)
            show("heavy", heavy)
            now, most = resident(server.pid)
            print(f"\nresident MB: median {statistics.median(held):.0f}, most {most:.0f}, at the end {now:.0f}")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)
    if light.failed or heavy.failed:
        sys.exit("queries failed")


main()
