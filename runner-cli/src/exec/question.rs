//! Which manual jobs to play: how it is asked, and what the answers mean.

use std::io::{BufRead, Write};

use super::ui::Styles;

/// A manual job that can be played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name in its pipeline.
    pub(super) job: String,
    /// Its name as it is shown, with those of child pipelines in front.
    pub(super) name: String,
    /// The same before `parallel`.
    pub(super) base: String,
    pub(super) stage: String,
    /// Its `manual_confirmation`.
    pub(super) confirmation: Option<String>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Play these, by their places in the list; none at all is an answer, too.
    Play(Vec<usize>),
    /// Something that means nothing here, and why.
    Unclear(String),
}

/// What can be chosen, numbered from 1.
pub(super) fn list(choices: &[Choice], styles: Styles) -> String {
    let (head, faint) = (styles.head(), styles.faint());
    let mut text = format!("{head}manual jobs that can be played{head:#}\n");
    for (number, choice) in choices.iter().enumerate() {
        let number = number + 1;
        text.push_str(&format!("{number:>4}  {}  {faint}{}{faint:#}\n", choice.name, choice.stage));
        for line in choice.confirmation.iter().flat_map(|text| text.lines()) {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text
}

/// Says `text` and asks, on standard error, and waits for a line of standard input; `None` at its end. What was typed before is
/// forgotten: nobody could know that it would be an answer.
pub(super) fn ask(text: &str) -> Option<String> {
    let input = std::io::stdin();
    let _ = rustix::termios::tcflush(&input, rustix::termios::QueueSelector::IFlush);
    let mut out = std::io::stderr().lock();
    write!(out, "{text}play which (numbers or names, all; Enter for none)? ")
        .and_then(|()| out.flush())
        .ok()?;
    drop(out);
    let mut line = String::new();
    match input.lock().read_line(&mut line) {
        Ok(1..) => Some(line),
        _ => None,
    }
}

/// What a line means: numbers or names with commas or spaces between them, `all`, nothing.
pub(super) fn understand(line: &str, choices: &[Choice]) -> Answer {
    let line = line.trim();
    let named = |name: &str| -> Vec<usize> {
        let is_meant = |choice: &Choice| choice.name == name || choice.base == name;
        (0..choices.len()).filter(|number| is_meant(&choices[*number])).collect()
    };
    // A name may hold spaces, commas, or be a number or `all`.
    let whole = named(line);
    if !whole.is_empty() {
        return Answer::Play(whole);
    }
    if line == "all" {
        return Answer::Play((0..choices.len()).collect());
    }
    let mut chosen = Vec::new();
    for part in line.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let parts = if named(part).is_empty() { part.split_whitespace().collect() } else { vec![part] };
        for part in parts {
            let found = match part.parse::<usize>() {
                Ok(number) if named(part).is_empty() => {
                    number.checked_sub(1).filter(|number| *number < choices.len()).into_iter().collect()
                }
                _ => named(part),
            };
            if found.is_empty() {
                return Answer::Unclear(format!("there is no manual job {part} in the list"));
            }
            chosen.extend(found.into_iter().filter(|number| !chosen.contains(number)).collect::<Vec<_>>());
        }
    }
    Answer::Play(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices() -> Vec<Choice> {
        let choice = |name: &str, base: &str| Choice {
            job: name.to_owned(),
            name: name.to_owned(),
            base: base.to_owned(),
            stage: "deploy".to_owned(),
            confirmation: None,
        };
        vec![
            choice("deploy", "deploy"),
            choice("roll back", "roll back"),
            choice("play: [a, b]", "play"),
            choice("play: [a, c]", "play"),
        ]
    }

    #[test]
    fn answers() {
        let choices = choices();
        for (line, expected) in [
            ("", vec![]),
            (" \n", vec![]),
            ("1\n", vec![0]),
            ("2, 1", vec![1, 0]),
            ("1 2 1", vec![0, 1]),
            ("all", vec![0, 1, 2, 3]),
            ("roll back", vec![1]),
            ("roll back, deploy", vec![1, 0]),
            ("play", vec![2, 3]),
            ("play: [a, c]", vec![3]),
        ] {
            assert_eq!(understand(line, &choices), Answer::Play(expected), "{line:?}");
        }
        for (line, unknown) in [("0", "0"), ("5", "5"), ("1 nothing", "nothing"), ("y", "y")] {
            let expected = format!("there is no manual job {unknown} in the list");
            assert_eq!(understand(line, &choices), Answer::Unclear(expected));
        }
    }

    #[test]
    fn confirmations_are_part_of_the_list() {
        let mut choices = choices();
        choices.truncate(2);
        choices[0].confirmation = Some("Really?\nThink twice.".to_owned());
        assert_eq!(
            list(&choices, Styles { colour: false }),
            "manual jobs that can be played\n   1  deploy  deploy\n      Really?\n      Think twice.\n   2  roll back  deploy\n"
        );
    }
}
