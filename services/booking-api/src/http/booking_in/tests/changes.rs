use super::*;

#[test]
fn a_cancellation_needs_no_body_and_takes_a_reason() {
    for body in ["", "  ", "null", "{}", "{\"reason\":null}"] {
        assert_eq!(CancellationIn::read(body.as_bytes()).unwrap().reason, None);
    }
    let read = CancellationIn::read(b"{\"reason\":\" ill \"}").unwrap();
    assert_eq!(read.reason.as_deref(), Some("ill"));
    let long = |length| format!("{{\"reason\":\"{}\"}}", "é".repeat(length));
    assert!(CancellationIn::read(long(1000).as_bytes()).is_ok());
    assert!(CancellationIn::read(long(1001).as_bytes()).is_err());
    for body in ["{\"reason\":\"\"}", "{\"why\":\"x\"}", "[]"] {
        let problem = CancellationIn::read(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), 422, "{body}");
    }
}

#[test]
fn a_payment_needs_one_of_the_words() {
    let PaymentIn(status) = PaymentIn::read(b"{\"paymentStatus\":\"REFUNDED\"}").unwrap();
    assert_eq!(status, PaymentStatus::Refunded);
    for body in [
        "{}",
        "{\"paymentStatus\":\"PAID\"}",
        "{\"paymentStatus\":1}",
    ] {
        let problem = PaymentIn::read(body.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), 422, "{body}");
    }
}
