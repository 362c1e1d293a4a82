//! The parts of a fare.

use events::Money;

/// The convenience fee, in percent of the base fare (contract, "Create body").
const CONVENIENCE_PERCENT: i64 = 2;

/// Goods and services tax, in percent of the base fare (contract, "Create body").
const GST_PERCENT: i64 = 5;

/// The largest amount, in rupees (contract, "Values").
pub(crate) const MAX_RUPEES: i64 = 1_000_000;

/// A fare as a client gives it: the base, and whatever else it knows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GivenFare {
    pub(crate) base: Money,
    pub(crate) convenience_fee: Option<Money>,
    pub(crate) gst: Option<Money>,
    pub(crate) total: Option<Money>,
}

/// The parts a client gave are each in order, but their sum is beyond [`MAX_RUPEES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is left out, and the sum of the parts is over {MAX_RUPEES}")]
pub(crate) struct TotalTooLarge;

/// A fare with all its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fare {
    pub(crate) base: Money,
    pub(crate) convenience_fee: Money,
    pub(crate) gst: Money,
    pub(crate) total: Money,
}

impl GivenFare {
    /// Computes what is missing. A part that is given is kept, even if the parts then do not add up: the specification's own sample does not.
    ///
    /// # Errors
    /// [`TotalTooLarge`].
    pub(crate) fn complete(self) -> Result<Fare, TotalTooLarge> {
        let percent = |rate| self.base.percent(rate);
        let convenience_fee = self
            .convenience_fee
            .unwrap_or_else(|| percent(CONVENIENCE_PERCENT));
        let gst = self.gst.unwrap_or_else(|| percent(GST_PERCENT));
        let total = self.total.unwrap_or(self.base + convenience_fee + gst);
        if total > Money::from_paise(MAX_RUPEES * 100) {
            return Err(TotalTooLarge);
        }
        Ok(Fare {
            base: self.base,
            convenience_fee,
            gst,
            total,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn missing_parts_are_computed_half_up_to_the_paisa() {
        let base = Money::from_paise(99_925);
        let fare = GivenFare {
            base,
            ..GivenFare::default()
        };
        let fare = fare.complete().unwrap();
        assert_eq!(fare.convenience_fee, Money::from_paise(1_999));
        assert_eq!(fare.gst, Money::from_paise(4_996));
        assert_eq!(fare.total, Money::from_paise(106_920));
    }

    #[test]
    fn the_parts_of_the_specification_s_sample_are_kept_though_they_do_not_add_up() {
        let given = GivenFare {
            base: Money::from_paise(450_000),
            convenience_fee: Some(Money::from_paise(9_000)),
            gst: Some(Money::from_paise(22_500)),
            total: Some(Money::from_paise(500_000)),
        };
        assert_eq!(given.complete().unwrap().total, Money::from_paise(500_000));
    }

    #[test]
    fn a_computed_total_has_the_limit_of_every_amount() {
        let with_base = |paise| GivenFare {
            base: Money::from_paise(paise),
            ..GivenFare::default()
        };
        // Base, 2 % and 5 %: 934,579.44 is the last that fits.
        let largest = with_base(93_457_944).complete().unwrap().total;
        assert_eq!(largest, Money::from_paise(100_000_000));
        assert_eq!(with_base(93_457_945).complete(), Err(TotalTooLarge));
    }

    proptest! {
        #[test]
        fn a_computed_total_is_the_sum_of_its_parts(
            base in 0_i64..=100_000_000,
            fee in proptest::option::of(0_i64..=100_000_000),
            gst in proptest::option::of(0_i64..=100_000_000),
        ) {
            let given = GivenFare {
                base: Money::from_paise(base),
                convenience_fee: fee.map(Money::from_paise),
                gst: gst.map(Money::from_paise),
                total: None,
            };
            let sum = base
                + fee.unwrap_or_else(|| given.base.percent(CONVENIENCE_PERCENT).paise())
                + gst.unwrap_or_else(|| given.base.percent(GST_PERCENT).paise());
            let Ok(fare) = given.complete() else {
                prop_assert!(sum > MAX_RUPEES * 100);
                return Ok(());
            };
            prop_assert!(sum <= MAX_RUPEES * 100);
            prop_assert_eq!(fare.total, fare.base + fare.convenience_fee + fare.gst);
            prop_assert!(given.convenience_fee.is_none_or(|fee| fee == fare.convenience_fee));
            prop_assert!(given.gst.is_none_or(|gst| gst == fare.gst));
        }
    }
}
