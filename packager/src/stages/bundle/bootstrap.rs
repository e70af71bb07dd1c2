//! The one line that packing adds to the package's `__init__.py`.
//!
//! The docstring and `from __future__` imports must be the first statements, so the line is added after them. This module parses
//! only the part of Python's grammar that may come before the line: comments, string literals, and those imports.

/// The line, without its end. Packing a package that has it already changes nothing.
pub const LINE: &str = "from . import _jnumpy  # jnumpy-pack: starts the bundled Julia";

/// Returns `__init__.py` with the line added after docstring and `from __future__` imports. Line ends stay what they
/// are; the file need not be UTF-8, as long as ASCII means ASCII in its encoding.
#[must_use]
pub fn with_bootstrap(source: &[u8]) -> Vec<u8> {
    let text = source.strip_prefix(BYTE_ORDER_MARK).unwrap_or(source);
    if text.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_end() == LINE.as_bytes()) {
        return source.to_vec();
    }
    let (before, after) = source.split_at(insertion_point(source));
    let newline: &[u8] = if is_crlf(source) { b"\r\n" } else { b"\n" };
    let unfinished = !before.is_empty() && before != BYTE_ORDER_MARK && !ends_line(before);
    let mut result = before.to_vec();
    if unfinished {
        result.extend_from_slice(newline);
    }
    result.extend_from_slice(LINE.as_bytes());
    result.extend_from_slice(newline);
    result.extend_from_slice(after);
    result
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn is_crlf(source: &[u8]) -> bool {
    source.iter().position(|byte| *byte == b'\n').is_some_and(|at| at > 0 && source[at - 1] == b'\r')
}

fn ends_line(text: &[u8]) -> bool {
    matches!(text.last(), Some(b'\n' | b'\r'))
}

/// Where the first statement starts that need not stay at the top: always the start of a logical line, or the end.
fn insertion_point(source: &[u8]) -> usize {
    let mut scanner = Scanner { source, at: if source.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 } };
    // Shebang and encoding declaration only count in the first two lines, so nothing may push them down.
    let mut point = scanner.after_leading_comments();
    scanner.skip_blank();
    if scanner.docstring() {
        point = scanner.at;
        scanner.skip_blank();
    }
    while scanner.future_import() {
        point = scanner.at;
        scanner.skip_blank();
    }
    point
}

/// A position in Python source. Each method moves past what it names and says whether it was there; when it was not,
/// the position stays.
struct Scanner<'a> {
    source: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn rest(&self) -> &[u8] {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// `\n`, `\r\n` or `\r`.
    fn end_of_line(&mut self) -> bool {
        self.eat(b"\r\n") || self.eat(b"\n") || self.eat(b"\r")
    }

    /// Spaces, tabs and form feeds, and line ends that a backslash joins.
    fn skip_spaces(&mut self) {
        loop {
            let before = self.at;
            while matches!(self.peek(), Some(b' ' | b'\t' | 0x0c)) {
                self.at += 1;
            }
            if self.peek() == Some(b'\\') {
                self.at += 1;
                if !self.end_of_line() {
                    self.at -= 1;
                }
            }
            if self.at == before {
                return;
            }
        }
    }

    fn skip_comment(&mut self) {
        if self.peek() == Some(b'#') {
            while !matches!(self.peek(), None | Some(b'\n' | b'\r')) {
                self.at += 1;
            }
        }
    }

    /// Blank lines and comments.
    fn skip_blank(&mut self) {
        loop {
            let before = self.at;
            self.skip_spaces();
            self.skip_comment();
            self.end_of_line();
            if self.at == before {
                return;
            }
        }
    }

    /// Comment lines at the very top; returns where they end.
    fn after_leading_comments(&mut self) -> usize {
        let mut end = self.at;
        while self.peek() == Some(b'#') {
            self.skip_comment();
            self.end_of_line();
            end = self.at;
        }
        end
    }

    /// An expression statement of string literals alone, to the end of its line.
    fn docstring(&mut self) -> bool {
        let start = self.at;
        // In parentheses literals may stand on several lines.
        let parenthesised = self.eat(b"(");
        let skip = |scanner: &mut Self| {
            if parenthesised { scanner.skip_blank() } else { scanner.skip_spaces() }
        };
        skip(self);
        let mut literals = 0;
        while self.string_literal() {
            literals += 1;
            skip(self);
        }
        let closed = !parenthesised || self.eat(b")");
        let found = literals > 0 && closed && self.end_of_statement();
        if !found {
            self.at = start;
        }
        found
    }

    /// Comment and line end, or the end of the file, after a statement. A `;` ends it too, but then what follows
    /// shares its line, so the line is passed as a whole: the statements on it stay before ours.
    fn end_of_statement(&mut self) -> bool {
        self.skip_spaces();
        if self.peek() == Some(b';') {
            return self.rest_of_logical_line();
        }
        self.skip_comment();
        self.at == self.source.len() || self.end_of_line()
    }

    /// Passes everything to the end of the logical line: brackets, strings and joined lines included.
    fn rest_of_logical_line(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            if self.string_literal() {
                continue;
            }
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b'#' => {
                    self.skip_comment();
                    continue;
                }
                b'\\' => {
                    self.at += 1;
                    if !self.end_of_line() {
                        self.at += usize::from(self.peek().is_some());
                    }
                    continue;
                }
                b'\n' | b'\r' if depth == 0 => return self.end_of_line(),
                _ => {}
            }
            self.at += 1;
        }
        true
    }

    /// One string literal that can be a part of a docstring: any quotes, with the prefix `r` or `u` or none. Bytes and
    /// f-strings are no docstrings.
    fn string_literal(&mut self) -> bool {
        let start = self.at;
        if matches!(self.peek(), Some(b'r' | b'R' | b'u' | b'U')) {
            self.at += 1;
        }
        for quotes in [b"\"\"\"".as_slice(), b"'''", b"\"", b"'"] {
            if self.eat(quotes) {
                if self.end_of_string(quotes) {
                    return true;
                }
                break;
            }
        }
        self.at = start;
        false
    }

    /// Passes the string to its closing quotes. In a raw string a backslash keeps the quote after it from closing too.
    fn end_of_string(&mut self, quotes: &[u8]) -> bool {
        while let Some(byte) = self.peek() {
            if self.eat(quotes) {
                return true;
            }
            if quotes.len() == 1 && matches!(byte, b'\n' | b'\r') {
                return false;
            }
            self.at += 1;
            if byte == b'\\' && !self.eat(b"\r\n") {
                self.at += usize::from(self.peek().is_some());
            }
        }
        false
    }

    /// `from __future__ import …`, to the end of its line.
    fn future_import(&mut self) -> bool {
        let start = self.at;
        let found = self.word(b"from") && self.word(b"__future__") && self.word(b"import");
        if found {
            self.rest_of_logical_line();
        } else {
            self.at = start;
        }
        found
    }

    fn word(&mut self, word: &[u8]) -> bool {
        self.skip_spaces();
        let found = self.eat(word);
        let whole =
            !self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80);
        found && whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks where the line goes: `cases` show the source with `@` in that place.
    fn check(cases: &[&str]) {
        for case in cases {
            let source = case.replace('@', "");
            let newline = if source.contains("\r\n") { "\r\n" } else { "\n" };
            let line = format!("{LINE}{newline}");
            let result = String::from_utf8(with_bootstrap(source.as_bytes())).unwrap();
            assert_eq!(result, case.replace('@', &line), "{case:?}");
            assert_eq!(with_bootstrap(result.as_bytes()), result.as_bytes(), "a second time: {case:?}");
        }
    }

    #[test]
    fn ok_without_docstring() {
        check(&["@", "@import a\n", "@\n\nimport a\n", "@x = 1", "@b'no docstring'\n", "@f'no docstring'\n"]);
        check(&[
            "@import a\r\nimport b\r\n",
            "@'text'.strip()\n",
            "@'text' % 3\n",
            "@('a', 'b')\n",
            "@'unclosed\n",
        ]);
    }

    #[test]
    fn ok_leading_comments_stay() {
        check(&[
            "#!/usr/bin/env python3\n# -*- coding: latin-1 -*-\n@import a\n",
            "# a licence\n#\n@\n# of x\nx = 1\n",
            "\u{feff}@import a\n",
            "\u{feff}# coding: utf-8\n@import a\n",
        ]);
    }

    #[test]
    fn ok_docstrings() {
        check(&[
            "'doc'\n@import a\n",
            "\"doc\"  # with a comment\n@import a\n",
            "\"\"\"doc\n\nmore # no comment\n'''\n\"\"\"\n@\nimport a\n",
            "'''doc\n\\''' still \\\\'''\n@import a\n",
            "r'''raw \\''' still '''\n@import a\n",
            "R\"doc\"\n@",
            "u'doc'\n@x\n",
            "'one' \"two\" \\\n  '''three\n'''\n@import a\n",
            "'joined \\\n  line'\n@import a\n",
            "(\n  'one'  # first\n  'two'\n)\n@import a\n",
            "# licence\n\n\n'doc'\n@import a\n",
            "''\n@import a\n",
            "'doc'; import a\n@import b\n",
            "'doc'; x = [1,\n 2]\n@import b\n",
            "'doc'\r\n@import a\r\n",
            "\"\"\"doc\r\nmore\r\n\"\"\"\r\n@import a\r\n",
        ]);
    }

    #[test]
    fn ok_future_imports() {
        check(&[
            "from __future__ import annotations\n@import a\n",
            "'doc'\n\nfrom __future__ import annotations  # why\n\n# note\nfrom __future__ import division\n@\nimport a\n",
            "from __future__ import (\n    annotations,  # )\n    division,\n)\n@import a\n",
            "from __future__ import annotations, \\\n    division\n@import a\n",
            "from\t__future__  import annotations; x = 1\n@import late\n",
            "@from __future__x import a\n",
            "from \\\n __future__ import a\n@import b\n",
        ]);
    }

    #[test]
    fn ok_last_line_without_end() {
        let result = with_bootstrap(b"'doc'");
        assert_eq!(result, format!("'doc'\n{LINE}\n").as_bytes());
        let result = with_bootstrap(b"\"\"\"a\r\nb\"\"\"");
        assert_eq!(result, format!("\"\"\"a\r\nb\"\"\"\r\n{LINE}\r\n").as_bytes());
    }

    #[test]
    fn ok_other_encodings() {
        let source = b"# coding: latin-1\n'd\xf6c'\nx = '\xe9'\n";
        let expected = [b"# coding: latin-1\n'd\xf6c'\n", LINE.as_bytes(), b"\nx = '\xe9'\n"].concat();
        assert_eq!(with_bootstrap(source), expected);
    }

    #[test]
    fn ok_any_cut_is_handled() {
        let source = b"'''d\\''' \\\n 'x' # c\nfrom __future__ import (a, # )\n b)\nx";
        for end in 0..source.len() {
            let result = with_bootstrap(&source[..end]);
            assert!(result.windows(LINE.len()).any(|window| window == LINE.as_bytes()));
        }
    }
}
