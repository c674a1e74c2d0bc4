"""Every type through the ADBC driver: values.py PORT FILE writes what arrives, as JSON."""

import datetime
import json
import pathlib
import sys

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow

VALUES = pathlib.Path(__file__).with_name("values.tsv")


def text(value):
    """Returns a value as `values.tsv` writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime.datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return str(value)


def cell(check):
    """Returns what a check gives, or that it does not work."""
    try:
        return check()
    except Exception as error:  # the drivers raise their own classes
        print(f"{check.__name__}: {error!r}", file=sys.stderr)
        return "no"


def same(found, expected):
    assert found == expected, f"expected {expected!r}, found {found!r}"


def of_type(connection, sql, expected):
    def fetch(statement, parameters=None):
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetch_arrow_table()

    def query():
        table = fetch(f"select {sql} as v")
        same(text(table.column(0)[0].as_py()), expected)
        return str(table.schema.field(0).type)

    def null():
        table = fetch(f"select nullif(v, v) as v from (select {sql} as v) as t")
        same(table.column(0).to_pylist(), [None])
        same(table.schema.field(0).type, fetch(f"select {sql} as v").schema.field(0).type)
        return "yes"

    def parameter():
        column = fetch(f"select {sql} as v").column(0).combine_chunks()
        batch = pyarrow.record_batch([column], names=["1"])
        same(fetch(f"select count(*) as n from (select {sql} as v) as t where v = ?", batch).column(0).to_pylist(), [1])
        return "yes"

    def name():
        return fetch(f"select {sql} as v").schema.field(0).metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"].decode()

    return {"query": cell(query), "null": cell(null), "parameter": cell(parameter), "type name": cell(name)}


def calls(connection):
    def rows(sql, parameters=None):
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def objects(depth):
        return connection.adbc_get_objects(depth=depth, db_schema_filter="crm").read_all().to_pylist()

    def table():
        schemas = objects("all")[0]["catalog_db_schemas"]
        return next(table for table in schemas[0]["db_schema_tables"] if table["table_name"] == "accounts")

    def catalogs():
        same([found["catalog_name"] for found in objects("catalogs")], ["topline"])

    def schemas():
        same([found["db_schema_name"] for found in objects("db_schemas")[0]["catalog_db_schemas"]], ["crm"])

    def tables():
        same(table()["table_type"], "BASE TABLE")

    def columns():
        assert "account_id" in [column["column_name"] for column in table()["table_columns"]]

    def table_types():
        same(connection.adbc_get_table_types(), ["BASE TABLE", "VIEW"])

    def product():
        same(connection.adbc_get_info()["vendor_name"], "topline")

    def primary_key():
        keys = rows("select column_name from information_schema.key_column_usage where table_schema = 'crm' "
                    "and table_name = 'accounts' and constraint_name = 'accounts_key'")
        same(keys, [("account_id",)])

    def foreign_keys():
        found = rows("select constraint_type from information_schema.table_constraints where table_schema = 'crm' "
                     "and table_name = 'opportunities' and constraint_name = 'opportunities_account_id_fkey'")
        same(found, [("FOREIGN KEY",)])

    def empty_result():
        with connection.cursor() as cursor:
            cursor.execute("select * from nrr where false")
            same([cursor.fetch_arrow_table().num_rows, cursor.description[0][0]], [0, "month"])

    def a_million_rows():
        same(rows("select count(*), sum(value) from generate_series(1, 1000000)"), [(1000000, 500000500000)])
        with connection.cursor() as cursor:
            cursor.execute("select value from generate_series(1, 1000000)")
            same(cursor.fetch_arrow_table().num_rows, 1000000)

    def rows_of_parameters():
        with connection.cursor() as cursor:
            cursor.execute("select cast(? as bigint) as n", pyarrow.record_batch([pyarrow.array([1, 2, 3])], names=["n"]))
            same(cursor.fetchall(), [(1,), (2,), (3,)])

    def session_option():
        connection.adbc_current_db_schema = "crm"
        same(connection.adbc_current_db_schema, "crm")
        assert rows("select count(*) from accounts")[0][0] > 0
        connection.adbc_current_db_schema = "metrics"
        same(connection.adbc_current_catalog, "topline")

    def decimal_as_float():
        option = "adbc.flight.sql.session.optionbool.decimal_as_float"
        connection.adbc_connection.set_options(**{option: "true"})
        value = rows("select cast(1.25 as decimal(18, 2))")[0][0]
        same([type(value), value], [float, 1.25])
        connection.adbc_connection.set_options(**{option: "false"})

    def cancel():
        with connection.cursor() as cursor:
            cursor.execute("select a.value from generate_series(1, 1000000) as a cross join generate_series(1, 1000000)")
            cursor.fetchone()
            cursor.adbc_cancel()
        same(rows("select 1"), [(1,)])

    def partitions():
        with connection.cursor() as cursor:
            parts, _ = cursor.adbc_execute_partitions("select 7 as n")
            same(len(parts), 1)
            cursor.adbc_read_partition(parts[0])
            same(cursor.fetchall(), [(7,)])

    def error_names_the_column():
        try:
            rows("select kit from nrr")
        except Exception as error:  # the drivers raise their own classes
            assert '"kit" does not exist' in str(error), error
        else:
            raise AssertionError("no error")

    def writing_is_refused():
        try:
            rows("create table metrics.x as select 1 as n")
        except Exception as error:  # the drivers raise their own classes
            assert "not allowed" in str(error) or "sandbox" in str(error), error
        else:
            raise AssertionError("it was not refused")

    def done(check):
        return cell(check) or "yes"

    checks = [product, catalogs, schemas, tables, columns, table_types, primary_key, foreign_keys, empty_result,
              a_million_rows, rows_of_parameters, session_option, decimal_as_float, partitions, cancel,
              error_names_the_column, writing_is_refused]
    return {check.__name__.replace("_", " "): done(check) for check in checks}


def main():
    port, file = sys.argv[1:]
    options = {"adbc.flight.sql.rpc.with_cookie_middleware": "true"}
    with flightsql.connect(f"grpc://127.0.0.1:{port}", db_kwargs=options) as connection:
        lines = [line.split("\t") for line in VALUES.read_text().splitlines()]
        found = {
            "client": "ADBC",
            "types": {kind: of_type(connection, sql, expected) for kind, sql, expected in lines},
            "calls": calls(connection),
        }
    pathlib.Path(file).write_text(json.dumps(found, indent=1))


main()
