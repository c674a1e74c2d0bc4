"""Times every metric view of a topline binary on data of `topline sample`, each in a process of its own.

    python benches/views.py --topline target/release/topline --data DATA [--views mrr,nrr] [--repeat 3]
        [--memory "512 MB"] [--threads 2] [--peer DIR_OF_THE_DUCKDB_PEER --peer-python PYTHON]

Prints for each view the best wall time, processor time and largest memory; with a peer, which is run in turn, the same
for it and the ratio of whole processes. Start-up is `select 1`; the bare scan is the sum over a touch column.
Needs Python 3 on Linux and nothing else.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time

VIEWS = [
    "attribution", "attribution_by_channel", "attribution_by_campaign", "cac", "cac_by_channel", "mrr", "mrr_movements",
    "nrr", "nrr_by_segment", "arpa", "time_to_revenue", "time_to_revenue_monthly",
]  # fmt: skip

STATEMENTS = {
    "start-up": "select 1",
    "bare scan": "select count(touch_id), count(email), max(touched_at) from campaign.touches",
}


def run(command, environment):
    """Returns wall seconds, processor seconds and the largest memory in MB of a process."""
    before = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - before
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(command)}\n{errors.decode(errors='replace')}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def topline(options, view, folder, environment):
    sql = STATEMENTS.get(view, f"select * from metrics.{view}")
    command = [options.topline, "--config", os.path.join(options.data, "topline.toml"), "query", sql]
    runs = [
        run(command + ["--format", "arrow", "--output", os.path.join(folder, "rows.arrow")], environment)
        for _ in range(options.repeat)
    ]
    return min(run[0] for run in runs), min(run[1] for run in runs), max(run[2] for run in runs)


def peer(options, view, folder):
    command = [options.peer_python, os.path.join(options.peer, "run.py"), options.data, folder]
    command += ["--views", view, "--repeat", str(options.repeat), "--no-csv", "--threads", str(options.threads)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return found[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topline", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--views", default=",".join([*STATEMENTS, *VIEWS]))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory")
    parser.add_argument("--peer")
    parser.add_argument("--peer-python", default="python3")
    options = parser.parse_args()
    environment = dict(os.environ, TOPLINE_LIMITS_THREADS=str(options.threads))
    if options.memory:
        environment["TOPLINE_LIMITS_MEMORY"] = options.memory
    print("| view | topline s | cpu s | MB |" + (" DuckDB s | query s | cpu s | MB | ratio |" if options.peer else ""))
    print("| --- | ---: | ---: | ---: |" + (" ---: | ---: | ---: | ---: | ---: |" if options.peer else ""))
    with tempfile.TemporaryDirectory() as folder:
        for view in options.views.split(","):
            wall, cpu, memory = topline(options, view, folder, environment)
            line = f"| {view} | {wall:.2f} | {cpu:.2f} | {memory:.0f} |"
            if options.peer and view in VIEWS:
                other = peer(options, view, folder)
                line += f" {other['process_s']:.2f} | {other['query_s']:.2f} | {other['cpu_s']:.2f} | {other['rss_mb']} |"
                line += f" {wall / other['process_s']:.2f} |"
            print(line, flush=True)


main()
