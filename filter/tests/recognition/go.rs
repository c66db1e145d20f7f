//! Reads the examples in Go tests and rules: a small evaluator of expressions over strings.

use std::collections::HashMap;

use crate::generate::Generator;

/// A token of a Go file.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Text(String),
    Name(String),
    Sign(char),
    /// `:=`, which assigns like `=`.
    Define,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    One(String),
    Many(Vec<String>),
}

impl Value {
    pub(crate) fn many(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }

    fn one(self) -> Option<String> {
        if let Self::One(text) = self { Some(text) } else { None }
    }
}

/// A text of a test, and the values that it is expected to contain.
pub(crate) struct Example {
    pub text: String,
    pub wanted: Vec<String>,
}

/// A Go file that is being read.
pub(crate) struct Go<'g> {
    tokens: Vec<Token>,
    at: usize,
    names: HashMap<String, Value>,
    generator: &'g mut Generator,
}

impl<'g> Go<'g> {
    pub(crate) fn new(source: &str, generator: &'g mut Generator) -> Self {
        Self { tokens: tokens(source), at: 0, names: HashMap::new(), generator }
    }

    /// Returns the values that a rule's lists of these names contain, such as `tps` of gitleaks.
    pub(crate) fn lists(mut self, name: &str) -> Vec<String> {
        let mut all = Vec::new();
        while self.at < self.tokens.len() {
            if let Some((assigned, value)) = self.assignment() {
                if assigned == name {
                    // `tps = append(tps, …)` contains what it contained before.
                    let before = self.names.get(name).cloned().map_or(0, |value| value.many().len());
                    let values = value.clone().many();
                    all.extend(values.iter().skip(if values.len() > before { before } else { 0 }).cloned());
                }
                self.names.insert(assigned, value);
            }
        }
        all
    }

    /// Returns the examples of a table of tests: members `input` and `want`, as in trufflehog.
    pub(crate) fn examples(mut self) -> Vec<Example> {
        let mut all: Vec<Example> = Vec::new();
        while self.at < self.tokens.len() {
            let member = match (self.tokens.get(self.at), self.tokens.get(self.at + 1)) {
                (Some(Token::Name(name)), Some(Token::Sign(':'))) => name.clone(),
                _ => {
                    if let Some((name, value)) = self.assignment() {
                        self.names.insert(name, value);
                    }
                    continue;
                }
            };
            self.at += 2;
            match member.as_str() {
                "input" | "data" => {
                    if let Some(text) = self.expression().and_then(Value::one) {
                        all.push(Example { text, wanted: Vec::new() });
                    }
                }
                "want" => {
                    if let (Some(value), Some(last)) = (self.expression(), all.last_mut()) {
                        last.wanted = value.many();
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Reads `name = …` at this place, or skips a token.
    fn assignment(&mut self) -> Option<(String, Value)> {
        let name = match self.tokens.get(self.at) {
            Some(Token::Name(name)) => name.clone(),
            _ => {
                self.at += 1;
                return None;
            }
        };
        self.at += 1;
        if !matches!(self.tokens.get(self.at), Some(Token::Define | Token::Sign('='))) {
            return None;
        }
        self.at += 1;
        let start = self.at;
        let value = self.expression();
        if value.is_none() {
            self.at = start;
        }
        Some((name, value?))
    }

    fn sign(&mut self, sign: char) -> bool {
        let is = self.tokens.get(self.at) == Some(&Token::Sign(sign));
        self.at += usize::from(is);
        is
    }

    fn expression(&mut self) -> Option<Value> {
        let mut value = self.term()?;
        while self.sign('+') {
            let more = self.term()?.one()?;
            value = Value::One(value.one()? + &more);
        }
        Some(value)
    }

    fn term(&mut self) -> Option<Value> {
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        match token {
            Token::Text(text) => Some(Value::One(text)),
            Token::Sign('[') => {
                // `[]string{…}`
                let is_list = self.sign(']')
                    && self.tokens.get(self.at) == Some(&Token::Name("string".to_owned()))
                    && self.tokens.get(self.at + 1) == Some(&Token::Sign('{'));
                self.at += if is_list { 2 } else { return None };
                Some(Value::Many(self.list('}').into_iter().flat_map(Value::many).collect()))
            }
            Token::Sign('(') => {
                let value = self.expression();
                self.sign(')').then_some(value)?
            }
            Token::Name(name) if self.sign('(') => {
                let arguments = self.list(')');
                self.call(&name, arguments)
            }
            Token::Name(name) => self.names.get(&name).cloned(),
            _ => None,
        }
    }

    /// Reads the elements up to the closing sign; those that are not understood are left out.
    fn list(&mut self, close: char) -> Vec<Value> {
        let mut all = Vec::new();
        while self.at < self.tokens.len() && !self.sign(close) {
            let start = self.at;
            let value = self.expression();
            while self.sign('.') {}
            let ends =
                matches!(self.tokens.get(self.at), Some(Token::Sign(sign)) if *sign == ',' || *sign == close);
            if ends {
                all.extend(value);
                self.sign(',');
            } else {
                self.at = start;
                self.skip(close);
            }
        }
        all
    }

    /// Skips an element, with all that it encloses.
    fn skip(&mut self, close: char) {
        let mut depth = 0usize;
        while let Some(token) = self.tokens.get(self.at) {
            match token {
                Token::Sign('(' | '[' | '{') => depth += 1,
                Token::Sign(sign) if depth == 0 && *sign == close => return,
                Token::Sign(')' | ']' | '}') => depth = depth.saturating_sub(1),
                Token::Sign(',') if depth == 0 => {
                    self.at += 1;
                    return;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn call(&mut self, name: &str, arguments: Vec<Value>) -> Option<Value> {
        if name == "append" {
            return Some(Value::Many(arguments.into_iter().flat_map(Value::many).collect()));
        }
        let texts: Vec<String> = arguments.into_iter().filter_map(Value::one).collect();
        let first = texts.first().map(String::as_str);
        let class = |class: &str| Some(Value::One(format!("[{class}]{{{}}}", first?)));
        match name {
            "utils.Numeric" => class("0-9"),
            "utils.Hex" => class("a-f0-9"),
            "utils.AlphaNumeric" => class("a-z0-9"),
            "utils.AlphaNumericExtendedShort" => class("a-z0-9_-"),
            "utils.AlphaNumericExtended" => class("a-z0-9=_-"),
            "utils.AlphaNumericExtendedLong" => class("a-z0-9/=_+-"),
            "utils.Hex8_4_4_4_12" => {
                Some(Value::One("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}".to_owned()))
            }
            "secrets.NewSecret" | "secrets.NewSecretWithEntropy" | "newPlausibleSecret" => {
                Some(Value::One(self.generator.text(first?)?))
            }
            "utils.GenerateSampleSecret" => {
                Some(Value::One(format!("{}_api_token = \"{}\"", first?, texts.get(1)?)))
            }
            "utils.GenerateSampleSecrets" => Some(Value::Many(samples(first?, texts.get(1)?))),
            "fmt.Sprintf" => {
                let mut rest = texts.iter().skip(1);
                let mut out = String::new();
                let mut parts = first?.split('%');
                out.push_str(parts.next()?);
                for part in parts {
                    match part.chars().next() {
                        Some('s' | 'v' | 'q' | 'd') => {
                            out.push_str(rest.next()?);
                            out.push_str(part.get(1..)?);
                        }
                        _ => out.extend(["%", part]),
                    }
                }
                Some(Value::One(out))
            }
            _ => None,
        }
    }
}

/// A secret as files of configuration and programs assign it.
fn samples(name: &str, secret: &str) -> Vec<String> {
    const FORMS: [&str; 12] = [
        "{i}Token=\"{s}\"",
        "{i}Token = {s}",
        "{\n  \"{i}_token\": \"{s}\"\n}",
        "<{i}Token>\n    {s}\n</{i}Token>",
        "{i}_token: {s}",
        "{i}_token: '{s}'",
        "{i}Token := \"{s}\"",
        "{i}Token := `{s}`",
        "String {i}Token = \"{s}\";",
        "System.setProperty(\"{i}_TOKEN\", \"{s}\")",
        "\"{i}Token\" => \"{s}\"",
        "{i}_TOKEN ?= \"{s}\"",
    ];
    FORMS.iter().map(|form| form.replace("{i}", name).replace("{s}", secret)).collect()
}

fn tokens(source: &str) -> Vec<Token> {
    let mut all = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let mut length = first.len_utf8();
        match first {
            '/' if rest.starts_with("//") => length = rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                length = rest.find("*/").map_or(rest.len(), |end| end + 2);
            }
            '`' => {
                let text = rest.get(1..).and_then(|text| text.split_once('`')).map_or("", |(text, _)| text);
                length = text.len() + 2;
                all.push(Token::Text(text.to_owned()));
            }
            '"' => {
                let (text, end) = quoted(rest);
                length = end;
                all.push(Token::Text(text));
            }
            '\'' => {
                let close = rest.char_indices().skip(2).find(|(_, c)| *c == '\'');
                length = close.map_or(1, |(at, _)| at + 1);
            }
            ':' if rest.starts_with(":=") => {
                length = 2;
                all.push(Token::Define);
            }
            c if c.is_alphabetic() || c == '_' => {
                length =
                    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
                // `values...`
                let name = rest.get(..length).unwrap_or_default().trim_end_matches('.');
                length = name.len();
                all.push(Token::Name(name.to_owned()));
            }
            c if c.is_whitespace() => {}
            c => all.push(Token::Sign(c)),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    all
}

/// Reads a string in double quotes: what it stands for, and its length with the quotes.
fn quoted(rest: &str) -> (String, usize) {
    let mut out = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (out, at + 1),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                Some((_, c)) => out.push(c),
                None => break,
            },
            c => out.push(c),
        }
    }
    (out, rest.len())
}

#[test]
fn the_examples_in_go_are_read() {
    let source = r#"
        var ( key = "abc"; word = `w` )
        // "no"
        tests := []struct{ input string }{
            { input: fmt.Sprintf("%s is '%s'", word, key) , want: []string{key, "d\"e"} },
            { input: other(1), want: []string{"lost"} },
            { input: `raw ` + "text", want: nil },
        }"#;
    let mut generator = Generator::new(1);
    let examples = Go::new(source, &mut generator).examples();
    let texts: Vec<_> = examples.iter().map(|it| (it.text.as_str(), it.wanted.len())).collect();
    assert_eq!(texts, [("w is 'abc'", 1), ("raw text", 0)]);
    let source = r#"tps := utils.GenerateSampleSecrets("x", secrets.NewSecret(utils.Hex("8")))
        tps = append(tps, "one", lost(2), `two`)"#;
    let lists = Go::new(source, &mut generator).lists("tps");
    assert_eq!(lists.len(), 14);
    assert!(lists.ends_with(&["one".to_owned(), "two".to_owned()]), "{lists:?}");
}
