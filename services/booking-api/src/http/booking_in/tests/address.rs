use super::*;

#[test]
fn an_e_mail_address_may_be_as_long_as_mail_can_carry_it() {
    let address = |labels| format!("{}@{}example", "u".repeat(64), "d.".repeat(labels));
    for (labels, length) in [(15, 102), (91, 254)] {
        let address = address(labels);
        assert_eq!(address.len(), length);
        let BookingIn(details) = BookingIn::read(&with("userEmail", json!(address))).unwrap();
        assert_eq!(details.user_email.as_str(), address);
    }
    let told = fault_of("userEmail", json!(address(92)));
    assert_eq!(
        told,
        "/userEmail must be an e-mail address of at most 254 bytes, such as name@example.com"
    );
}
