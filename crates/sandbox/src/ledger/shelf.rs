//! The messages in memory, with a bound on what their bodies take.

use std::sync::Arc;

use crate::accepted::Accepted;

/// What the bodies of the newest messages may take together: some thousands of mails, hundreds of thousands of texts.
const BODIES_BYTES: usize = 64 << 20;

/// Messages in the order they came. The oldest lose their bodies when all together take too much.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    messages: Vec<Arc<Accepted>>,
    body_bytes: usize,
    /// Index of the oldest message that still has its bodies.
    oldest_whole: usize,
}

impl Shelf {
    pub(super) fn push(&mut self, message: Arc<Accepted>) {
        self.body_bytes += message.body_bytes();
        self.messages.push(message);
        while self.body_bytes > BODIES_BYTES {
            self.drop_oldest_bodies();
        }
    }

    fn drop_oldest_bodies(&mut self) {
        let Some(message) = self.messages.get_mut(self.oldest_whole) else {
            self.body_bytes = 0;
            return;
        };
        self.body_bytes = self.body_bytes.saturating_sub(message.body_bytes());
        *message = Arc::new(message.without_bodies());
        self.oldest_whole += 1;
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Arc<Accepted>> {
        self.messages.iter().rev()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accepted::Provider;

    #[test]
    fn old_messages_lose_their_bodies_and_nothing_else() {
        let mut shelf = Shelf::default();
        for seq in 1..=100 {
            let mut message = Accepted::unnumbered(Provider::Smtp, format!("id-{seq}"));
            message.seq = seq;
            message.text = "x".repeat(1 << 20);
            shelf.push(Arc::new(message));
        }
        let whole = shelf
            .newest_first()
            .take_while(|message| !message.bodies_dropped);
        assert_eq!(whole.count(), 64);
        assert_eq!(shelf.newest_first().count(), 100);
        assert_eq!(
            shelf.newest_first().last().unwrap().provider_message_id,
            "id-1"
        );
    }
}
