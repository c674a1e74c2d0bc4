"""Runs every type and call through the ADBC and the JDBC driver and holds docs/clients.md to what comes out.

    table.py BINARY DRIVER_JAR [--write]

Starts the server on a free port over the sample. Exits with 1 where the page says something else; `--write` mends it.
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "clients.md"
BEGIN, END = "<!-- what tests/clients/table.py found -->\n", "<!-- end -->\n"
SECONDS_MAX = 300  # a client that hangs fails


def line(cells):
    return "| " + " | ".join(cells) + " |\n"


def page(results):
    """Returns the tables of the page."""
    columns = [(client["client"], call) for client in results for call in ("query", "null", "parameter", "type name")]
    text = line(["type"] + [f"{client}: {call}" for client, call in columns])
    text += line(["---"] * (len(columns) + 1))
    by_client = {client["client"]: client for client in results}
    for kind in results[0]["types"]:
        text += line([kind] + [by_client[client]["types"][kind][call] for client, call in columns])
    text += "\n" + line(["call"] + list(by_client)) + line(["---"] * (len(results) + 1))
    for call in results[0]["calls"]:
        text += line([call] + [client["calls"][call] for client in results])
    return text


def found(binary, driver):
    """Returns what each client found."""
    folder = pathlib.Path(tempfile.mkdtemp())
    command = [str(pathlib.Path(binary).resolve()), "serve", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        port = next(match.group(1) for text in server.stderr if (match := re.search(r"127\.0\.0\.1:(\d+)", text)))
        adbc, jdbc = folder / "adbc.json", folder / "jdbc.json"
        java = ["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", driver, str(HERE / "Values.java")]
        subprocess.run([sys.executable, str(HERE / "values.py"), port, str(adbc)], check=True, timeout=SECONDS_MAX)
        subprocess.run([*java, port, str(HERE / "values.tsv"), str(jdbc)], check=True, timeout=SECONDS_MAX)
        return [json.loads(file.read_text()) for file in (adbc, jdbc)]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def main():
    tables = page(found(sys.argv[1], sys.argv[2]))
    before, rest = PAGE.read_text().split(BEGIN)
    said, after = rest.split(END)
    if "--write" in sys.argv:
        PAGE.write_text(before + BEGIN + tables + END + after)
    elif said != tables:
        print(f"{PAGE.name} does not say what the clients find, which is:\n{tables}")
        sys.exit(1)
    print(f"{PAGE.name} says what the clients find")


main()
