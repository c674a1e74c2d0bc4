//! Which records were merged into others: of a file that is written again, the list of files says only that it changed.

use std::collections::BTreeSet;

use futures::TryStreamExt;

use super::digest::Digest;
use super::outcome::Found;
use super::run::Run;
use crate::catalog::contract::{Contract, ContractTable};
use crate::engine::published::basis::{Files, Observation, recorded_files};
use crate::engine::published::entry::{Basis, Merges};
use crate::error::Result;

/// The column of the contract that names the record which one was merged into.
const SURVIVOR: &str = "merged_into_id";

impl Run<'_> {
    /// Looks at the merges in the tables that a metric reads, but for tables whose files are those of an earlier run.
    ///
    /// # Errors
    /// `Source` where a table cannot be read, `Storage` where the list of files of the earlier run cannot.
    pub(super) async fn look_at_merges(&mut self, before: Option<&Basis>, now: &Observation) -> Result<()> {
        let tables: Vec<_> = tables_with_merges()
            .filter(|(name, _)| now.files.contains_key(name) && !self.merges.contains_key(name))
            .collect();
        if tables.is_empty() {
            return Ok(());
        }
        let known = before.and_then(|before| Some((before, self.state.merges.get(&before.inputs)?.clone())));
        let (known, files) = match known {
            Some((before, known)) => (known, recorded_files(self.engine.warehouse(), before).await?),
            None => (Merges::new(), Files::new()),
        };
        for (name, table) in tables {
            let digest = match known.get(&name).filter(|_| files.get(&name) == now.files.get(&name)) {
                Some(known) => known.clone(),
                None => self.digest_of_merges(&name, table).await?,
            };
            self.merges.insert(name, digest);
        }
        Ok(())
    }

    async fn digest_of_merges(&self, name: &str, table: &ContractTable) -> Result<String> {
        let key = table.key.join(", ");
        let sql = format!("select {key}, {SURVIVOR} from {name} where {SURVIVOR} is not null");
        let mut rows = self.session.all_rows(&sql).await?;
        let (mut digest, columns) = (Digest::default(), rows.schema());
        while let Some(batch) = rows.try_next().await? {
            digest.add(&batch)?;
        }
        Ok(digest.text(&columns))
    }

    /// Takes down the merges in what metrics were computed of, and forgets those in what no month is computed of any more.
    pub(super) fn remember_merges(&mut self, found: &[Found]) {
        for Found { observation, .. } in found {
            let read = self.merges.iter().filter(|(table, _)| observation.files.contains_key(*table));
            let merges: Merges = read.map(|(table, digest)| (table.clone(), digest.clone())).collect();
            self.state.merges.insert(observation.basis.inputs.clone(), merges);
        }
        let bases = self.state.tables.values().flat_map(|table| table.bases.iter().chain(&table.covered));
        let inputs: BTreeSet<&String> = bases.map(|basis| &basis.inputs).collect();
        self.state.merges.retain(|of_inputs, merges| inputs.contains(of_inputs) && !merges.is_empty());
    }
}

fn tables_with_merges() -> impl Iterator<Item = (String, &'static ContractTable)> {
    let tables = Contract::get().tables();
    let tables = tables.filter(|table| table.columns.iter().any(|column| column.name == SURVIVOR));
    tables.map(|table| (format!("{}.{}", table.schema, table.name), table))
}
