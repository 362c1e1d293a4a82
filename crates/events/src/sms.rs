//! How many segments a text message takes, which is what it costs.
//!
//! Characters: 3GPP TS 23.038 §6.2.1 (GSM 7 bit default alphabet) and §6.2.1.1 (its extension table); any other character makes the whole text UCS-2 (§6.2.3), which providers fill with UTF-16.
//! Sizes: a segment carries 140 octets (3GPP TS 23.040 §9.2.3.16), and in a longer message six of them number the segment (§9.2.3.24.1).

/// The 127 characters of the default alphabet (128 positions, one of which is the escape), in the order of §6.2.1.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table of §6.2.1.1: each takes the escape and one more septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How a text travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmsEncoding {
    /// The GSM 7 bit default alphabet; a unit is a septet.
    Gsm7,
    /// Two octets a character; a unit is a UTF-16 code unit.
    Ucs2,
}

impl SmsEncoding {
    /// The name as providers write it: `GSM-7`, `UCS-2`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }

    /// Units in a message of one segment: 140 octets.
    pub const fn single(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Units in each segment of a longer message: 134 octets.
    pub const fn concatenated(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    fn units(self, c: char) -> usize {
        match self {
            Self::Gsm7 if EXTENSION.contains(c) => 2,
            Self::Gsm7 => 1,
            Self::Ucs2 => c.len_utf16(),
        }
    }
}

/// The size of a text message.
#[expect(
    clippy::struct_field_names,
    reason = "the count is what the type is about"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Segments {
    /// How it travels.
    pub encoding: SmsEncoding,
    /// Septets, or UTF-16 code units.
    pub units: usize,
    /// Segments; an empty text is one.
    pub segments: usize,
}

/// Whether the character exists in GSM 7 bit, the extension table included. `₹`, emoji, curly quotes and Indic scripts do not.
pub fn is_gsm7(c: char) -> bool {
    c.is_ascii_alphanumeric() || BASIC.contains(c) || EXTENSION.contains(c)
}

/// Measures a text. A character of two units is never divided between two segments.
pub fn segments(text: &str) -> Segments {
    let encoding = if text.chars().all(is_gsm7) {
        SmsEncoding::Gsm7
    } else {
        SmsEncoding::Ucs2
    };
    let units = text.chars().map(|c| encoding.units(c)).sum();
    let segments = if units <= encoding.single() {
        1
    } else {
        concatenated_segments(text, encoding)
    };
    Segments {
        encoding,
        units,
        segments,
    }
}

fn concatenated_segments(text: &str, encoding: SmsEncoding) -> usize {
    let mut segments = 1;
    let mut filled = 0;
    for c in text.chars() {
        let width = encoding.units(c);
        if filled + width > encoding.concatenated() {
            segments += 1;
            filled = 0;
        }
        filled += width;
    }
    segments
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn measured(text: &str) -> (SmsEncoding, usize, usize) {
        let size = segments(text);
        (size.encoding, size.units, size.segments)
    }

    #[test]
    fn the_alphabet_is_that_of_the_specification() {
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENSION.chars().count(), 10);
        assert!("PNR:2412345678, Rs.5000 [A1]".chars().all(is_gsm7));
        for c in "`₹’“–—\u{a0}áíóúहத😀\u{1b}\t".chars() {
            assert!(!is_gsm7(c), "{c:?}");
        }
    }

    #[test]
    fn septets_are_counted() {
        use SmsEncoding::Gsm7;
        assert_eq!(measured(""), (Gsm7, 0, 1));
        assert_eq!(measured(&"a".repeat(160)), (Gsm7, 160, 1));
        assert_eq!(measured(&"a".repeat(161)), (Gsm7, 161, 2));
        assert_eq!(measured(&"a".repeat(306)), (Gsm7, 306, 2));
        assert_eq!(measured(&"a".repeat(307)), (Gsm7, 307, 3));
        let irctc = "PNR:2412345678,TRAIN:12951,DOJ:15-01-2027,TIME:17:00,3A,MMCT TO NDLS,ASHA RAO+1,B2 31 B2 32,FARE:5000,SC:35.4+PG CHGS.";
        assert_eq!(measured(irctc), (Gsm7, 118, 1));
    }

    #[test]
    fn an_escaped_character_is_two_septets_and_stays_whole() {
        use SmsEncoding::Gsm7;
        assert_eq!(measured(&"€".repeat(80)), (Gsm7, 160, 1));
        assert_eq!(measured(&"€".repeat(81)), (Gsm7, 162, 2));
        let across = format!("{}€{}", "a".repeat(152), "a".repeat(7));
        assert_eq!(measured(&across), (Gsm7, 161, 2));
        let pushed = format!("{}€{}", "a".repeat(152), "a".repeat(152));
        assert_eq!(measured(&pushed), (Gsm7, 306, 3));
    }

    #[test]
    fn one_other_character_makes_the_whole_text_ucs2() {
        use SmsEncoding::Ucs2;
        assert_eq!(measured("Fare ₹5000"), (Ucs2, 10, 1));
        assert_eq!(measured(&"₹".repeat(70)), (Ucs2, 70, 1));
        assert_eq!(measured(&"₹".repeat(71)), (Ucs2, 71, 2));
        assert_eq!(measured(&"₹".repeat(134)), (Ucs2, 134, 2));
        assert_eq!(measured(&"₹".repeat(135)), (Ucs2, 135, 3));
        assert_eq!(measured(&"😀".repeat(35)), (Ucs2, 70, 1));
        assert_eq!(measured(&"😀".repeat(36)), (Ucs2, 72, 2));
        // 33 emoji fill 66 of 67 units: the last unit stays empty.
        assert_eq!(measured(&"😀".repeat(67)), (Ucs2, 134, 3));
    }

    proptest! {
        #[test]
        fn segments_hold_the_text_and_no_segment_is_superfluous(text in ".{0,700}") {
            let Segments { encoding, units, segments } = segments(&text);
            if segments == 1 {
                prop_assert!(units <= encoding.single());
            } else {
                prop_assert!(units > encoding.single());
                prop_assert!(units <= segments * encoding.concatenated());
                // At most one unit of a full segment is lost to a pair that moved on.
                prop_assert!(units > (segments - 1) * (encoding.concatenated() - 1));
            }
        }

        #[test]
        fn a_longer_text_never_takes_fewer_segments(text in ".{1,400}", more in ".{1,40}") {
            let longer = text.clone() + &more;
            prop_assert!(segments(&longer).segments >= segments(&text).segments);
        }
    }
}
