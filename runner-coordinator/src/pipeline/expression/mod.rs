//! The language of `rules:if` and `only:variables`.
//! <https://docs.gitlab.com/ci/jobs/job_rules/#cicd-variable-expressions>
//!
//! ```text
//! or := and ( "||" and )*      and := cmp ( "&&" cmp )*      cmp := value ( ("=="|"!="|"=~"|"!~") value )*
//! value := "(" or ")" | $NAME | "text" | 'text' | /pattern/flags | null | true | false
//! ```

mod evaluate;
mod lexer;
mod parser;
mod pattern;
#[cfg(test)]
mod tests;

pub(crate) use evaluate::Lookup;
pub(crate) use parser::Expression;
pub(crate) use pattern::Pattern;
