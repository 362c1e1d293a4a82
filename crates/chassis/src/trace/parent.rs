//! W3C trace context, as far as a header goes.

use std::fmt;
use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::chance;

/// A `traceparent`: `00-<trace id>-<parent id>-<flags>` (W3C Trace Context §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

/// The header is not a trace context: it is to be ignored and a new trace begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no valid traceparent")]
pub struct InvalidTraceParent;

impl TraceParent {
    /// The header's name, in HTTP and in Kafka.
    pub const HEADER: &'static str = "traceparent";

    /// A new trace, sampled.
    pub fn start() -> Self {
        Self {
            trace_id: u128::from_be_bytes(chance::bytes()) | 1,
            parent_id: new_id(),
            flags: 1,
        }
    }

    /// The next step of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            parent_id: new_id(),
            ..self
        }
    }
}

impl From<TraceParent> for SpanContext {
    fn from(parent: TraceParent) -> Self {
        Self::new(
            TraceId::from(parent.trace_id),
            SpanId::from(parent.parent_id),
            TraceFlags::new(parent.flags),
            true,
            TraceState::NONE,
        )
    }
}

impl From<&SpanContext> for TraceParent {
    fn from(context: &SpanContext) -> Self {
        Self {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            parent_id: u64::from_be_bytes(context.span_id().to_bytes()),
            flags: context.trace_flags().to_u8(),
        }
    }
}

fn new_id() -> u64 {
    u64::from_be_bytes(chance::bytes()) | 1
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut fields = text.split('-');
        let mut hex = |length: usize| {
            let field = fields.next().unwrap_or_default();
            let lowercase = field
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            let number = u128::from_str_radix(field, 16).ok();
            number
                .filter(|_| lowercase && field.len() == length)
                .ok_or(InvalidTraceParent)
        };
        let (version, trace_id, parent_id, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let too_long = version == 0 && fields.next().is_some();
        if version == 0xff || trace_id == 0 || parent_id == 0 || too_long {
            return Err(InvalidTraceParent);
        }
        let parent_id = u64::try_from(parent_id).ok().ok_or(InvalidTraceParent)?;
        let flags = u8::try_from(flags).ok().ok_or(InvalidTraceParent)?;
        Ok(Self {
            trace_id,
            parent_id,
            flags,
        })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id, self.parent_id, self.flags
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_keeps_the_trace() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent: TraceParent = text.parse().unwrap();
        assert_eq!(parent.to_string(), text);
        let child = parent.child();
        assert_eq!(child.trace_id, parent.trace_id);
        assert_ne!(child.parent_id, parent.parent_id);
    }

    #[test]
    fn nonsense_is_ignored() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }
}
