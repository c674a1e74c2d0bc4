//! Which columns name a row of another table: what BI tools join by.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use crate::catalog::TableId;
use crate::catalog::contract::Contract;
use crate::error::Result;

/// A column whose values are keys of another table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The table that is referred to.
    pub to: TableId,
    /// The column that is its key.
    pub key: String,
    /// The table that refers to it.
    pub from: TableId,
    /// The column that holds the key.
    pub column: String,
}

impl Reference {
    /// Returns the name of the constraint, in the way of databases.
    pub fn name(&self) -> String {
        format!("{}_{}_fkey", self.from.name, self.column)
    }
}

impl Engine {
    /// Returns the references of the contract, and those of models: a column of a model's key that has the name of the
    /// key of one table of the contract refers to that table.
    ///
    /// # Errors
    /// As [`Engine::table_names`].
    pub async fn references(&self) -> Result<Vec<Reference>> {
        let contract = Contract::get();
        let there: BTreeSet<TableId> = self.table_names().await?.into_iter().map(|(id, _)| id).collect();
        let mut found = Vec::new();
        for table in contract.tables() {
            for (column, target) in &table.references {
                if let Some((schema, name)) = target.split_once('.')
                    && let Some([key]) = contract.table(schema, name).map(|target| target.key.as_slice())
                {
                    let from = TableId { schema: table.schema.clone(), name: table.name.clone() };
                    let to = TableId { schema: schema.to_owned(), name: name.to_owned() };
                    found.push(Reference { to, key: key.clone(), from, column: column.clone() });
                }
            }
        }
        let keyed = tables_by_key(contract);
        for model in self.models().iter().filter(|model| contract.table(&model.id.schema, &model.id.name).is_none()) {
            for column in &model.sidecar.key {
                if let Some([to]) = keyed.get(column.as_str()).map(Vec::as_slice) {
                    let (from, column) = (model.id.clone(), column.clone());
                    found.push(Reference { to: to.clone(), key: column.clone(), from, column });
                }
            }
        }
        found.retain(|reference| there.contains(&reference.from) && there.contains(&reference.to));
        found.retain(|Reference { from, column, to, key }| {
            self.shared.shows(from, column) && self.shared.shows(to, key)
        });
        found.sort();
        Ok(found)
    }
}

/// Returns the tables whose key is one column, by that column.
fn tables_by_key(contract: &Contract) -> BTreeMap<&str, Vec<TableId>> {
    let mut keyed: BTreeMap<&str, Vec<TableId>> = BTreeMap::new();
    for table in contract.tables() {
        if let [key] = table.key.as_slice() {
            let id = TableId { schema: table.schema.clone(), name: table.name.clone() };
            keyed.entry(key).or_default().push(id);
        }
    }
    keyed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    #[tokio::test]
    async fn contract_and_models_refer_to_keys() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        let references = engine.references().await.expect("they are listed");
        let texts: Vec<String> = references
            .iter()
            .map(|reference| format!("{}.{} -> {}.{}", reference.from, reference.column, reference.to, reference.key))
            .collect();
        for expected in [
            "billing.subscriptions.customer_id -> billing.customers.customer_id",
            "crm.opportunities.account_id -> crm.accounts.account_id",
            "core.conversions.opportunity_id -> crm.opportunities.opportunity_id",
            "metrics.attribution.touch_id -> campaign.touches.touch_id",
        ] {
            assert!(texts.iter().any(|text| text == expected), "{expected} is not in {texts:#?}");
        }
        assert!(references.iter().all(|reference| reference.column != "month"), "{texts:#?}");
    }
}
