//! `kill 'ID'` and `kill query 'ID'`: ending a query of the server, one's own or, for who may, anyone's.

use std::sync::{Arc, Weak};

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{DataFusionError, Result as PlanResult};
use datafusion::datasource::provider_as_source;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::faults;
use super::runs::list::id_of;
use super::state::Shared;
use crate::audit::{Act, AuditEntry};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::names::SessionUser;

/// Returns the id that a statement wants killed; `None` where it is another statement.
///
/// # Errors
/// `Query` where it is written in another way.
pub(super) fn wanted(tokens: &[TokenWithSpan]) -> Result<Option<String>> {
    let parts = tokens.iter().map(|token| &token.token);
    let parts: Vec<_> =
        parts.filter(|token| !matches!(token, Token::Whitespace(_) | Token::SemiColon | Token::EOF)).collect();
    let is_word =
        |token: &Token, wanted: &str| matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case(wanted));
    let Some((first, rest)) = parts.split_first() else { return Ok(None) };
    if !is_word(first, "kill") {
        return Ok(None);
    }
    let rest = if rest.first().is_some_and(|token| is_word(token, "query")) { &rest[1..] } else { rest };
    match rest {
        [Token::SingleQuotedString(id)] => Ok(Some(id.clone())),
        _ => Err(Error::new(ErrorKind::Query, "kill takes the id of a query in quotes")
            .with_hint("select query_id, sql from meta.queries where state = 'running' lists them")),
    }
}

/// Returns the plan that kills a query when it is run, and has a row with its id.
///
/// # Errors
/// `Query` where it cannot be planned.
pub(super) fn plan(shared: &Arc<Shared>, id: String) -> Result<LogicalPlan> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("killed", DataType::Utf8, false),
        Field::new("queries", DataType::Int64, false),
    ]));
    let kill = Kill { shared: Arc::downgrade(shared), id, schema: Arc::clone(&schema) };
    let table = StreamingTable::try_new(schema, vec![Arc::new(kill)]).map_err(faults::of_query)?;
    LogicalPlanBuilder::scan("killed", provider_as_source(Arc::new(table)), None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(faults::of_query)
}

#[derive(Debug)]
struct Kill {
    shared: Weak<Shared>,
    id: String,
    schema: SchemaRef,
}

impl Kill {
    fn done(&self, context: &TaskContext) -> Result<RecordBatch> {
        let user = context.session_config().options().extensions.get::<SessionUser>();
        let killed = match (self.shared.upgrade(), id_of(&self.id), user) {
            (Some(shared), Some(id), Some(user)) => {
                let meant = shared.runs.running(id, user.queries());
                // Who asks for what there is not does nothing, and pushes out no line of what was done.
                if !meant.is_empty() {
                    let (user, object) = (Some(&*user.name), self.id.as_str());
                    let entry = AuditEntry { act: Act::Killed, user, address: None, object, outcome: "asked for" };
                    shared.audit.record(&entry)?;
                }
                meant.iter().for_each(|query| query.kill(&user.name));
                meant.len()
            }
            _ => 0,
        };
        if killed == 0 {
            return Err(Error::new(ErrorKind::NotFound, format!("query \"{}\" does not run", self.id))
                .with_hint("select query_id, sql from meta.queries where state = 'running' lists them"));
        }
        let ids = Arc::new(StringArray::from(vec![self.id.as_str()]));
        let counts = Arc::new(Int64Array::from(vec![i64::try_from(killed).unwrap_or(i64::MAX)]));
        RecordBatch::try_new(Arc::clone(&self.schema), vec![ids, counts])
            .map_err(|cause| Error::new(ErrorKind::Internal, "the answer to kill cannot be made").with_source(cause))
    }
}

impl PartitionStream for Kill {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let done: PlanResult<_> = self.done(&context).map_err(|error| DataFusionError::External(Box::new(error)));
        let rows = futures::stream::iter([done]);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}
