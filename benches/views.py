"""Times every view of a topline binary that people ask on data of `topline sample`, each in a process of its own.

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

STATEMENTS = {
    "start-up": "select 1",
    "bare scan": "select count(touch_id), count(email), max(touched_at) from campaign.touches",
}


NAMES = """select case when model_schema = 'quality' then 'quality.' else '' end || model_name as name
    from meta.models where model_schema = 'metrics' or model_name in ('reconciliation', 'revenue_leakage', 'violations')
    order by model_schema, model_name"""


def views(options):
    """Returns what is timed: start-up, a bare scan, every metric, and the views of quality that are no single rule."""
    command = [options.topline, "query", NAMES, "--format", "csv"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [*STATEMENTS, *listed.split()[1:]]


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
    sql = STATEMENTS.get(view, f"select * from {view}")
    command = [options.topline, "--config", os.path.join(options.data, "topline.toml"), "query", sql]
    runs = [
        run(command + ["--format", "arrow", "--output", os.path.join(folder, "rows.arrow")], environment)
        for _ in range(options.repeat)
    ]
    return min(run[0] for run in runs), min(run[1] for run in runs), max(run[2] for run in runs)


def has_peer(options, view):
    return options.peer and os.path.exists(os.path.join(options.peer, "duckdb", f"{view.removeprefix('quality.')}.sql"))


def peer(options, view, folder):
    command = [options.peer_python, os.path.join(options.peer, "run.py"), options.data, folder]
    command += ["--views", view.removeprefix("quality."), "--repeat", str(options.repeat), "--no-csv"]
    command += ["--threads", str(options.threads)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return found[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topline", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--views", help="names, with commas between them; all where none is given")
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
        for view in options.views.split(",") if options.views else views(options):
            wall, cpu, memory = topline(options, view, folder, environment)
            line = f"| {view} | {wall:.2f} | {cpu:.2f} | {memory:.0f} |"
            if has_peer(options, view):
                other = peer(options, view, folder)
                line += f" {other['process_s']:.2f} | {other['query_s']:.2f} | {other['cpu_s']:.2f} | {other['rss_mb']} |"
                line += f" {wall / other['process_s']:.2f} |"
            print(line, flush=True)


main()
