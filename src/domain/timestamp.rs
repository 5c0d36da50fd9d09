//! Times as serde fields: short in binary formats, seconds since the Unix epoch and nanoseconds. A
//! time without a fraction, as the API returns it, takes six bytes in the storage. In JSON they are
//! text as usual.

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For `#[serde(with)]`.
pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        time.serialize(serializer)
    } else {
        (time.as_second(), time.subsec_nanosecond()).serialize(serializer)
    }
}

/// For `#[serde(with)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    if deserializer.is_human_readable() {
        return Timestamp::deserialize(deserializer);
    }
    let (seconds, nanoseconds) = Deserialize::deserialize(deserializer)?;
    Timestamp::new(seconds, nanoseconds).map_err(D::Error::custom)
}

/// The same for optional times.
pub mod option {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    #[derive(Serialize, Deserialize)]
    struct Time(#[serde(with = "super")] Timestamp);

    /// For `#[serde(with)]`.
    pub fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Time).serialize(serializer)
    }

    /// For `#[serde(with)]`.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let time = Option::<Time>::deserialize(deserializer)?;
        Ok(time.map(|Time(time)| time))
    }
}
