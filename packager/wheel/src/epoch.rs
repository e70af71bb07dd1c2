//! The timestamp of all files in a wheel: `SOURCE_DATE_EPOCH`, or the earliest time that a zip archive supports.

use std::env;
use std::str::FromStr;

use time::OffsetDateTime;

use super::error::WheelError;
use jnumpy_base::env_vars::SOURCE_DATE_EPOCH;

/// Seconds since 1970 in UTC, as `SOURCE_DATE_EPOCH` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(OffsetDateTime);

impl Epoch {
    /// Reads `SOURCE_DATE_EPOCH`; `None` when it is not set.
    pub fn from_environment() -> Result<Option<Self>, WheelError> {
        env::var_os(SOURCE_DATE_EPOCH).map(|value| value.to_string_lossy().parse()).transpose()
    }

    /// The seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0.unix_timestamp().try_into().unwrap_or_default()
    }

    /// As in `2024-02-29T12:34:56Z`.
    pub(super) fn rfc3339(self) -> String {
        let (hour, minute, second) = self.0.time().as_hms();
        format!("{}T{hour:02}:{minute:02}:{second:02}Z", self.0.date())
    }
}

impl FromStr for Epoch {
    type Err = WheelError;

    fn from_str(text: &str) -> Result<Self, WheelError> {
        let invalid = || WheelError::Epoch { value: text.to_owned() };
        let seconds =
            text.parse::<u64>().ok().and_then(|seconds| seconds.try_into().ok()).ok_or_else(invalid)?;
        OffsetDateTime::from_unix_timestamp(seconds).map(Self).map_err(|_| invalid())
    }
}

/// A time stamp of a zip archive: two-second steps, 1980 to 2107.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DosTime {
    pub(super) date: u16,
    pub(super) time: u16,
}

impl DosTime {
    const FIRST: Self = Self::new((0, 1, 1), (0, 0, 0));
    const LAST: Self = Self::new((127, 12, 31), (23, 59, 29));

    /// Years since 1980, month, day; hour, minute, pairs of seconds.
    const fn new((years, month, day): (u16, u16, u16), (hour, minute, pairs): (u16, u16, u16)) -> Self {
        Self { date: (years << 9) | (month << 5) | day, time: (hour << 11) | (minute << 5) | pairs }
    }
}

impl From<Option<Epoch>> for DosTime {
    /// Clipped to what the format can say; without an epoch its first moment.
    fn from(epoch: Option<Epoch>) -> Self {
        let Some(epoch) = epoch else { return Self::FIRST };
        let (year, month, day) = epoch.0.to_calendar_date();
        let Ok(years) = u16::try_from(year - 1980) else { return Self::FIRST };
        if years > 127 {
            return Self::LAST;
        }
        let (hour, minute, second) = epoch.0.to_hms();
        Self::new(
            (years, u8::from(month).into(), day.into()),
            (hour.into(), minute.into(), (second / 2).into()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{DosTime, Epoch};

    fn epoch(seconds: u64) -> Epoch {
        seconds.to_string().parse().unwrap()
    }

    #[test]
    fn ok_known_moments() {
        // As `date -u -d @… +%FT%TZ` prints them.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_208_896, "2024-02-29T12:14:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(epoch(seconds).rfc3339(), text);
        }
    }

    #[test]
    fn ok_clipped_to_the_format() {
        assert_eq!(DosTime::from(None), DosTime::FIRST);
        assert_eq!(DosTime::from(Some(epoch(0))), DosTime::FIRST);
        assert_eq!(DosTime::from(Some(epoch(315_532_800))), DosTime::FIRST);
        assert_eq!(DosTime::from(Some(epoch(4_354_819_199))), DosTime::LAST);
        assert_eq!(DosTime::from(Some(epoch(4_354_819_200))), DosTime::LAST);
        assert_eq!(DosTime::from(Some(epoch(253_402_300_799))), DosTime::LAST);
    }

    #[test]
    fn err_after_the_year_9999() {
        for text in ["253402300800", "18446744073709551615", "-1", "", "1.5"] {
            let error = text.parse::<Epoch>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }
}
