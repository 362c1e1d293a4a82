//! The train number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A train number: exactly five digits, leading zeros kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrainNumber(String);

/// The text is not exactly five digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be exactly 5 digits")]
pub struct InvalidTrainNumber;

impl TrainNumber {
    /// The five digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrainNumber {
    type Err = InvalidTrainNumber;

    fn from_str(text: &str) -> Result<Self, InvalidTrainNumber> {
        if text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidTrainNumber)
        }
    }
}

impl TryFrom<String> for TrainNumber {
    type Error = InvalidTrainNumber;

    fn try_from(text: String) -> Result<Self, InvalidTrainNumber> {
        text.parse()
    }
}

impl From<TrainNumber> for String {
    fn from(number: TrainNumber) -> Self {
        number.0
    }
}

impl fmt::Display for TrainNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_are_part_of_the_number() {
        assert_eq!("01234".parse::<TrainNumber>().unwrap().as_str(), "01234");
        for bad in ["1234", "123456", "12a45", ""] {
            assert_eq!(bad.parse::<TrainNumber>(), Err(InvalidTrainNumber), "{bad}");
        }
    }
}
