//! The closed lists of words in an event.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The text is not one of the words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct UnknownWord(pub String);

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every word, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as events, bodies, headers, metrics and databases spell it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> Result<Self, $crate::UnknownWord> {
                let known = Self::ALL.iter().find(|word| word.as_str() == text);
                known.copied().ok_or_else(|| $crate::UnknownWord([$($word),+].join(", ")))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use words;

words! {
    /// State of a booking. `RAC`, `WAITLIST` and `COMPLETED` are read, not yet written.
    BookingStatus {
        /// A seat is assigned.
        Confirmed = "CONFIRMED",
        /// Given up by the passenger.
        Cancelled = "CANCELLED",
        /// Reservation against cancellation: may board, shares a berth.
        Rac = "RAC",
        /// Waiting for a seat.
        Waitlist = "WAITLIST",
        /// The journey is over.
        Completed = "COMPLETED",
    }
}

words! {
    /// State of the payment.
    PaymentStatus {
        /// Not yet paid.
        Pending = "PENDING",
        /// Paid.
        Completed = "COMPLETED",
        /// Refused.
        Failed = "FAILED",
        /// Paid back in full.
        Refunded = "REFUNDED",
        /// Paid back in part.
        PartiallyRefunded = "PARTIALLY_REFUNDED",
    }
}

words! {
    /// The passenger's gender as the ticket prints it.
    Gender {
        /// Male.
        Male = "MALE",
        /// Female.
        Female = "FEMALE",
        /// Other.
        Other = "OTHER",
    }
}

words! {
    /// The quota the seat is drawn from.
    Quota {
        /// General (GN).
        General = "GENERAL",
        /// Ladies (LD).
        Ladies = "LADIES",
        /// Senior citizen (SS).
        SeniorCitizen = "SENIOR_CITIZEN",
        /// Divyangjan (HP).
        Handicapped = "HANDICAPPED",
        /// Tatkal (TQ).
        Tatkal = "TATKAL",
        /// Premium Tatkal (PT).
        PremiumTatkal = "PREMIUM_TATKAL",
    }
}

words! {
    /// The class of travel.
    CoachType {
        /// 1A.
        AcFirstClass = "AC_FIRST_CLASS",
        /// 2A.
        Ac2Tier = "AC_2_TIER",
        /// 3A.
        Ac3Tier = "AC_3_TIER",
        /// 3E.
        Ac3Economy = "AC_3_ECONOMY",
        /// SL.
        SleeperClass = "SLEEPER_CLASS",
        /// 2S.
        SecondSitting = "SECOND_SITTING",
        /// CC.
        AcChairCar = "AC_CHAIR_CAR",
        /// EC.
        ExecutiveChairCar = "EXECUTIVE_CHAIR_CAR",
        /// FC.
        FirstClass = "FIRST_CLASS",
        /// GEN, unreserved.
        General = "GENERAL",
    }
}

impl CoachType {
    /// The name a passenger reads: `AC First Class`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcFirstClass => "AC First Class",
            Self::Ac2Tier => "AC 2 Tier",
            Self::Ac3Tier => "AC 3 Tier",
            Self::Ac3Economy => "AC 3 Tier Economy",
            Self::SleeperClass => "Sleeper",
            Self::SecondSitting => "Second Sitting",
            Self::AcChairCar => "AC Chair Car",
            Self::ExecutiveChairCar => "Executive Chair Car",
            Self::FirstClass => "First Class",
            Self::General => "General",
        }
    }

    /// The code on a ticket: `1A`, `SL`, ….
    pub const fn code(self) -> &'static str {
        match self {
            Self::AcFirstClass => "1A",
            Self::Ac2Tier => "2A",
            Self::Ac3Tier => "3A",
            Self::Ac3Economy => "3E",
            Self::SleeperClass => "SL",
            Self::SecondSitting => "2S",
            Self::AcChairCar => "CC",
            Self::ExecutiveChairCar => "EC",
            Self::FirstClass => "FC",
            Self::General => "GEN",
        }
    }
}

/// A word of a list that another producer may have grown: an unknown one is kept as it stands, for it decides nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a text")]
pub enum Known<T> {
    /// One of ours.
    Word(T),
    /// Somebody else's.
    Other(String),
}

impl<T: Copy> Known<T> {
    /// The word, if it is one of ours.
    pub fn word(&self) -> Option<T> {
        match self {
            Self::Word(word) => Some(*word),
            Self::Other(_) => None,
        }
    }
}

impl<T: fmt::Display> fmt::Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => word.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl<T> From<T> for Known<T> {
    fn from(word: T) -> Self {
        Self::Word(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "PINK".parse::<Gender>().unwrap_err();
        assert_eq!(error.to_string(), "must be one of MALE, FEMALE, OTHER");
    }

    #[test]
    fn a_word_of_another_producer_is_kept() {
        let coach: Known<CoachType> = serde_json::from_str("\"VISTADOME\"").unwrap();
        assert_eq!(coach, Known::Other("VISTADOME".into()));
        assert_eq!(serde_json::to_string(&coach).unwrap(), "\"VISTADOME\"");
        assert!(serde_json::from_str::<Known<CoachType>>("7").is_err());
    }
}
