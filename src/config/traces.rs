//! The section `[traces]`: the collector of OpenTelemetry that calls are told to.
//!
//! Where the section is silent, the variables of OpenTelemetry say what is needed: who runs many services sets them for all.

use percent_encoding::percent_decode_str;
use toml::{Table, Value};
use url::Url;

use super::Environment;
use super::reader::{Reader, described};
use crate::domain::secret::Secret;

/// The keys of `[traces]`.
pub(super) const TRACES_KEYS: [&str; 4] = ["endpoint", "ratio", "service", "sql"];

/// What spans are sent below, unless the endpoint has it already.
const PATH: &str = "/v1/traces";

/// The name of the service where none is configured.
const SERVICE: &str = "topline";

/// The variables of OpenTelemetry that are heeded.
const OFF: &str = "OTEL_SDK_DISABLED";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";

/// The protocol that is spoken, as the variable names it.
const HTTP: &str = "http/protobuf";

/// The `[traces]` section.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// Where spans are sent, by OTLP over HTTP.
    pub endpoint: Url,
    /// Headers that go with them, which may open the collector.
    pub headers: Vec<(String, Secret)>,
    /// The name by which the collector knows the server.
    pub service: String,
    /// The share of calls that are seen, of those whose caller says nothing about it.
    pub ratio: f64,
    /// Whether spans have the text of queries.
    pub has_sql: bool,
}

impl Reader {
    /// Reads `[traces]`, and the variables of OpenTelemetry; `None` where no collector is named.
    pub(super) fn traces(&mut self, mut keys: Table, environment: &Environment) -> Option<TracesConfig> {
        self.refuse_unknown("traces", &keys, &TRACES_KEYS);
        let variable = |name: &str| environment.named.get(name).map(Secret::reveal).filter(|text| !text.is_empty());
        let ratio = keys.remove("ratio").map_or(1.0, |value| self.ratio(&value));
        let has_sql = keys.remove("sql").is_some_and(|value| self.flag("[traces] sql", value));
        let service = keys.remove("service").and_then(|value| self.text("[traces] service", value));
        let service = service.unwrap_or_else(|| variable(SERVICE_NAME).unwrap_or(SERVICE).to_owned());
        let endpoint = match keys.remove("endpoint") {
            Some(value) => {
                let text = self.text("[traces] endpoint", value)?;
                let endpoint = endpoint_of(&text).map(below);
                if endpoint.is_none() {
                    self.problem_at("[traces] endpoint", not_an_endpoint(&text));
                }
                endpoint?
            }
            // A collector that is to be reached in another way is another one.
            None if variable(OFF) == Some("true") || variable(PROTOCOL).is_some_and(|how| how != HTTP) => return None,
            None => self.endpoint_of_variables(variable)?,
        };
        let headers = self.headers(variable(HEADERS).unwrap_or_default());
        Some(TracesConfig { endpoint, headers, service, ratio, has_sql })
    }

    fn endpoint_of_variables<'a>(&mut self, variable: impl Fn(&str) -> Option<&'a str>) -> Option<Url> {
        let (name, text) = match (variable(TRACES_ENDPOINT), variable(ENDPOINT)) {
            (Some(text), _) => (TRACES_ENDPOINT, text),
            (None, Some(text)) => (ENDPOINT, text),
            (None, None) => return None,
        };
        let endpoint = endpoint_of(text).map(|url| if name == ENDPOINT { below(url) } else { url });
        if endpoint.is_none() {
            self.variable_problem(name, &not_an_endpoint(text));
        }
        endpoint
    }

    fn ratio(&mut self, value: &Value) -> f64 {
        let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
        number.filter(|number| (0.0..=1.0).contains(number)).unwrap_or_else(|| {
            self.problem_at("[traces] ratio", format!("expected a share from 0 to 1, found {}", described(value)));
            1.0
        })
    }

    /// Returns the headers of a text such as `api-key=secret,team=revops`.
    fn headers(&mut self, text: &str) -> Vec<(String, Secret)> {
        let mut headers = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let found = pair.split_once('=').and_then(|(name, value)| {
                let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
                let is_name = |other: char| other.is_ascii_alphanumeric() || "-_.".contains(other);
                let is_value = |other: char| other == ' ' || other.is_ascii_graphic();
                let name = name.trim();
                let is_good = !name.is_empty() && name.chars().all(is_name) && value.chars().all(is_value);
                is_good.then(|| (name.to_owned(), Secret::new(value)))
            });
            match found {
                Some(header) => headers.push(header),
                // What it holds is not shown.
                None => self.variable_problem(HEADERS, "expected NAME=VALUE, with commas between several"),
            }
        }
        headers
    }
}

/// What to do about an endpoint.
const HINT: &str = "spans go by OTLP over HTTP, which most collectors take at port 4318";

fn not_an_endpoint(text: &str) -> String {
    // It may have a password in it.
    let found = if text.contains('@') { "one with a user" } else { text };
    format!("expected a URL such as http://127.0.0.1:4318, found \"{found}\"; hint: {HINT}")
}

/// Returns the URL of a collector. Secrets do not stand in it: headers carry them.
fn endpoint_of(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    (is_http && url.username().is_empty() && url.password().is_none() && url.query().is_none()).then_some(url)
}

/// Returns the place of spans below a collector's URL.
fn below(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    if !path.ends_with(PATH) {
        let path = format!("{path}{PATH}");
        url.set_path(&path);
    }
    url
}
