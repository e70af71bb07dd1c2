//! RECORD: the list of a wheel's files, with their hashes and sizes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::WheelError;

/// Name of the hash in RECORD, before the `=`.
const SHA256: &str = "sha256";

/// One row of RECORD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Path of the file as written, not checked.
    pub path: String,
    /// Hash and size; RECORD's own row has none.
    pub content: Option<RowContent>,
}

/// What a row says of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowContent {
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Their number.
    pub size: u64,
}

/// Writes rows as RECORD has them: CSV, `sha256=` in URL-safe base64 without padding.
#[must_use]
pub fn write(rows: &[Row]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    for row in rows {
        let (hash, size) = row.content.map_or_else(Default::default, |content| {
            (format!("{SHA256}={}", URL_SAFE_NO_PAD.encode(content.sha256)), content.size.to_string())
        });
        // A vector takes all that is written, and each row has three fields.
        let _ = writer.write_record([row.path.as_str(), &hash, &size]);
    }
    writer.into_inner().unwrap_or_default()
}

/// Reads RECORD. Hashes other than SHA-256 are refused, as the format's specification asks for at least that.
pub fn read(record: &[u8]) -> Result<Vec<Row>, WheelError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(record);
    let mut rows = Vec::new();
    for record in reader.byte_records() {
        let line = |record: &csv::ByteRecord| record.position().map_or(0, csv::Position::line);
        let record = record.map_err(|error| WheelError::UnreadableRecord {
            line: error.position().map_or(0, csv::Position::line),
            reason: "it is not CSV",
        })?;
        let fail = |reason| WheelError::UnreadableRecord { line: line(&record), reason };
        let fields: Vec<&str> = (record.iter().map(std::str::from_utf8).collect::<Result<_, _>>())
            .map_err(|_| fail("it is not UTF-8"))?;
        let [path, hash, size] = fields[..] else {
            return Err(fail("it must have a path, a hash, and a size"));
        };
        let content = if hash.is_empty() && size.is_empty() {
            None
        } else {
            let encoded = (hash.strip_prefix(SHA256).and_then(|rest| rest.strip_prefix('=')))
                .ok_or_else(|| fail("its hash must start with `sha256=`"))?;
            let sha256 = (URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok()))
                .ok_or_else(|| fail("its hash must be 32 bytes in URL-safe base64 without padding"))?;
            let size = size.parse().map_err(|_| fail("its size must be a number"))?;
            Some(RowContent { sha256, size })
        };
        rows.push(Row { path: path.into(), content });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::{Row, RowContent, read, write};

    fn row(path: &str) -> Row {
        Row { path: path.into(), content: Some(RowContent { sha256: [0xfb; 32], size: 7 }) }
    }

    #[test]
    fn ok_round_trip() {
        let rows = [row("a,\"b\"/c"), row("größe"), Row { path: "x/RECORD".into(), content: None }];
        let text = write(&rows);
        assert_eq!(
            String::from_utf8(text.clone()).unwrap().lines().collect::<Vec<_>>(),
            [
                "\"a,\"\"b\"\"/c\",sha256=-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s,7",
                "größe,sha256=-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s,7",
                "x/RECORD,,",
            ]
        );
        assert_eq!(read(&text).unwrap(), rows);
    }

    #[test]
    fn err_malformed() {
        for text in
            ["a", "a,b", "a,b,c,d", "a,md5=x,1", "a,sha256=x,1", "a,,1", "a,sha256=,", "\u{fffd},sha256"]
        {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(b"\xff,,").is_err());
        let padded = "a,sha256=-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s=,1";
        assert!(read(padded.as_bytes()).unwrap_err().to_string().contains("line 1"));
    }
}
