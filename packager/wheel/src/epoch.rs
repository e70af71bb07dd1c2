//! The one moment a wheel is stamped with: `SOURCE_DATE_EPOCH`, or the first moment a zip archive can say.

use std::env;

use super::error::WheelError;
use jnumpy_base::env_vars::SOURCE_DATE_EPOCH;

const DAY: u64 = 24 * 60 * 60;

/// Seconds since 1970 in UTC, as `SOURCE_DATE_EPOCH` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Reads `SOURCE_DATE_EPOCH`; `None` when it is not set.
    pub fn from_environment() -> Result<Option<Self>, WheelError> {
        let Some(value) = env::var_os(SOURCE_DATE_EPOCH) else { return Ok(None) };
        let value = value.to_string_lossy().into_owned();
        match value.parse() {
            Ok(seconds) => Ok(Some(Self(seconds))),
            Err(_) => Err(WheelError::Epoch { value }),
        }
    }

    /// Year, month and day.
    fn date(self) -> (u64, u64, u64) {
        // Days are counted from 0000-03-01, so that the leap day is a year's last; 400 years repeat exactly.
        let days = self.0 / DAY + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (400 * era + year_of_era + next_year, month, day)
    }

    fn clock(self) -> (u64, u64, u64) {
        let seconds = self.0 % DAY;
        (seconds / 3600, seconds / 60 % 60, seconds % 60)
    }

    /// As in `2024-02-29T12:34:56Z`.
    pub(super) fn rfc3339(self) -> String {
        let ((year, month, day), (hour, minute, second)) = (self.date(), self.clock());
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
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
        let (year, month, day) = epoch.date();
        let Some(years) = year.checked_sub(1980) else { return Self::FIRST };
        if years > 127 {
            return Self::LAST;
        }
        let (hour, minute, second) = epoch.clock();
        // All six are small by now.
        let small = |number: u64| u16::try_from(number).unwrap_or_default();
        Self::new((small(years), small(month), small(day)), (small(hour), small(minute), small(second / 2)))
    }
}

#[cfg(test)]
mod tests {
    use super::{DosTime, Epoch};

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
            assert_eq!(Epoch(seconds).rfc3339(), text);
        }
    }

    #[test]
    fn ok_clipped_to_the_format() {
        assert_eq!(DosTime::from(None), DosTime::FIRST);
        assert_eq!(DosTime::from(Some(Epoch(0))), DosTime::FIRST);
        assert_eq!(DosTime::from(Some(Epoch(315_532_800))), DosTime::FIRST);
        assert_eq!(DosTime::from(Some(Epoch(4_354_819_199))), DosTime::LAST);
        assert_eq!(DosTime::from(Some(Epoch(4_354_819_200))), DosTime::LAST);
        assert_eq!(DosTime::from(Some(Epoch(u64::MAX))), DosTime::LAST);
    }
}
