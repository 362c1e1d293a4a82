//! The PNR that a record is about.

use bus::Record;
use events::Pnr;
use serde::Deserialize;

/// What every value of our topics says.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Booked {
    pnr_number: Pnr,
}

/// That of the value, which the programs go by, or else the key: a producer may give none, or one of its own.
pub(crate) fn pnr_of(record: &Record) -> Option<Pnr> {
    let value = record.value.as_deref().unwrap_or_default();
    let booked: Option<Booked> = serde_json::from_slice(value).ok();
    booked.map(|booked| booked.pnr_number).or_else(|| {
        let key = record.key.as_deref()?;
        std::str::from_utf8(key).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: Option<&str>, value: &str) -> Option<String> {
        let record = Record {
            key: key.map(|key| key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            ..Record::default()
        };
        pnr_of(&record).map(|pnr| pnr.to_string())
    }

    #[test]
    fn a_value_is_asked_before_its_key() {
        let value = "{\"pnrNumber\":\"2412345678\",\"more\":[1]}";
        for key in [None, Some("account-7"), Some("9876543210")] {
            assert_eq!(told(key, value).as_deref(), Some("2412345678"), "{key:?}");
        }
        for value in ["", "no JSON", "{}", "{\"pnrNumber\":7}"] {
            let key = Some("2412345678");
            assert_eq!(told(key, value).as_deref(), key, "{value}");
        }
        assert_eq!(told(None, "{}"), None);
    }
}
