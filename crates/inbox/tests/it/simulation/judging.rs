//! What must be so once everything has come to rest.

use super::*;

impl World {
    async fn finish_what_is_in_hand(&mut self) {
        while !self.in_hand.is_empty() {
            let idle = self.in_hand.iter().position(|one| one.outcome.is_none());
            match idle {
                Some(index) => self.act(index, 0),
                None => self.settle().await,
            }
        }
    }

    /// Everything is read, everybody works, every provider takes everything.
    pub(super) async fn come_to_rest(&mut self) {
        let rest = std::mem::take(&mut self.unread);
        self.fixture().store_all(&rest).await;
        for _ in 0..200 {
            self.finish_what_is_in_hand().await;
            if self.fixture().inbox.unfinished().await.unwrap().0 == 0 {
                return;
            }
            self.wait(Duration::from_secs(5)).await;
            self.claim().await;
        }
        panic!("rows are stuck");
    }

    pub(super) async fn judge(&self) {
        let sql = "select event_id, state from inbox";
        let rows: Vec<(String, String)> = sqlx::query_as(sql)
            .fetch_all(&self.fixture().database)
            .await
            .unwrap();
        assert_eq!(rows.len(), self.versions.len(), "events without a row");
        for (id, state) in rows {
            let copies = self.ledger.iter().filter(|taken| taken.event == id).count();
            let doubts = self.doubts.get(&id).copied().unwrap_or(0);
            assert!(
                copies <= 1 + doubts,
                "{id} told {copies} times with {doubts} doubts"
            );
            match state.as_str() {
                "SENT" => assert!(copies > 0, "{id} is SENT and nobody took it"),
                "DEAD" => assert!(
                    self.dead_letters.contains(&id),
                    "{id} is DEAD without a letter"
                ),
                "SUPPRESSED" => assert!(self.is_untrue(&id), "{id} was suppressed for no reason"),
                state => panic!("{id} ended as {state}"),
            }
        }
    }

    /// Whether something newer was told, or may have been, or the booking was cancelled.
    fn is_untrue(&self, id: &str) -> bool {
        let (pnr, version, kind) = &self.versions[id];
        let newer = self
            .versions
            .iter()
            .filter(|(_, (other, at, _))| other == pnr && at > version);
        let told = |id: &str| self.ledger.iter().any(|taken| taken.event == id);
        *kind != PAID
            && newer.into_iter().any(|(id, (_, _, newer))| {
                (*kind == CONFIRMED && *newer == CANCELLED)
                    || told(id)
                    || self.suspected.contains(id)
            })
    }
}
