//! What the server can do, as clients ask for it: every id of the protocol, in the member of the union that they read.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{SqlInfo, SqlSupportsConvert};

use super::tables::PATTERN_ESCAPE;
use crate::engine::Engine;

/// What is so.
const TRUE: [SqlInfo; 13] = [
    SqlInfo::FlightSqlServerSql,
    SqlInfo::FlightSqlServerCancel,
    SqlInfo::SqlAllTablesAreSelectable,
    SqlInfo::SqlSupportsColumnAliasing,
    SqlInfo::SqlNullPlusNullIsNull,
    SqlInfo::SqlSupportsTableCorrelationNames,
    SqlInfo::SqlSupportsExpressionsInOrderBy,
    SqlInfo::SqlSupportsOrderByUnrelated,
    SqlInfo::SqlSupportsLikeEscapeClause,
    SqlInfo::SqlSupportsNonNullableColumns,
    SqlInfo::SqlCatalogAtStart,
    SqlInfo::SqlCorrelatedSubqueriesSupported,
    SqlInfo::SqlMaxRowSizeIncludesBlobs,
];

/// What is so where users may write to the sandbox.
const OF_WRITING: [SqlInfo; 3] =
    [SqlInfo::FlightSqlServerBulkIngestion, SqlInfo::SqlDdlTable, SqlInfo::SqlBatchUpdatesSupported];

/// What is not so.
const FALSE: [SqlInfo; 15] = [
    SqlInfo::FlightSqlServerSubstrait,
    SqlInfo::FlightSqlServerIngestTransactionsSupported,
    SqlInfo::SqlDdlCatalog,
    SqlInfo::SqlDdlSchema,
    SqlInfo::SqlSupportsDifferentTableCorrelationNames,
    SqlInfo::SqlSupportsIntegrityEnhancementFacility,
    SqlInfo::SqlSelectForUpdateSupported,
    SqlInfo::SqlStoredProceduresSupported,
    SqlInfo::SqlTransactionsSupported,
    SqlInfo::SqlDataDefinitionCausesTransactionCommit,
    SqlInfo::SqlDataDefinitionsInTransactionsIgnored,
    SqlInfo::SqlSavepointsSupported,
    SqlInfo::SqlNamedParametersSupported,
    SqlInfo::SqlLocatorsUpdateCopy,
    SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported,
];

/// Texts.
const TEXTS: [(SqlInfo, &str); 8] = [
    (SqlInfo::FlightSqlServerName, "topline"),
    (SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION")),
    (SqlInfo::FlightSqlServerArrowVersion, arrow::ARROW_VERSION),
    (SqlInfo::SqlIdentifierQuoteChar, "\""),
    (SqlInfo::SqlExtraNameCharacters, ""),
    // ODBC takes an empty term for "there are none".
    (SqlInfo::SqlSchemaTerm, "schema"),
    (SqlInfo::SqlProcedureTerm, "procedure"),
    (SqlInfo::SqlCatalogTerm, "catalog"),
];

/// Numbers of 64 bits, because clients read them as such, whatever the format's comments say. The limits that are not
/// here are 0: none that is known.
const NUMBERS: [(SqlInfo, i64); 4] = [
    // Names without quotes are stored in lower case.
    (SqlInfo::SqlIdentifierCase, 3),
    // Names in quotes keep their case.
    (SqlInfo::SqlQuotedIdentifierCase, 0),
    // NULL sorts above all values: last when ascending, first when descending.
    (SqlInfo::SqlNullOrdering, 0),
    (SqlInfo::SqlDefaultTransactionIsolation, 0),
];

/// Limits without a bound.
const UNBOUNDED: [SqlInfo; 20] = [
    SqlInfo::SqlMaxBinaryLiteralLength,
    SqlInfo::SqlMaxCharLiteralLength,
    SqlInfo::SqlMaxColumnNameLength,
    SqlInfo::SqlMaxColumnsInGroupBy,
    SqlInfo::SqlMaxColumnsInIndex,
    SqlInfo::SqlMaxColumnsInOrderBy,
    SqlInfo::SqlMaxColumnsInSelect,
    SqlInfo::SqlMaxColumnsInTable,
    SqlInfo::SqlMaxConnections,
    SqlInfo::SqlMaxCursorNameLength,
    SqlInfo::SqlMaxIndexLength,
    SqlInfo::SqlDbSchemaNameLength,
    SqlInfo::SqlMaxProcedureNameLength,
    SqlInfo::SqlMaxCatalogNameLength,
    SqlInfo::SqlMaxRowSize,
    SqlInfo::SqlMaxStatementLength,
    SqlInfo::SqlMaxStatements,
    SqlInfo::SqlMaxTableNameLength,
    SqlInfo::SqlMaxTablesInSelect,
    SqlInfo::SqlMaxUsernameLength,
];

/// Numbers and bit masks of 32 bits.
const MASKS: [(SqlInfo, i32); 18] = [
    // No transactions: a client that is told of them opens one for each connection.
    (SqlInfo::FlightSqlServerTransaction, 0),
    // Handles and transactions do not expire.
    (SqlInfo::FlightSqlServerStatementTimeout, 0),
    (SqlInfo::FlightSqlServerTransactionTimeout, 0),
    // Unrelated columns, beyond the select list.
    (SqlInfo::SqlSupportedGroupBy, 0b11),
    // Minimum and core grammar of ODBC.
    (SqlInfo::SqlSupportedGrammar, 0b11),
    // Entry level.
    (SqlInfo::SqlAnsi92SupportedLevel, 0b1),
    // Limited and full outer joins.
    (SqlInfo::SqlOuterJoinsSupportLevel, 0b110),
    (SqlInfo::SqlSchemasSupportedActions, 0),
    (SqlInfo::SqlCatalogsSupportedActions, 0),
    (SqlInfo::SqlSupportedPositionedCommands, 0),
    // In comparisons, exists and in.
    (SqlInfo::SqlSupportedSubqueries, 0b111),
    // Union and union all.
    (SqlInfo::SqlSupportedUnions, 0b11),
    // None.
    (SqlInfo::SqlSupportedTransactionsIsolationLevels, 0b1),
    // Forward only, read only.
    (SqlInfo::SqlSupportedResultSetTypes, 0b10),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, 0),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, 0b10),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0),
    (SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0),
];

/// Words that SQL:2003 does not have, and functions; what is listed here exists, and a test asks for each.
const LISTS: [(SqlInfo, &[&str]); 5] = [
    (
        SqlInfo::SqlKeywords,
        &["anti", "describe", "except", "exclude", "explain", "ilike", "limit", "offset", "qualify", "semi", "show"],
    ),
    (
        SqlInfo::SqlNumericFunctions,
        &[
            "abs", "acos", "asin", "atan", "atan2", "cbrt", "ceil", "cos", "cot", "degrees", "exp", "floor", "ln",
            "log", "log10", "log2", "pi", "power", "radians", "random", "round", "signum", "sin", "sqrt", "tan",
            "trunc",
        ],
    ),
    (
        SqlInfo::SqlStringFunctions,
        &[
            "ascii",
            "bit_length",
            "btrim",
            "chr",
            "concat",
            "concat_ws",
            "contains",
            "ends_with",
            "initcap",
            "left",
            "length",
            "lower",
            "lpad",
            "ltrim",
            "octet_length",
            "regexp_like",
            "regexp_replace",
            "repeat",
            "replace",
            "reverse",
            "right",
            "rpad",
            "rtrim",
            "split_part",
            "starts_with",
            "strpos",
            "substr",
            "translate",
            "upper",
        ],
    ),
    (
        SqlInfo::SqlSystemFunctions,
        &["coalesce", "current_database", "current_schema", "current_user", "nullif", "setting", "version"],
    ),
    (
        SqlInfo::SqlDatetimeFunctions,
        &[
            "current_date",
            "current_time",
            "date_bin",
            "date_part",
            "date_trunc",
            "from_unixtime",
            "make_date",
            "now",
            "to_char",
            "to_date",
            "to_timestamp",
            "to_unixtime",
        ],
    ),
];

static READ_ONLY: LazyLock<SqlInfoData> = LazyLock::new(|| made(Access::ReadOnly));

static WRITABLE: LazyLock<SqlInfoData> = LazyLock::new(|| made(Access::Writable));

/// Whether users may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadOnly,
    Writable,
}

/// Returns the answers of a server, for every client the same.
pub(super) fn answers(engine: &Engine) -> &'static SqlInfoData {
    if engine.config().sandbox.is_writable { &WRITABLE } else { &READ_ONLY }
}

fn made(access: Access) -> SqlInfoData {
    let mut builder = SqlInfoDataBuilder::new();
    builder.append(SqlInfo::FlightSqlServerReadOnly, access == Access::ReadOnly);
    for id in OF_WRITING {
        builder.append(id, access == Access::Writable);
    }
    for (ids, answer) in [(&TRUE[..], true), (&FALSE[..], false)] {
        for id in ids {
            builder.append(*id, answer);
        }
    }
    for (id, text) in TEXTS {
        builder.append(id, text);
    }
    builder.append(SqlInfo::SqlSearchStringEscape, PATTERN_ESCAPE.to_string().as_str());
    for (id, number) in NUMBERS.into_iter().chain(UNBOUNDED.map(|id| (id, 0))) {
        builder.append(id, number);
    }
    for (id, mask) in MASKS {
        builder.append(id, mask);
    }
    for (id, words) in LISTS {
        builder.append(id, words);
    }
    builder.append(SqlInfo::SqlSupportsConvert, conversions());
    builder.build().expect("every id has one value of a member of the union")
}

/// Returns to which types each type converts with `cast`.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as Kind;
    let numbers = [
        Kind::SqlConvertTinyint,
        Kind::SqlConvertSmallint,
        Kind::SqlConvertInteger,
        Kind::SqlConvertBigint,
        Kind::SqlConvertReal,
        Kind::SqlConvertFloat,
        Kind::SqlConvertDecimal,
        Kind::SqlConvertBit,
    ];
    let times = [Kind::SqlConvertDate, Kind::SqlConvertTimestamp];
    let text = Kind::SqlConvertVarchar;
    let mut conversions = BTreeMap::new();
    for family in [&numbers[..], &times[..]] {
        for kind in family {
            conversions.insert(*kind as i32, family.iter().chain([&text]).map(|to| *to as i32).collect());
        }
    }
    conversions.insert(text as i32, numbers.iter().chain(&times).chain([&text]).map(|to| *to as i32).collect());
    conversions
}

/// Returns the functions that are listed.
#[cfg(test)]
fn functions() -> impl Iterator<Item = &'static str> {
    LISTS.into_iter().filter(|(id, _)| *id != SqlInfo::SqlKeywords).flat_map(|(_, names)| names.iter().copied())
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;

    use super::*;
    use crate::config::{Config, Environment};

    #[test]
    fn every_id_of_the_protocol_is_answered_but_substrait_versions() {
        let rows = READ_ONLY.record_batch([]).expect("no filter");
        let ids: Vec<u32> = rows.column(0).as_primitive::<arrow::datatypes::UInt32Type>().values().to_vec();
        let without: [u32; 2] = [6, 7];
        let expected: Vec<u32> = (0_u32..=101)
            .chain(500..=576)
            .filter(|id| SqlInfo::try_from(*id as i32).is_ok() && !without.contains(id))
            .collect();
        assert_eq!(ids, expected);
    }

    #[tokio::test]
    async fn every_function_that_is_listed_exists() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        for name in functions().filter(|name| !["coalesce", "nullif"].contains(name)) {
            let sql = format!("select count(*) as n from information_schema.routines where routine_name = '{name}'");
            let rows = engine.session().query(&sql).await.expect("it plans").collect().await.expect("it runs");
            let found = rows[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0);
            assert!(found > 0, "{name}");
        }
    }
}
