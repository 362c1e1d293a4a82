//! A JSON object, read field by field, so that everything wrong with it is told at once.
//!
//! What is told names fields and rules, never values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::answer::{FieldError, Kind, Problem};

/// The longest text a field may hold, unless its form has a limit of its own.
pub(super) const MAX_CHARACTERS: usize = 100;

/// The longest coach or seat: with it every SMS still fits its template. A real coach has up to 4 characters (`SLR2`), a seat up to 3.
pub(super) const MAX_MARK: usize = 8;

/// The longest reason for a cancellation: a passenger who explains is not refused.
pub(super) const MAX_REASON: usize = 1000;

/// Faults told at most; more help nobody.
const MAX_ERRORS: usize = 100;

/// What a field must be, in words.
pub(super) type Rule = String;

/// The fields that were not yet taken, and what was wrong with the others.
#[derive(Debug)]
pub(super) struct Fields {
    left: BTreeMap<String, Box<RawValue>>,
    errors: Vec<FieldError>,
}

/// The value that the body is.
pub(super) fn value(body: &[u8]) -> Result<&RawValue, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let detail = format!("the body is not JSON at line {line} column {column}");
        Problem::new(Kind::NotJson, detail)
    })
}

impl Fields {
    /// Reads the body.
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let object: Object = serde_json::from_str(value(body)?.get()).map_err(|_no_object| {
            Problem::invalid_body(vec![FieldError {
                pointer: String::new(),
                detail: "must be an object".to_owned(),
            }])
        })?;
        let mut fields = Self {
            left: BTreeMap::new(),
            errors: Vec::new(),
        };
        for (name, value) in object.0 {
            if fields.left.insert(name.clone(), value).is_some() {
                fields.fault::<()>(&name, "must be given once");
            }
        }
        Ok(fields)
    }

    /// Takes a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&RawValue) -> Result<T, Rule>,
    ) -> Option<T> {
        match self.take(name) {
            Some(value) => self.checked(name, parse(&value)),
            None => self.fault(name, "is required"),
        }
    }

    /// Takes a field that may be missing or `null`.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&RawValue) -> Result<T, Rule>,
    ) -> Option<T> {
        let value = self.take(name)?;
        self.checked(name, parse(&value))
    }

    /// The value, if nothing was wrong and nothing is left over.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problem> {
        for name in std::mem::take(&mut self.left).into_keys() {
            self.fault::<()>(&name, "is not a known field");
        }
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            Some(_) | None => {
                self.errors.truncate(MAX_ERRORS);
                Err(Problem::invalid_body(self.errors))
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let value = self.left.remove(name)?;
        (value.get() != "null").then_some(value)
    }

    /// Notes the fault of what follows from several fields.
    pub(super) fn checked<T>(&mut self, name: &str, outcome: Result<T, Rule>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(rule) => self.fault(name, rule),
        }
    }

    fn fault<T>(&mut self, name: &str, rule: impl Into<Rule>) -> Option<T> {
        self.errors.push(FieldError {
            pointer: pointer(name),
            detail: rule.into(),
        });
        None
    }
}

/// RFC 6901 §3, cut to a length a reader can use.
fn pointer(name: &str) -> String {
    let name: String = name.chars().take(MAX_CHARACTERS).collect();
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An object with its fields in their order, repeated ones included.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}

/// A text as it was sent.
pub(super) fn string(value: &RawValue) -> Result<String, Rule> {
    serde_json::from_str(value.get()).map_err(|_no_text| "must be a text".to_owned())
}

/// A text to be read by people: 1 to 100 characters, one of them visible, none that hides or turns others; spaces around it are dropped.
pub(super) fn text(value: &RawValue) -> Result<String, Rule> {
    readable(value, MAX_CHARACTERS)
}

/// Why somebody cancels.
pub(super) fn reason(value: &RawValue) -> Result<String, Rule> {
    readable(value, MAX_REASON)
}

/// A coach or a seat.
pub(super) fn mark(value: &RawValue) -> Result<String, Rule> {
    readable(value, MAX_MARK)
}

fn readable(value: &RawValue, longest: usize) -> Result<String, Rule> {
    let rule = || format!("must be a text of 1 to {longest} characters");
    let text = string(value).map_err(|_no_text| rule())?;
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest {
        return Err(rule());
    }
    if text.chars().any(hides) {
        return Err("must hold no control characters and no invisible ones".to_owned());
    }
    if !text.chars().any(shows) {
        return Err("must hold a visible character".to_owned());
    }
    Ok(text.to_owned())
}

/// Line ends, and the format characters (Unicode category Cf) that can hide a text or turn it round. U+200C and U+200D are none of them: Indic scripts are written with them.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Neither a space, nor a joiner or variation selector that needs another character, nor a letter that is drawn as nothing.
fn shows(c: char) -> bool {
    let blank = matches!(
        c,
        '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{200c}'
            | '\u{200d}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    );
    !blank && !c.is_whitespace()
}

/// A text with a form of its own, that its type tells. Spaces around it are dropped.
pub(super) fn parsed<T>(value: &RawValue) -> Result<T, Rule>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    let text = string(value)?;
    text.trim().parse().map_err(|rule: T::Err| rule.to_string())
}

/// A whole number within bounds, never a fraction and never a text.
pub(super) fn integer(value: &RawValue, min: i64, max: i64) -> Result<i64, Rule> {
    let number = value.get().parse().ok();
    let within = number.filter(|number| (min..=max).contains(number));
    within.ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

/// `true` or `false`.
pub(super) fn boolean(value: &RawValue) -> Result<bool, Rule> {
    let value = value.get().parse().ok();
    value.ok_or_else(|| "must be true or false".to_owned())
}
