//! From DataFusion's errors to topline's: which kind, and a message without internals.

use arrow::error::ArrowError;
use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::error::DataFusionError as Fault;
use parquet::errors::ParquetError;

use crate::domain::names::{in_lower_case, nearest};
use crate::error::{Error, ErrorKind};
use crate::models::syntax::SyntaxFault;

/// Columns that a hint lists: those of most views, and a line that can still be read.
const COLUMNS_SHOWN: usize = 20;

/// How the error of a task of a query begins, on whatever way it came.
const A_PANIC: &str = "join Error: task";

/// Returns the error of a query.
pub(super) fn of_query(fault: DataFusionError) -> Error {
    if let Some(own) = own(&fault) {
        return own;
    }
    if let Some(SyntaxFault { problem, place }) = SyntaxFault::of(&fault) {
        let place = place.map_or_else(String::new, |(line, column)| format!(" at line {line}, column {column}"));
        return Error::new(ErrorKind::Query, format!("syntax error{place}: {problem}"));
    }
    let text = in_sql_types(&in_lower_case(&plain(&fault)));
    if is_of_disk(&text) {
        return of_resources(&text).with_source(fault);
    }
    if text.starts_with(A_PANIC) && text.contains("panicked") {
        let inside = || Error::new(ErrorKind::Internal, "the query failed inside topline");
        return limit_of_panic(&text).unwrap_or_else(inside).with_source(fault);
    }
    match fault.find_root() {
        Fault::ResourcesExhausted(_) => of_resources(&text).with_source(fault),
        Fault::ArrowError(cause, _) if matches!(cause.as_ref(), ArrowError::OffsetOverflowError(_)) => {
            too_long().with_source(fault)
        }
        Fault::SchemaError(schema, _) => of_schema(schema),
        Fault::Plan(_) => of_plan(&text),
        Fault::NotImplemented(_) => Error::new(ErrorKind::Query, in_one_line(&text)),
        Fault::ArrowError(cause, _) if matches!(cause.as_ref(), ArrowError::ParquetError(_)) => of_parquet(fault),
        Fault::ArrowError(..) | Fault::Execution(_) | Fault::Configuration(_) | Fault::ExecutionJoin(_) => {
            Error::new(ErrorKind::Query, in_one_line(&text))
        }
        Fault::ParquetError(_) => of_parquet(fault),
        Fault::ObjectStore(_) | Fault::IoError(_) => {
            Error::new(ErrorKind::Storage, "a file of a source cannot be read").with_source(fault)
        }
        Fault::External(cause) if cause.is::<ParquetError>() => of_parquet(fault),
        Fault::External(cause) if cause.is::<object_store::Error>() || cause.is::<std::io::Error>() => {
            Error::new(ErrorKind::Storage, "a file of a source cannot be read").with_source(fault)
        }
        // What is left comes from functions that were called with values that they do not take.
        Fault::External(_) => Error::new(ErrorKind::Query, in_one_line(&text)).with_source(fault),
        _ => Error::new(ErrorKind::Internal, "the query failed inside topline").with_source(fault),
    }
}

/// Returns the error of a query that reached a limit of memory or disk, with the limit's name.
fn of_resources(text: &str) -> Error {
    let (what, limit) = if is_of_disk(text) {
        ("the queries need more temporary disk than they may use", "temporary_disk")
    } else if text.contains(super::memory::OF_ONE) {
        ("the query needs more memory than one may use", "memory_per_query")
    } else {
        ("the query needs more memory than it may use", "memory")
    };
    Error::new(ErrorKind::Limit, what).with_hint(format!("ask for fewer rows or columns, or raise [limits] {limit}"))
}

/// Returns the limit that a panic's text tells of: how the engine ends where it has no other way to say so.
pub fn limit_of_panic(text: &str) -> Option<Error> {
    // What the engine does with a join that has no more memory: it begins a part anew, which it cannot.
    if text.contains("partition not used yet") {
        return Some(of_resources(text));
    }
    let is_too_long = text.contains("offset overflow") || text.contains("capacity overflow");
    is_too_long.then(too_long)
}

/// Returns the error of a column whose bytes or elements 32 bits do not count.
fn too_long() -> Error {
    Error::new(ErrorKind::Limit, "a text or list column of one batch of rows is larger than 2 GiB")
        .with_hint("shorten the texts with left, or ask for what is needed of them before rows are joined")
}

fn is_of_disk(text: &str) -> bool {
    text.contains("used disk space during the spilling process")
}

/// Returns whether a query failed for want of memory.
pub(super) fn is_of_memory(fault: &DataFusionError) -> bool {
    matches!(fault.find_root(), Fault::ResourcesExhausted(text) if !is_of_disk(text))
}

fn of_parquet(fault: DataFusionError) -> Error {
    Error::new(ErrorKind::Source, "a Parquet file of a source cannot be read: it is corrupt or was cut off")
        .with_hint("topline check names the file")
        .with_source(fault)
}

/// Returns the error of topline that a fault carries, if it carries one.
fn own(fault: &DataFusionError) -> Option<Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(fault);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<Error>() {
            return Some(error.clone());
        }
        if let Some(DataFusionError::External(inner)) = current.downcast_ref::<DataFusionError>()
            && let Some(error) = inner.downcast_ref::<Error>()
        {
            return Some(error.clone());
        }
        cause = current.source();
    }
    None
}

/// Returns the text of a fault without the prefixes that say in which part of the engine it arose.
fn plain(fault: &DataFusionError) -> String {
    let text = fault.strip_backtrace();
    let mut text = text.trim();
    for _ in 0..4 {
        for prefix in [
            "Error during planning: ",
            "Execution error: ",
            "Arrow error: ",
            "Optimizer rule 'simplify_expressions' failed",
            "This feature is not implemented: ",
            "SQL error: ",
            "type_coercion",
            "Schema error: ",
            "Invalid argument error: ",
            "Cast error: ",
            "Parser error: ",
            "caused by",
        ] {
            text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
        }
    }
    text.replace("ParserError(\"", "").trim_end_matches("\")").to_owned()
}

/// Returns a text on one line, without the words with which the engine links causes.
fn in_one_line(text: &str) -> String {
    let text = text.replace("\ncaused by\n", ": ").replace(": External error: ", ": ");
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn of_plan(text: &str) -> Error {
    if let Some(column) =
        text.split_once("must appear in the GROUP BY").and_then(|(before, _)| before.rsplit('"').nth(1))
    {
        let message = format!("column \"{column}\" is neither in group by nor in an aggregate function");
        return Error::new(ErrorKind::Query, message);
    }
    if let Some(error) = of_function(text) {
        return error;
    }
    let Some(rest) = text.strip_prefix("table '") else {
        return Error::new(ErrorKind::Query, in_one_line(text));
    };
    let name = rest.split('\'').next().unwrap_or_default();
    let dotted = name.strip_prefix("topline.").unwrap_or(name);
    Error::new(ErrorKind::NotFound, format!("table \"{dotted}\" does not exist"))
        .with_hint("select table_schema, table_name from information_schema.tables lists the tables")
}

/// Returns the error of a call: a function that does not exist, or does not take these arguments.
fn of_function(text: &str) -> Option<Error> {
    if let Some(rest) = text.strip_prefix("invalid function '") {
        let (name, rest) = rest.split_once('\'')?;
        let error = Error::new(ErrorKind::NotFound, format!("function \"{name}\" does not exist"));
        // The engine suggests one however far it is.
        let suggested = rest.split('\'').nth(1).and_then(|other| nearest(name, [other]));
        return Some(match suggested {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None => error.with_hint("show functions lists them"),
        });
    }
    let (_, rest) = text.split_once("No function matches the given name and argument types '")?;
    let (call, rest) = rest.split_once('\'')?;
    let candidates: Vec<_> = rest.lines().filter(|line| line.starts_with('\t')).map(str::trim).collect();
    let candidates = candidates.iter().filter(|line| line.ends_with(')')).copied().collect::<Vec<_>>();
    let error = Error::new(ErrorKind::Query, format!("no function takes these arguments: {}", in_sql_types(call)));
    Some(match candidates.is_empty() {
        true => error.with_hint("cast the arguments"),
        false => error.with_hint(format!("there are {}", in_sql_types(&candidates.join(", ")))),
    })
}

/// Returns a call with the types as people write them in SQL.
fn in_sql_types(call: &str) -> String {
    [
        ("UInt64", "unsigned bigint"),
        ("Utf8View", "text"),
        ("LargeUtf8", "text"),
        ("Utf8", "text"),
        ("Float64", "double"),
        ("Int64", "bigint"),
        ("Int32", "integer"),
    ]
    .into_iter()
    .fold(call.to_owned(), |call, (engine, sql)| call.replace(engine, sql))
}

fn of_schema(fault: &SchemaError) -> Error {
    if let SchemaError::FieldNotFound { field, valid_fields } = fault {
        let spelt = |column: &Column| match column.relation.as_ref().filter(|_| field.relation.is_some()) {
            Some(relation) => format!("{relation}.{}", column.name),
            None => column.name.clone(),
        };
        let wanted = spelt(field);
        let known: Vec<String> = valid_fields.iter().map(spelt).collect();
        let error = Error::new(ErrorKind::NotFound, format!("column \"{wanted}\" does not exist"));
        return match nearest(&wanted, known.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None if known.is_empty() => error,
            None => error.with_hint(format!("there are {}", known[..known.len().min(COLUMNS_SHOWN)].join(", "))),
        };
    }
    Error::new(ErrorKind::Query, in_lower_case(&fault.to_string()))
}
