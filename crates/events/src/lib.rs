#![doc = include_str!("../README.md")]

mod booking_event;
mod channel;
mod dead_letter;
mod email;
mod event_id;
mod event_type;
mod headers;
mod money;
mod phone;
mod pnr;
pub mod sms;
mod status;
mod time;
mod train;
mod vocabulary;

pub use booking_event::{BookingEvent, DecodeError};
pub use channel::{Channel, NOTIFICATION_STATUS, UnknownChannel, topics};
pub use dead_letter::{
    DeadLetter, DeadLetterClass, NoDeadLetter, Stage, header as dead_letter_header,
};
pub use email::{Email, InvalidEmail};
pub use event_id::{EventId, InvalidEventId};
pub use event_type::{EventType, UnknownEventType};
pub use headers::{EventHeaders, History, NewerSchema, ReadHeaders, header};
pub use money::{InvalidMoney, Money};
pub use phone::{InvalidPhone, Phone};
pub use pnr::{InvalidPnr, Pnr};
pub use status::{NotificationStatus, Step};
pub use time::{InvalidTime, IstDateTime, RailTime, ist};
pub use train::{InvalidTrainNumber, TrainNumber};
pub use vocabulary::{BookingStatus, CoachType, Gender, Known, PaymentStatus, Quota, UnknownWord};
