//! No send goes on after its lease.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use crate::channel::{FailureClass, SendError};

/// Takes no step past `end`: a process that slept may wake in the middle of a dialogue whose row another has claimed since, and a timeout is only looked at after what it limits.
pub(super) async fn while_leased<T>(
    end: Instant,
    sending: impl Future<Output = Result<T, SendError>>,
) -> Result<T, SendError> {
    let mut sending = pin!(sending);
    poll_fn(|context| {
        if Instant::now() > end {
            return Poll::Ready(Err(no_answer()));
        }
        sending.as_mut().poll(context)
    })
    .await
}

pub(super) fn no_answer() -> SendError {
    SendError {
        class: FailureClass::Ambiguous,
        status: None,
        problem: "the provider did not answer in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_dialogue_is_not_gone_on_with_after_its_lease() {
        let went_on = Cell::new(false);
        let end = Instant::now() + Duration::from_millis(100);
        let dialogue = async {
            tokio::time::sleep_until((end + Duration::from_millis(1)).into()).await;
            went_on.set(true);
            Ok(())
        };
        let answered = while_leased(end, dialogue).await;
        assert_eq!(answered.unwrap_err().class, FailureClass::Ambiguous);
        assert!(!went_on.get());
    }
}
