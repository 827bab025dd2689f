//! One RRset of a zone of its own that clients write and read.

use serde_json::{Value, json};
use zonecast_tests::{Done, Seen};

use crate::http::{Http, NoAnswer};

/// What a register says before anybody writes.
const NOTHING: u64 = 0;

/// A zone of this name; its one TXT record is the value, its serial the version.
#[derive(Clone, Debug)]
pub(super) struct Register {
    zone: String,
}

impl Register {
    pub(super) fn new(name: &str) -> Self {
        Self { zone: format!("{name}.test") }
    }

    pub(super) fn name(&self) -> &str {
        &self.zone
    }

    /// Makes the zone; what it says then.
    pub(super) fn make(&self, api: &Http) -> Seen {
        let text = format!(
            "@ 300 SOA ns hostmaster 1 7200 3600 1209600 60\n@ 300 NS ns\nns 300 A 192.0.2.53\nvalue 60 TXT {NOTHING}\n"
        );
        let (status, made) = api.call("PUT", &format!("/v1/zones/{}", self.zone), Some(&text)).unwrap();
        assert_eq!(status, 200, "{made}");
        self.read(api).expect("it was made just now")
    }

    /// Value and version as of one moment; `None` if the core does not say.
    pub(super) fn read(&self, api: &Http) -> Option<Seen> {
        match api.call("GET", &format!("/v1/zones/{}/records", self.zone), None) {
            Ok((200, page)) => Some(seen(&page)),
            Ok((429 | 503, _)) | Err(_) => None,
            Ok((status, body)) => panic!("a read was answered {status}: {body}"),
        }
    }

    /// Asks once, under a key.
    pub(super) fn write(&self, api: &Http, key: &str, value: u64) -> Done {
        let path = format!("/v1/zones/{}/records/value/TXT", self.zone);
        let body = json!({"ttl": 60, "data": [value.to_string()]}).to_string();
        match api.once(key, "PUT", &path, Some(&body)) {
            Ok((200, body)) => Done::Wrote(Seen { version: body["serial"].as_u64().unwrap(), value }),
            // docs/api.md says that nothing has changed.
            Ok((429, _)) | Err(NoAnswer::NotSent) => Done::Refused(value),
            Ok((503, body)) if body["error"]["code"] != "unknown" => Done::Refused(value),
            Ok((503, _)) | Err(NoAnswer::Unknown) => Done::Unknown(value),
            Ok((status, body)) => panic!("a write was answered {status}: {body}"),
        }
    }
}

fn seen(page: &Value) -> Seen {
    let of_type = |rtype: &str| {
        let rrsets = page["rrsets"].as_array().unwrap();
        let rrset = rrsets.iter().find(|rrset| rrset["type"] == rtype).unwrap_or_else(|| panic!("{page}"));
        rrset["data"][0].as_str().unwrap()
    };
    let serial = of_type("SOA").split_whitespace().nth(2).unwrap();
    Seen { version: serial.parse().unwrap(), value: of_type("TXT").trim_matches('"').parse().unwrap() }
}
