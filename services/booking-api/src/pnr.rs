//! Where new PNRs come from.

use std::fmt;
use std::sync::Arc;

use chassis::chance;
use events::Pnr;

/// Makes PNRs. Clones share it.
#[derive(Clone)]
pub struct PnrSource(Arc<dyn Fn() -> Pnr + Send + Sync>);

impl PnrSource {
    /// PNRs of `make`, which may repeat itself: one that is taken is replaced by the next.
    pub fn new(make: impl Fn() -> Pnr + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(crate) fn next(&self) -> Pnr {
        (self.0)()
    }
}

/// Ten random digits, the first not 0: none can be guessed from another.
impl Default for PnrSource {
    fn default() -> Self {
        Self::new(random)
    }
}

fn random() -> Pnr {
    let number = chance::number_in(1_000_000_000..10_000_000_000);
    #[expect(
        clippy::expect_used,
        reason = "every number of the range has ten digits"
    )]
    number.to_string().parse().expect("ten digits")
}

impl fmt::Debug for PnrSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PnrSource")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn random_pnrs_do_not_repeat_soon() {
        let source = PnrSource::default();
        let pnrs: HashSet<Pnr> = (0..1000).map(|_| source.next()).collect();
        assert!(pnrs.len() >= 999);
    }
}
