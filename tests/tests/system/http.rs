//! A client of a node's HTTP side that survives what happens to the node.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use zonecast_tests::{Node, poll_until};

/// A request that is not answered for so long is a failure of its own.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps its connections.
pub(crate) struct Http {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// Nobody listens there, so nobody has seen the request.
    NotSent,
    /// Whether it was seen is not known.
    Unknown,
}

impl Http {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::patient(address, PATIENCE)
    }

    /// That gives up after this time.
    pub(crate) fn patient(address: SocketAddr, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(patience));
        Self { agent: config.build().into(), base: format!("http://{address}"), token: None }
    }

    /// The same with a token.
    pub(crate) fn with_token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    /// Status and body of the answer.
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, Value), NoAnswer> {
        self.call_with(&[], method, path, body)
    }

    /// The same of a request under this idempotency key.
    pub(crate) fn once(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<(u16, Value), NoAnswer> {
        self.call_with(&[("idempotency-key", key)], method, path, body)
    }

    fn call_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<(u16, Value), NoAnswer> {
        let request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let mut request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answered = match body {
            Some(body) => self.agent.run(request.body(body.to_owned()).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let text = answered.and_then(|mut response| {
            let text = response.body_mut().with_config().limit(64 * 1024 * 1024).read_to_string()?;
            Ok((response.status().as_u16(), text))
        });
        match text {
            Ok((status, text)) => Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text)))),
            Err(ureq::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Err(NoAnswer::NotSent)
            }
            Err(_) => Err(NoAnswer::Unknown),
        }
    }

    /// Makes an RRset exactly one record.
    pub(crate) fn set(&self, zone: &str, name: &str, rtype: &str, data: &str) -> Result<(u16, Value), NoAnswer> {
        let body = serde_json::json!({"ttl": 60, "data": [data]}).to_string();
        self.call("PUT", &format!("/v1/zones/{zone}/records/{name}/{rtype}"), Some(&body))
    }

    /// The body of a path that must answer.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What `/v1/status` says, if it answers.
    pub(crate) fn status(&self) -> Option<Value> {
        self.call("GET", "/v1/status", None).ok().filter(|(status, _)| *status == 200).map(|(_, body)| body)
    }

    /// Waits until the status is as it should be; the status.
    pub(crate) fn wait_status(&self, node: &Node, what: &str, good: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + crate::api::DEADLINE * 3;
        let seen = poll_until(deadline, || {
            // Looking too often would keep busy what is waited for.
            std::thread::park_timeout(Duration::from_millis(20));
            assert!(node.memory().is_ok(), "{} has ended before it was {what}:\n{}", node.name, node.log());
            self.status().filter(&good)
        });
        seen.unwrap_or_else(|| panic!("{} is not {what}: {:?}\n{}", node.name, self.status(), node.log()))
    }

    /// A sample of `/metrics`, by its name with labels.
    pub(crate) fn metric(&self, sample: &str) -> Option<f64> {
        let text = self.get("/metrics");
        let line = text.as_str()?.lines().find_map(|line| line.strip_prefix(sample))?;
        line.trim().parse().ok()
    }
}
