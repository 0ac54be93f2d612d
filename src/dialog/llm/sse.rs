//! Server-sent events out of a body's bytes, however they were cut.
//!
//! Format: <https://html.spec.whatwg.org/multipage/server-sent-events.html>; of it only `data`.

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// The lines of the present event, joined by line feeds.
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a carriage return, so that a line feed now ends nothing.
    after_return: bool,
    begun: bool,
}

/// A line or event longer than [`MAX_EVENT`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Takes the next bytes and appends the events they completed to `out`.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\r' | b'\n' => self.end_line(out)?,
                _ if self.line.len() >= MAX_EVENT => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    /// The body has ended. An event that lacks only its empty line counts.
    pub(super) fn finish(&mut self, out: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
        if !self.line.is_empty() {
            self.end_line(out)?;
        }
        self.end_line(out)
    }

    fn end_line(&mut self, out: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                out.push(std::mem::take(&mut self.data));
            }
            return Ok(());
        }
        // Comments (": ping"), `event`, `id` and `retry` say nothing here.
        if let Some(value) = line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(value);
            if self.data.len() > MAX_EVENT {
                return Err(TooLong);
            }
        }
        Ok(())
    }
}

/// Bytes. A chunk of a completion has a few hundred; a whole tool call at once a few thousand.
const MAX_EVENT: usize = 256 << 10;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn events(body: &[u8], size: usize) -> Vec<String> {
        let (mut events, mut out) = (Events::default(), Vec::new());
        for part in body.chunks(size) {
            events.push(part, &mut out).expect("short lines");
        }
        events.finish(&mut out).expect("short lines");
        out.into_iter()
            .map(|event| String::from_utf8(event).expect("text"))
            .collect()
    }

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let cases: [(&[u8], &[&str]); 9] = [
            (b"data: a\n\ndata: b\n\n", &["a", "b"]),
            (b"data:a\r\n\r\ndata:b\r\n\r\n", &["a", "b"]),
            (b"data: a\r\rdata: b\r\r", &["a", "b"]),
            (b": ping\n\n:\n\ndata: a\n: ping\n\n", &["a"]),
            (b"event: x\nid: 7\nretry: 1\ndata: a\ndata:  b\n\n", &["a\n b"]),
            (b"\xef\xbb\xbfdata: a\n\n", &["a"]),
            (b"data: a\n\ndata: b", &["a", "b"]),
            (b"\n\n\r\n\ndatax: a\n\ndata\n\n", &[]),
            (b"", &[]),
        ];
        for (body, expected) in cases {
            for size in 1..=body.len().max(1) {
                assert_eq!(events(body, size), expected, "{body:?} by {size}");
            }
        }
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mut events = Events::default();
        let long = vec![b'x'; MAX_EVENT];
        events.push(&long, &mut Vec::new()).expect("just short enough");
        assert_eq!(events.push(b"x", &mut Vec::new()), Err(TooLong));
        let mut events = Events::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1_000], b"\n"].concat();
        let many = (0..1_000).any(|_| events.push(&line, &mut Vec::new()).is_err());
        assert!(many, "one event of many lines");
    }
}
