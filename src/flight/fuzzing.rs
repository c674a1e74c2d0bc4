//! What fuzz targets reach of the protocol: a client that sends any bytes as what it was given.

use std::sync::Arc;

use arrow_flight::sql::{CommandPreparedStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, Ticket};
use bytes::Bytes;
use prost::Message as _;

use super::calls::Calls;
use super::client::Client;
use super::handle::{Query, has_parameters};
use super::running::Running;
use super::workers::Lanes;
use crate::auth::ServerKey;
use crate::auth::seal::{Seal, Sealed};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// A client and the calls that it makes.
#[derive(Debug)]
pub struct Wire {
    calls: Calls,
    client: Client,
}

impl Wire {
    /// Returns a client of an engine.
    ///
    /// # Errors
    /// `Internal` where the machine has neither random bytes nor threads.
    pub fn over(engine: Engine) -> Result<Self> {
        let seal = Arc::new(Seal::new(&ServerKey::random()?));
        let client = Client::over(Arc::clone(&seal), "ann");
        let lanes = Arc::new(Lanes::start(engine.config().limits.threads)?);
        let (running, planned) = (Arc::new(Running::new()), Arc::default());
        Ok(Self { calls: Calls { engine, running, planned, lanes, seal }, client })
    }

    /// Sends bytes as a descriptor and as a ticket, and returns the errors that come back.
    pub async fn ticket(&self, bytes: &[u8]) -> Vec<Error> {
        let bytes = Bytes::copy_from_slice(bytes);
        let descriptor = FlightDescriptor::new_cmd(bytes.clone());
        let (info, schema) = (
            self.calls.info(self.client.clone(), descriptor.clone()).await.err(),
            self.calls.schema(self.client.clone(), descriptor).await.err(),
        );
        let fetched = self.calls.fetch(self.client.clone(), Ticket::new(bytes)).await.err();
        [info, schema, fetched].into_iter().flatten().collect()
    }

    /// Sends bytes as a handle, first as they are and then under a seal, and returns the errors of the latter. What a seal
    /// holds comes back from another of it.
    pub async fn handle(&self, bytes: &[u8]) -> Vec<Error> {
        let bytes = Bytes::copy_from_slice(bytes);
        assert!(Query::decode(bytes.clone(), &self.client).is_err(), "nobody guesses a seal");
        // Parameters under a seal are those that this server encoded, and their lengths are taken at their word.
        if has_parameters(&bytes) {
            return Vec::new();
        }
        let handle = self.client.seal(Sealed::Handle, bytes.to_vec());
        let query = match Query::decode(handle.clone(), &self.client) {
            Ok(query) => query,
            Err(error) => return vec![error],
        };
        let again = query.encode(&self.client).and_then(|handle| Query::decode(handle, &self.client));
        assert_eq!(again.as_ref().ok(), Some(&query), "{again:?}");
        let command = CommandPreparedStatementQuery { prepared_statement_handle: handle };
        self.ticket(&command.as_any().encode_to_vec()).await
    }
}
