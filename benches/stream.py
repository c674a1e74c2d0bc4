"""Times a stream of 10 million rows of 8 columns over loopback against pyarrow's own Flight server, in C++, which sends
the same batches from memory. topline reads them from a Parquet file through a query.

    python benches/stream.py --topline target/release/topline [--rows 10000000] [--rounds 7]

Needs pyarrow and numpy. Each server is a process of its own on a free port, the client is pyarrow's for both; rounds
alternate, and the medians are compared. Exits with 1 where topline is the slower one.
"""

import argparse
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import pyarrow
import pyarrow.flight as flight
import pyarrow.parquet as parquet

QUERY = "select * from bench.rows"


def make(folder, rows):
    """Writes the rows: ids, numbers, an amount, a day, an instant and a short text."""
    dice = numpy.random.default_rng(7)
    channels = numpy.array(["paid_search", "paid_social", "content", "events", "outbound", "display", "email"])
    schema = None
    writer = None
    step = 1_000_000
    for start in range(0, rows, step):
        count = min(step, rows - start)
        ids = numpy.arange(start, start + count)
        table = pyarrow.table({
            "touch_id": pyarrow.array(ids, pyarrow.int64()),
            "account_id": pyarrow.array(dice.integers(0, 200_000, count), pyarrow.int64()),
            "clicks": pyarrow.array(dice.integers(0, 1000, count), pyarrow.int32()),
            "weight": pyarrow.array(dice.random(count), pyarrow.float64()),
            "cost": pyarrow.array(dice.random(count) * 100, pyarrow.float64()),
            "day": pyarrow.array(dice.integers(19_000, 20_700, count).astype("int32"), pyarrow.date32()),
            "touched_at": pyarrow.array(ids * 1_000_000, pyarrow.timestamp("us", tz="UTC")),
            "channel": pyarrow.array(channels[dice.integers(0, len(channels), count)]),
        })
        writer = writer or parquet.ParquetWriter(
            folder / "rows.parquet", table.schema, compression="none", use_dictionary=["channel"])
        writer.write_table(table)
    writer.close()


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def statement(sql):
    """Returns the descriptor of a statement of Flight SQL."""
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return flight.FlightDescriptor.for_command(field(1, name) + field(2, field(1, sql.encode())))


def stream(client, ticket):
    """Returns rows, bytes and seconds of a stream."""
    begin = time.perf_counter()
    rows = size = 0
    for chunk in client.do_get(ticket):
        rows += chunk.data.num_rows
        size += chunk.data.nbytes
    return rows, size, time.perf_counter() - begin


class FromMemory(flight.FlightServerBase):
    """Sends the batches that another server gave it."""

    def __init__(self, port):
        super().__init__("grpc://127.0.0.1:0")
        client = flight.connect(f"grpc://127.0.0.1:{port}")
        info = client.get_flight_info(statement(QUERY))
        self.batches = [chunk.data for chunk in client.do_get(info.endpoints[0].ticket)]
        self.columns = info.schema

    def do_get(self, context, ticket):
        reader = pyarrow.RecordBatchReader.from_batches(self.columns, self.batches)
        return flight.RecordBatchStream(reader)


def serve_from_memory(port):
    server = FromMemory(port)
    print(f"listening on 127.0.0.1:{server.port}", file=sys.stderr, flush=True)
    server.serve()


def start(command, folder):
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    port = next(found.group(1) for line in server.stderr if (found := re.search(r"127\.0\.0\.1:(\d+)", line)))
    return server, port


def compare(options, folder):
    (folder / "topline.toml").write_text('[sources.bench]\nconnector = "raw"\nlocation = "lake"\n')
    (folder / "lake").mkdir()
    make(folder / "lake", options.rows)
    binary = str(pathlib.Path(options.topline).resolve())
    servers = []
    try:
        servers.append(start([binary, "serve", "--listen", "127.0.0.1:0"], folder))
        servers.append(start([sys.executable, __file__, "--from-memory-of", servers[0][1]], folder))
        topline, peer = (flight.connect(f"grpc://127.0.0.1:{port}") for _, port in servers)
        seconds = {"topline": [], "pyarrow": []}
        for turn in range(options.rounds + 1):
            # The ticket is asked for inside the time: planning is part of what a client waits for.
            begin = time.perf_counter()
            ticket = topline.get_flight_info(statement(QUERY)).endpoints[0].ticket
            rows, size, _ = stream(topline, ticket)
            ours = time.perf_counter() - begin
            assert rows == options.rows, rows
            peer_rows, peer_size, theirs = stream(peer, flight.Ticket(b"all"))
            assert (peer_rows, peer_size) == (rows, size), (peer_rows, peer_size)
            if turn:  # the first round warms both up
                seconds["topline"].append(ours)
                seconds["pyarrow"].append(theirs)
        for name, times in seconds.items():
            middle = statistics.median(times)
            print(f"{name}: {rows} rows, {size >> 20} MB, median {middle:.3f} s, best {min(times):.3f} s, "
                  f"{rows / middle / 1e6:.1f} million rows/s")
        ratio = statistics.median(seconds["topline"]) / statistics.median(seconds["pyarrow"])
        print(f"topline takes {ratio:.2f} of pyarrow's time")
        return 0 if ratio <= 1 else 1
    finally:
        for server, _ in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topline")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--from-memory-of", help="serve what the server on this port gives, from memory")
    options = parser.parse_args()
    if options.from_memory_of:
        return serve_from_memory(options.from_memory_of)
    with tempfile.TemporaryDirectory() as folder:
        return compare(options, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
