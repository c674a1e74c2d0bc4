//! Every label of every `case` has a row that yields it: with another label in its place, the rows of its model differ.

use std::ops::ControlFlow;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::{Expr, Value, visit_expressions_mut};
use topline::engine::Session;

use crate::golden;
use crate::support::{rows, sample};

/// A text that no model has.
const OTHER: &str = "no such label";

/// Returns a select with the label of number `place` replaced, and that label; `None` where it has fewer.
fn without_label(sql: &str, place: usize) -> Option<(String, String)> {
    let mut statement = DFParser::parse_sql(sql).expect("a model parses").pop_front().expect("a model is a select");
    let Statement::Statement(select) = &mut statement else { return None };
    let (mut seen, mut replaced) = (0, None);
    let _ = visit_expressions_mut(select.as_mut(), |expression: &mut Expr| {
        let Expr::Case { conditions, else_result, .. } = expression else { return ControlFlow::Continue(()) };
        let results = conditions.iter_mut().map(|when| &mut when.result);
        for result in results.chain(else_result.as_mut().map(|result| result.as_mut())) {
            let Expr::Value(value) = result else { continue };
            let Value::SingleQuotedString(label) = &mut value.value else { continue };
            if seen == place {
                replaced = Some(std::mem::replace(label, OTHER.to_owned()));
                return ControlFlow::Break(());
            }
            seen += 1;
        }
        ControlFlow::Continue(())
    });
    replaced.map(|label| (select.to_string(), label))
}

async fn sorted(session: &Session, sql: &str) -> Vec<Vec<String>> {
    let mut rows = rows(session, sql).await;
    rows.sort();
    rows
}

/// Opens a company of deals that the sample has none of: one is won too late to be billed, one before it was created.
async fn oddities() -> golden::Company {
    golden::company(
        "2026-04-01T00:00:00Z",
        &[
            ("crm.accounts", "account_id\nA1\nA2"),
            (
                "crm.opportunities",
                "opportunity_id | account_id | amount | created_at | closed_at | is_closed | is_won
                D1 | A1 | 1.00 | 2026-03-01 | 2026-03-31 | true | true
                D2 | A2 | 1.00 | 2025-01-15 | 2025-01-14 | true | true",
            ),
        ],
    )
    .await
}

#[tokio::test]
async fn every_label_of_a_case_has_a_row() {
    let (engine, others) = (sample().await, oddities().await);
    let sessions = [engine.session(), others.engine.session()];
    let (mut labels, mut missing) = (0, Vec::new());
    for model in engine.models().iter() {
        for place in 0.. {
            let Some((sql, label)) = without_label(&model.sql, place) else { break };
            labels += 1;
            let mut is_found = false;
            for session in &sessions {
                is_found = is_found || sorted(session, &model.sql).await != sorted(session, &sql).await;
            }
            if !is_found {
                missing.push(format!("{}: '{label}'", model.file));
            }
        }
    }
    assert!(labels >= 15, "only {labels} labels are found");
    assert!(missing.is_empty(), "no row has:\n{}", missing.join("\n"));
}
