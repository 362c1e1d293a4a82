//! Whom a letter goes to.

use delivery::Undeliverable;
use events::{BookingEvent, Stage};
use lettre::Address;
use url::Host;

pub(crate) fn recipient(event: &BookingEvent) -> Result<Address, Undeliverable> {
    let invalid = |problem: String| Undeliverable {
        stage: Stage::Validate,
        problem: format!("userEmail {problem}"),
    };
    let email = event.email().map_err(|error| invalid(error.to_string()))?;
    let address = email.as_str().parse::<Address>().ok();
    let address =
        address.ok_or_else(|| invalid("must be an address that SMTP can carry".to_owned()))?;
    Ok(with_domain_in_ascii(address))
}

/// Its domain as the DNS holds it (A-labels, RFC 5890 §2.3.2.1), so that only a local part needs SMTPUTF8. A domain without such a form stays as it is.
fn with_domain_in_ascii(address: Address) -> Address {
    if address.domain().is_ascii() {
        return address;
    }
    match Host::parse(address.domain()) {
        Ok(Host::Domain(domain)) => Address::new(address.user(), domain).unwrap_or(address),
        Ok(Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recipient_of(email: Option<&str>) -> Result<Address, Undeliverable> {
        let sample = include_bytes!("../../../crates/events/golden/specification-sample.json");
        let mut event = BookingEvent::decode(sample).unwrap();
        event.user_email = email.map(str::to_owned);
        recipient(&event)
    }

    #[test]
    fn a_missing_or_bad_address_names_the_field_and_not_its_content() {
        for address in [None, Some("no address"), Some("a@localhost")] {
            let problem = recipient_of(address).unwrap_err();
            assert_eq!(problem.stage, Stage::Validate);
            assert!(
                problem.problem.starts_with("userEmail must be an "),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_domain_is_written_as_the_dns_holds_it() {
        for (booked, mailed) in [
            ("asha@डाक.भारत", "asha@xn--11bx1g.xn--h2brj9c"),
            ("asha@почта.рф", "asha@xn--80a1acny.xn--p1ai"),
            ("Asha@Bücher.example", "Asha@xn--bcher-kva.example"),
            ("asha@straße.example", "asha@xn--strae-oqa.example"),
            ("आशा@डाक.भारत", "आशा@xn--11bx1g.xn--h2brj9c"),
            ("आशा@Example.com", "आशा@Example.com"),
        ] {
            let address = recipient_of(Some(booked)).unwrap();
            assert_eq!(address.to_string(), mailed);
        }
    }

    proptest! {
        #[test]
        fn every_address_that_is_booked_can_be_mailed(
            text in "[a-zA-Z0-9.+_'\"( -]{1,8}@[a-z0-9.\u{e9}\u{915}\u{94d}_-]{1,12}\\.[a-z0-9\u{915}-]{1,4}",
        ) {
            if text.parse::<events::Email>().is_ok() {
                prop_assert!(recipient_of(Some(&text)).is_ok());
            }
        }
    }
}
