"""Queries a topline server through the ADBC Flight SQL driver, as Python, R and BI tools do: adbc.py BINARY.

Starts the server on a free port over the sample, runs every check, stops the server, and exits with 1 if one failed.
"""

import datetime
import decimal
import re
import signal
import subprocess
import sys
import tempfile

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def a_metric_arrives_in_its_types(connection):
    with connection.cursor() as cursor:
        cursor.execute("select month, mrr, customers, arpa, is_complete from arpa order by month desc limit 1")
        table = cursor.fetch_arrow_table()
    assert table.num_rows == 1
    types = [field.type for field in table.schema]
    assert types == [pyarrow.date32(), pyarrow.decimal128(18, 2), pyarrow.int64(), pyarrow.float64(), pyarrow.bool_()], types


@check
def the_bridge_closes(connection):
    with connection.cursor() as cursor:
        cursor.execute("select opening + new + expansion - contraction - churn + reactivation + fx - closing from mrr_movements")
        rows = cursor.fetchall()
    assert rows and all(row[0] == decimal.Decimal(0) for row in rows), rows


@check
def credits_of_every_model_are_what_was_won(connection):
    with connection.cursor() as cursor:
        cursor.execute("select model, sum(credit) from attribution group by model")
        credits = dict(cursor.fetchall())
        cursor.execute("select sum(value) from core.conversions")
        won = cursor.fetchone()[0]
    assert len(credits) == 10 and set(credits.values()) == {won}, (credits, won)


@check
def parameters_are_bound(connection):
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from mrr where month = ? and closing > ?", (datetime.date(2026, 9, 1), 0))
        assert cursor.fetchone()[0] > 0


@check
def the_schemas_and_a_table_are_listed(connection):
    found = connection.adbc_get_objects(depth="tables").read_all().to_pylist()
    schemas = {schema["db_schema_name"]: schema for catalog in found for schema in catalog["catalog_db_schemas"]}
    assert {"crm", "billing", "campaign", "finance", "core", "metrics", "meta"} <= set(schemas), sorted(schemas)
    assert "nrr" in {table["table_name"] for table in schemas["metrics"]["db_schema_tables"]}


@check
def writing_is_refused_with_the_reason(connection):
    with connection.cursor() as cursor:
        for sql in ("create table x as select 1", "copy (select 1) to 'x.csv'", "select * from '/etc/hostname'"):
            try:
                cursor.execute(sql)
                cursor.fetchall()
            except Exception as error:  # the drivers raise their own classes
                assert "not allowed" in str(error) or "does not exist" in str(error), error
            else:
                raise AssertionError(f"{sql} was not refused")


@check
def an_error_leaves_the_connection_usable(connection):
    with connection.cursor() as cursor:
        try:
            cursor.execute("select nothing from nrr")
        except Exception as error:  # the drivers raise their own classes
            assert "nothing" in str(error), error
        cursor.execute("select 1")
        assert cursor.fetchone()[0] == 1


def main():
    folder = tempfile.mkdtemp()
    command = [sys.argv[1], "serve", "--listen", "127.0.0.1:0"]
    server = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    failed = 0
    try:
        port = None
        for line in server.stderr:
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                port = found.group(1)
                break
        assert port, "the server did not say where it listens"
        for function in CHECKS:
            try:
                with flightsql.connect(f"grpc://127.0.0.1:{port}") as connection:
                    function(connection)
                print(f"ok {function.__name__}")
            except Exception as error:  # every check reports, whatever happened in it
                failed += 1
                print(f"FAIL {function.__name__}: {error!r}")
    finally:
        server.send_signal(signal.SIGTERM)
        code = server.wait(timeout=30)
    if code != 0:
        failed += 1
        print(f"FAIL the server ended with {code}")
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
