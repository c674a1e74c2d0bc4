import java.io.PrintWriter;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.Calendar;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TimeZone;

/** Every type through the JDBC driver: Values PORT TSV FILE writes what arrives, as JSON. */
public final class Values {
  @FunctionalInterface
  private interface Check {
    String run() throws Exception;
  }

  private static final Calendar UTC = Calendar.getInstance(TimeZone.getTimeZone("UTC"));

  private final String url;
  private final Connection connection;

  private Values(String url) throws SQLException {
    this.url = url;
    this.connection = DriverManager.getConnection(url);
  }

  public static void main(String[] arguments) throws Exception {
    TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
    Values values = new Values("jdbc:arrow-flight-sql://127.0.0.1:" + arguments[0] + "/?useEncryption=false");
    List<String> types = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of(arguments[1]), StandardCharsets.UTF_8)) {
      String[] parts = line.split("\t");
      types.add(quoted(parts[0]) + ": " + object(values.ofType(parts[1], parts[2])));
    }
    try (PrintWriter out = new PrintWriter(arguments[2], StandardCharsets.UTF_8)) {
      out.println("{\"client\": \"JDBC\", \"types\": {" + String.join(",\n", types) + "},");
      out.println("\"calls\": " + object(values.calls()) + "}");
    }
    values.connection.close();
    System.exit(0);
  }

  private static String cell(String name, Check check) {
    try {
      return check.run();
    } catch (Exception | LinkageError error) {
      System.err.println(name + ": " + error);
      return "no";
    }
  }

  private static void same(Object found, Object expected) {
    if (!Objects.equals(found, expected)) {
      throw new IllegalStateException("expected " + expected + ", found " + found);
    }
  }

  /** Returns a value as the table of values writes it. */
  private static String text(Object value) {
    if (value instanceof byte[] bytes) {
      return HexFormat.of().formatHex(bytes);
    }
    if (value instanceof BigDecimal number) {
      return number.toPlainString();
    }
    return String.valueOf(value);
  }

  private static Object read(ResultSet rows) throws SQLException {
    boolean isInstant = rows.getMetaData().getColumnTypeName(1).startsWith("TIMESTAMP");
    return isInstant ? rows.getTimestamp(1, UTC) : rows.getObject(1);
  }

  private Map<String, String> ofType(String sql, String expected) {
    Map<String, String> found = new LinkedHashMap<>();
    found.put("query", cell("query " + sql, () -> {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("select " + sql + " as v")) {
        rows.next();
        Object value = read(rows);
        same(text(value), expected);
        return value.getClass().getSimpleName();
      }
    }));
    found.put("null", cell("null " + sql, () -> {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("select nullif(v, v) as v from (select " + sql + " as v) as t")) {
        rows.next();
        same(read(rows), null);
        same(rows.wasNull(), true);
        return "yes";
      }
    }));
    found.put("parameter", cell("parameter " + sql, () -> {
      Object value;
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("select " + sql + " as v")) {
        rows.next();
        value = read(rows);
      }
      String column = value instanceof Timestamp ? "date_trunc('millisecond', v)" : "v";
      String text = "select count(*) as n from (select " + sql + " as v) as t where " + column + " = ?";
      try (PreparedStatement statement = connection.prepareStatement(text)) {
        if (value instanceof Timestamp instant) {
          statement.setTimestamp(1, instant, UTC);
        } else {
          statement.setObject(1, value);
        }
        try (ResultSet rows = statement.executeQuery()) {
          rows.next();
          same(rows.getLong(1), 1L);
          return "yes";
        }
      }
    }));
    found.put("type name", cell("type name " + sql, () -> {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("select " + sql + " as v")) {
        return rows.getMetaData().getColumnTypeName(1);
      }
    }));
    return found;
  }

  private List<String> column(String name, ResultSet rows) throws SQLException {
    List<String> found = new ArrayList<>();
    try (rows) {
      while (rows.next()) {
        found.add(rows.getString(name));
      }
    }
    return found;
  }

  private List<String> rows(String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      List<String> found = new ArrayList<>();
      ResultSet rows = statement.executeQuery(sql);
      while (rows.next()) {
        found.add(rows.getString(1));
      }
      return found;
    }
  }

  private Map<String, String> calls() throws SQLException {
    DatabaseMetaData meta = connection.getMetaData();
    Map<String, Check> checks = new LinkedHashMap<>();
    checks.put("product", () -> yes(meta.getDatabaseProductName(), "topline"));
    checks.put("catalogs", () -> yes(column("TABLE_CAT", meta.getCatalogs()), List.of("topline")));
    checks.put("schemas", () -> yes(column("TABLE_SCHEM", meta.getSchemas("topline", "crm")), List.of("crm")));
    checks.put("tables", () ->
        yes(column("TABLE_TYPE", meta.getTables("topline", "crm", "accounts", null)), List.of("BASE TABLE")));
    checks.put("columns", () ->
        yes(column("TYPE_NAME", meta.getColumns("topline", "crm", "accounts", "account_id")), List.of("VARCHAR")));
    checks.put("table types", () ->
        yes(column("TABLE_TYPE", meta.getTableTypes()), List.of("BASE TABLE", "VIEW")));
    checks.put("primary key", () ->
        yes(column("COLUMN_NAME", meta.getPrimaryKeys("topline", "crm", "accounts")), List.of("account_id")));
    checks.put("foreign keys", () -> {
      String one = "opportunities_account_id_fkey";
      same(column("FK_NAME", meta.getImportedKeys("topline", "crm", "opportunities")).contains(one), true);
      same(column("FK_NAME", meta.getExportedKeys("topline", "crm", "accounts")).contains(one), true);
      ResultSet cross = meta.getCrossReference("topline", "crm", "accounts", "topline", "crm", "opportunities");
      return yes(column("FK_NAME", cross), List.of(one));
    });
    checks.put("empty result", () -> {
      try (Statement statement = connection.createStatement();
          ResultSet rows = statement.executeQuery("select * from nrr where false")) {
        same(rows.next(), false);
        return yes(rows.getMetaData().getColumnName(1), "month");
      }
    });
    checks.put("a million rows", () -> {
      same(rows("select value from generate_series(1, 1000000)").size(), 1_000_000);
      return "yes";
    });
    checks.put("rows of parameters", () -> "none");
    checks.put("session option", () -> {
      try (Connection other = DriverManager.getConnection(url + "&schema=crm");
          Statement statement = other.createStatement();
          ResultSet rows = statement.executeQuery("select count(*) from accounts")) {
        rows.next();
        return yes(rows.getLong(1) > 0, true);
      }
    });
    checks.put("decimal as float", () -> {
      try (Connection other = DriverManager.getConnection(url + "&decimal_as_float=true");
          Statement statement = other.createStatement();
          ResultSet rows = statement.executeQuery("select cast(1.25 as decimal(18, 2))")) {
        rows.next();
        return yes(rows.getObject(1), Double.valueOf(1.25));
      }
    });
    checks.put("partitions", () -> "none");
    checks.put("cancel", () -> {
      try (Statement statement = connection.createStatement()) {
        ResultSet rows = statement.executeQuery(
            "select a.value from generate_series(1, 1000000) as a cross join generate_series(1, 1000000)");
        rows.next();
        statement.cancel();
      }
      return yes(rows("select 1"), List.of("1"));
    });
    checks.put("error names the column", () -> {
      try {
        rows("select kit from nrr");
      } catch (SQLException error) {
        return yes(error.getMessage().contains("\"kit\" does not exist"), true);
      }
      throw new IllegalStateException("no error");
    });
    checks.put("writing is refused", () -> {
      try (Statement statement = connection.createStatement()) {
        statement.executeUpdate("create table metrics.x as select 1 as n");
      } catch (SQLException error) {
        return yes(error.getMessage().contains("not allowed") || error.getMessage().contains("sandbox"), true);
      }
      throw new IllegalStateException("no error");
    });
    Map<String, String> found = new LinkedHashMap<>();
    checks.forEach((name, check) -> found.put(name, cell(name, check)));
    return found;
  }

  private static String yes(Object found, Object expected) {
    same(found, expected);
    return "yes";
  }

  private static String quoted(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
  }

  private static String object(Map<String, String> entries) {
    List<String> parts = new ArrayList<>();
    entries.forEach((name, value) -> parts.add(quoted(name) + ": " + quoted(value)));
    return "{" + String.join(", ", parts) + "}";
  }
}
