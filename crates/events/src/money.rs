//! Rupees and paise.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;

/// An amount in Indian rupees, held as whole paise, never as a float.
///
/// In JSON a number with two decimals, `5000.00`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

/// The text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Not a decimal number.
    #[error("must be a number")]
    NotANumber,
    /// A fraction of a paisa.
    #[error("must have at most two decimals")]
    TooPrecise,
    /// Too large for the type: beyond about 92 quadrillion rupees.
    #[error("is out of range")]
    OutOfRange,
}

impl Money {
    /// An amount of whole paise.
    pub const fn from_paise(paise: i64) -> Self {
        Self(paise)
    }

    /// The amount in paise.
    pub const fn paise(self) -> i64 {
        self.0
    }

    /// `percent` of this amount, rounded half-up to whole paise.
    #[must_use]
    pub const fn percent(self, percent: i64) -> Self {
        Self((self.0 * percent + 50).div_euclid(100))
    }

    /// The amount as India reads it, in thousands, lakhs and crores: `12,34,567.00`.
    pub fn grouped(self) -> String {
        let plain = self.to_string();
        let (whole, paise) = plain.split_once('.').unwrap_or((&plain, "00"));
        let digits = whole.trim_start_matches('-').len();
        let separated = |place: usize| place == 3 || (place > 3 && place % 2 == 1);
        let mut text = String::with_capacity(plain.len() + digits / 2);
        for (index, c) in whole.chars().enumerate() {
            let place = whole.len() - index;
            if place < digits && separated(place) {
                text.push(',');
            }
            text.push(c);
        }
        text + "." + paise
    }

    /// Reads any JSON number, rounding fractions of a paisa half away from zero.
    ///
    /// # Errors
    /// [`InvalidMoney::NotANumber`] and [`InvalidMoney::OutOfRange`].
    pub fn parse_rounded(text: &str) -> Result<Self, InvalidMoney> {
        let decimal = Decimal::parse(text)?;
        decimal.rounded_paise().map(Self)
    }
}

impl FromStr for Money {
    type Err = InvalidMoney;

    /// Reads a decimal number exactly.
    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let decimal = Decimal::parse(text)?;
        if decimal.finer_than_paise() {
            return Err(InvalidMoney::TooPrecise);
        }
        decimal.rounded_paise().map(Self)
    }
}

/// `digits × 10^exponent`, trailing zeros removed.
struct Decimal {
    digits: i128,
    exponent: i32,
}

impl Decimal {
    fn parse(text: &str) -> Result<Self, InvalidMoney> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()),
            None => (text, Some(0)),
        };
        let exponent = exponent.ok_or(InvalidMoney::NotANumber)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let unsigned = whole.strip_prefix('-').unwrap_or(whole);
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !numeric(unsigned) || !numeric(fraction) {
            return Err(InvalidMoney::NotANumber);
        }
        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}")
            .parse()
            .ok()
            .ok_or(InvalidMoney::OutOfRange)?;
        let places = i32::try_from(fraction.len())
            .ok()
            .ok_or(InvalidMoney::OutOfRange)?;
        Ok(Self {
            digits,
            exponent: exponent.saturating_sub(places),
        })
    }

    fn finer_than_paise(&self) -> bool {
        let places = (-2_i32).saturating_sub(self.exponent);
        match u32::try_from(places) {
            Ok(places) => match 10_i128.checked_pow(places) {
                Some(power) => self.digits % power != 0,
                None => self.digits != 0,
            },
            Err(_) => false,
        }
    }

    fn rounded_paise(&self) -> Result<i64, InvalidMoney> {
        let shift = self.exponent.saturating_add(2);
        let power = 10_i128.checked_pow(shift.unsigned_abs());
        let paise = match (power, shift >= 0) {
            (Some(power), true) => self.digits.checked_mul(power),
            (Some(power), false) => {
                let half = power / 2 * self.digits.signum();
                Some((self.digits + half) / power)
            }
            (None, _) if self.digits == 0 => Some(0),
            (None, true) => None,
            (None, false) => Some(0),
        };
        paise
            .and_then(|paise| i64::try_from(paise).ok())
            .ok_or(InvalidMoney::OutOfRange)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let paise = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", paise / 100, paise % 100)
    }
}

impl Add for Money {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Add::add)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = RawValue::from_string(self.to_string()).map_err(ser::Error::custom)?;
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse_rounded(raw.get()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, paise) in [
            ("5000.00", 500_000),
            ("5000", 500_000),
            ("0.5", 50),
            ("-1.25", -125),
            ("5E+3", 500_000),
            ("12.3e1", 12_300),
            ("1.230", 123),
            ("0e99", 0),
        ] {
            assert_eq!(text.parse::<Money>(), Ok(Money(paise)), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (text, error) in [
            ("", InvalidMoney::NotANumber),
            ("\"5\"", InvalidMoney::NotANumber),
            ("1.", InvalidMoney::NotANumber),
            ("null", InvalidMoney::NotANumber),
            ("1.005", InvalidMoney::TooPrecise),
            ("1e-3", InvalidMoney::TooPrecise),
            ("1e30", InvalidMoney::OutOfRange),
            ("1e999999999", InvalidMoney::OutOfRange),
            ("1e-999999999", InvalidMoney::TooPrecise),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_foreign_producer_s_fraction_of_a_paisa_is_rounded() {
        assert_eq!(Money::parse_rounded("1.005"), Ok(Money(101)));
        assert_eq!(Money::parse_rounded("-1.005"), Ok(Money(-101)));
        assert_eq!(Money::parse_rounded("1.0049"), Ok(Money(100)));
    }

    #[test]
    fn amounts_are_grouped_in_lakhs_and_crores() {
        for (paise, text) in [
            (0, "0.00"),
            (-12_345, "-123.45"),
            (500_000, "5,000.00"),
            (-500_000, "-5,000.00"),
            (9_999_900, "99,999.00"),
            (10_000_000, "1,00,000.00"),
            (123_456_789_012, "1,23,45,67,890.12"),
        ] {
            assert_eq!(Money(paise).grouped(), text);
        }
    }

    #[test]
    fn percentages_round_half_up() {
        assert_eq!(Money(450_000).percent(2), Money(9_000));
        assert_eq!(Money(25).percent(2), Money(1));
        assert_eq!(Money(24).percent(2), Money(0));
    }

    proptest! {
        #[test]
        fn every_amount_survives_json(paise in -10_000_000_000_i64..10_000_000_000) {
            let json = serde_json::to_string(&Money(paise)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Money>(&json).unwrap(), Money(paise));
            prop_assert_eq!(json.parse::<Money>(), Ok(Money(paise)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-+0-9.eE]{0,24}") {
            let _outcome = (text.parse::<Money>(), Money::parse_rounded(&text));
        }
    }
}
