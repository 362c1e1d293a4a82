//! The flows that the sandbox's MSG91 account has: the texts that sms-notifier's values fill.

use std::collections::BTreeMap;

/// A text, and the ids it is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// MSG91's id of the flow.
    pub(super) id: String,
    /// The DLT template that its text was approved as.
    pub(super) dlt: Option<String>,
    /// The text with `##NAME##` where a variable stands.
    text: String,
}

/// The flows that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows(Vec<Flow>);

const TEXT: &str = "PNR:##PNR##,TRAIN:##TRAIN##,DOJ:##DOJ##,TIME:##TIME##,##CLASS##,##FROM## TO ##TO##,##NAME##,##SEAT##,FARE:##FARE##";

impl Flows {
    /// Flows by their settings, `id` or `id:dlt`. What is not set is not known.
    pub(crate) fn new(
        confirmed: Option<&str>,
        cancelled: Option<&str>,
        paid: Option<&str>,
    ) -> Self {
        let known = [(confirmed, ""), (cancelled, "CANCELLED "), (paid, "PAID ")];
        let flows = known
            .into_iter()
            .filter_map(|(ids, prefix)| Some(Flow::new(ids?, prefix)));
        Self(flows.collect())
    }

    pub(super) fn find(&self, id: &str) -> Option<&Flow> {
        self.0.iter().find(|flow| flow.id == id)
    }
}

impl Flow {
    fn new(ids: &str, prefix: &str) -> Self {
        let (id, dlt) = match ids.split_once(':') {
            Some((id, dlt)) => (id, Some(dlt.to_owned())),
            None => (ids, None),
        };
        Self {
            id: id.to_owned(),
            dlt,
            text: format!("{prefix}{TEXT}"),
        }
    }

    /// The text with the values in their places; `None` if one is missing. What a value holds is never taken for a variable.
    pub(super) fn render(&self, values: &BTreeMap<String, String>) -> Option<String> {
        let mut pieces = self.text.split("##");
        let mut text = pieces.next()?.to_owned();
        while let (Some(name), Some(rest)) = (pieces.next(), pieces.next()) {
            text.push_str(values.get(name)?);
            text.push_str(rest);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> BTreeMap<String, String> {
        let names = "PNR TRAIN DOJ TIME CLASS FROM TO NAME SEAT FARE";
        let pairs = names
            .split(' ')
            .map(|name| (name.to_owned(), format!("<{name}##>")));
        pairs.collect()
    }

    #[test]
    fn a_value_is_never_taken_for_a_variable() {
        let flows = Flows::new(None, Some("f2:1107160000000012345"), None);
        let flow = flows.find("f2").unwrap();
        assert_eq!(flow.dlt.as_deref(), Some("1107160000000012345"));
        assert_eq!(
            flow.render(&values()).unwrap(),
            "CANCELLED PNR:<PNR##>,TRAIN:<TRAIN##>,DOJ:<DOJ##>,TIME:<TIME##>,<CLASS##>,<FROM##> TO <TO##>,<NAME##>,<SEAT##>,FARE:<FARE##>"
        );
        assert!(flows.find("f1").is_none());
    }

    #[test]
    fn a_missing_value_makes_no_text() {
        let flows = Flows::new(Some("f1"), None, None);
        let mut values = values();
        values.remove("SEAT");
        assert_eq!(flows.find("f1").unwrap().render(&values), None);
    }
}
