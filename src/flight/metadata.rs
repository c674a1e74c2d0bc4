//! The catalog as clients list it: one answer for each metadata command, in the protocol's exact columns.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow_flight::sql::metadata::{SqlInfoDataBuilder, XdbcTypeInfoData};
use arrow_flight::sql::{Command, CommandGetCatalogs, CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables};

use super::keys::{self, Asked};
use super::sql_info::answers;
use super::tables;
use super::types::TYPE_INFO;
use crate::engine::{CATALOG, Engine, WireTypes};
use crate::error::{Error, ErrorKind, Result};

/// Returns the columns of the answer to a metadata command; `None` where it is another command.
pub(super) fn schema_of(command: &Command) -> Option<SchemaRef> {
    Some(match command {
        Command::CommandGetCatalogs(_) => CommandGetCatalogs {}.into_builder().schema(),
        Command::CommandGetDbSchemas(_) => CommandGetDbSchemas::default().into_builder().schema(),
        Command::CommandGetTables(command) => {
            CommandGetTables { include_schema: command.include_schema, ..CommandGetTables::default() }
                .into_builder()
                .schema()
        }
        Command::CommandGetTableTypes(_) => CommandGetTableTypes {}.into_builder().schema(),
        Command::CommandGetSqlInfo(_) => Arc::new(Schema::clone(SqlInfoDataBuilder::schema())),
        Command::CommandGetXdbcTypeInfo(_) => XdbcTypeInfoData::schema(&TYPE_INFO),
        Command::CommandGetPrimaryKeys(_) => Arc::clone(&keys::PRIMARY),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Arc::clone(&keys::FOREIGN),
        _ => return None,
    })
}

/// Returns the answer to a metadata command; columns of tables are in the types of the session.
///
/// # Errors
/// `Model` where a view whose columns are asked for cannot be planned, `Argument` where it is another command.
pub(super) async fn rows_of(engine: &Engine, types: WireTypes, command: Command) -> Result<RecordBatch> {
    match command {
        Command::CommandGetCatalogs(command) => {
            let mut builder = command.into_builder();
            builder.append(CATALOG);
            builder.build().map_err(internal)
        }
        Command::CommandGetDbSchemas(command) => {
            let mut builder = command.into_builder();
            for schema in engine.schemas() {
                builder.append(CATALOG, schema);
            }
            builder.build().map_err(internal)
        }
        Command::CommandGetTables(command) => tables::rows(engine, types, command).await,
        Command::CommandGetTableTypes(command) => {
            let mut builder = command.into_builder();
            for kind in tables::TABLE_TYPES {
                builder.append(kind);
            }
            builder.build().map_err(internal)
        }
        Command::CommandGetSqlInfo(command) => command.into_builder(answers(engine)).build().map_err(internal),
        Command::CommandGetXdbcTypeInfo(command) => command.into_builder(&TYPE_INFO).build().map_err(internal),
        Command::CommandGetPrimaryKeys(command) => keys::primary(engine, &command).await,
        Command::CommandGetExportedKeys(command) => keys::foreign(engine, &Asked::exported(command)).await,
        Command::CommandGetImportedKeys(command) => keys::foreign(engine, &Asked::imported(command)).await,
        Command::CommandGetCrossReference(command) => keys::foreign(engine, &Asked::between(command)).await,
        other => Err(Error::new(ErrorKind::Argument, format!("\"{}\" is no ticket", other.type_url()))
            .with_hint("use the ticket of a FlightInfo")),
    }
}

/// Returns the error of an answer that cannot be built.
pub(super) fn internal(cause: arrow_flight::error::FlightError) -> Error {
    Error::new(ErrorKind::Internal, "the answer to a metadata command cannot be made").with_source(cause)
}
