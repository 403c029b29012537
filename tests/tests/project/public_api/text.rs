//! Tokens as text, in one line and always in the same form, however the source is laid out.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// Words after which there is a space, also before a punctuation mark.
const KEYWORDS: [&str; 8] = ["as", "const", "dyn", "for", "impl", "in", "mut", "where"];

/// Prints tokens in one line.
pub(super) fn text(tokens: &impl ToTokens) -> String {
    let mut line = Line::default();
    line.stream(tokens.to_token_stream());
    line.text
}

/// What the text ends with.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    /// Nothing, or what nothing is set apart from: `(`, `<`, `&`, `::`.
    #[default]
    Open,
    Word,
    Keyword,
    /// `)`, `>` and the like.
    Close,
    /// What is always followed by a space: a comma, `->`, `+`.
    Apart,
}

#[derive(Default)]
struct Line {
    text: String,
    last: Last,
}

impl Line {
    fn stream(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut index = 0;
        while index < tokens.len() {
            index += match &tokens[index] {
                TokenTree::Group(group) => {
                    self.group(group.delimiter(), group.stream());
                    1
                }
                TokenTree::Ident(word) => {
                    self.word(&word.to_string());
                    1
                }
                TokenTree::Literal(literal) => {
                    self.word(&literal.to_string());
                    1
                }
                TokenTree::Punct(_) => self.punctuation(&tokens[index..]),
            };
        }
    }

    fn word(&mut self, word: &str) {
        if self.last != Last::Open {
            self.text.push(' ');
        }
        self.text.push_str(word);
        self.last = if KEYWORDS.contains(&word) {
            Last::Keyword
        } else {
            Last::Word
        };
    }

    fn group(&mut self, delimiter: Delimiter, stream: TokenStream) {
        let (open, close) = match delimiter {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => ("{ ", " }"),
            Delimiter::None => ("", ""),
        };
        let is_brace = delimiter == Delimiter::Brace;
        let after_word = self.last == Last::Word || self.last == Last::Close;
        if matches!(self.last, Last::Apart | Last::Keyword) || (is_brace && after_word) {
            self.text.push(' ');
        }
        self.text.push_str(open);
        self.last = Last::Open;
        self.stream(stream);
        self.text.push_str(close);
        self.last = Last::Close;
    }

    /// Prints the punctuation that the tokens begin with. Returns how many tokens it is of.
    fn punctuation(&mut self, tokens: &[TokenTree]) -> usize {
        let mark = joined(tokens);
        let is_last = tokens.len() == mark.len();
        let before_close =
            matches!(tokens.get(mark.len()), Some(TokenTree::Punct(next)) if next.as_char() == '>');
        match mark.as_str() {
            // One at the end of a list is a matter of layout.
            "," if is_last || before_close => {}
            "," | ";" | ":" => {
                self.text.push_str(&mark);
                self.last = Last::Apart;
            }
            "->" | "=>" | "+" | "=" | "==" | "|" => {
                self.text.push(' ');
                self.text.push_str(&mark);
                self.last = Last::Apart;
            }
            // A lifetime: its word follows.
            "'" => {
                let word = tokens.get(1).map(ToString::to_string).unwrap_or_default();
                self.word(&format!("'{word}"));
                self.last = Last::Keyword;
                return 2;
            }
            ">" => {
                self.text.push('>');
                self.last = Last::Close;
            }
            "<" | "::" => {
                if self.last == Last::Apart {
                    self.text.push(' ');
                }
                self.text.push_str(&mark);
                self.last = Last::Open;
            }
            _ => {
                if matches!(self.last, Last::Apart | Last::Keyword | Last::Word) {
                    self.text.push(' ');
                }
                self.text.push_str(&mark);
                self.last = Last::Open;
            }
        }
        mark.len()
    }
}

/// Returns the mark that the tokens begin with: `-` and `>`, which belong together, as one.
fn joined(tokens: &[TokenTree]) -> String {
    let mut mark = String::new();
    for token in tokens {
        let TokenTree::Punct(punct) = token else {
            break;
        };
        mark.push(punct.as_char());
        let is_whole = ["->", "=>", "::", "=="].contains(&mark.as_str());
        let may_grow = ["-", "=", ":"].contains(&mark.as_str());
        if is_whole || !may_grow || punct.spacing() == Spacing::Alone {
            break;
        }
    }
    mark
}

#[test]
fn tokens_are_printed_as_one_writes_them() {
    for written in [
        "pub fn get<T: Serialize + 'static>(&self, key: &'a str) -> Result<Option<T>, Error> where T: ?Sized",
        "async fn f(self, at: [u8; 16], (a, b): (u8, i64))",
        "impl<'a, S> Future for X<'a, S> where S: Store + ?Sized, S::Out: for<'b> Fn(&'b mut S) -> Y",
        "pub trait T: Into<<S as Trait>::Out> + Send",
        "fn f() -> impl Future<Output = Result<(), E>> + Send + '_",
        "fn f(x: &mut dyn Store, y: Box<dyn Fn(u8) -> u8>, z: fn(u8) -> u8, p: *const u8)",
        "pub const A: &'static [&str] = [1, -2]",
    ] {
        let tokens: TokenStream = written.parse().expect("tokens");
        assert_eq!(text(&tokens), written);
    }
    let layout: TokenStream = "fn f(\n  a : Vec < u8 , > ,\n  b:u8,\n)"
        .parse()
        .expect("tokens");
    assert_eq!(text(&layout), "fn f(a: Vec<u8>, b: u8)");
}
