//! What is to be said of the commands besides their options: exit status, examples, notes. One source for `--help` and the
//! man pages, a file for each command, in a small part of Markdown.
//!
//! None of it is in the grammar with which a command line is read: only who asks for help pays for it.

use crate::output::fold::fold;

/// The text of a command; of procctl itself under its name.
pub fn of(command: &str) -> Option<&'static str> {
    Some(match command {
        "procctl" => include_str!("procctl.md"),
        "create" => include_str!("create.md"),
        "start" => include_str!("start.md"),
        "run" => include_str!("run.md"),
        "join" => include_str!("join.md"),
        "terminate" => include_str!("terminate.md"),
        "kill" => include_str!("kill.md"),
        "interrupt" => include_str!("interrupt.md"),
        "is-alive" => include_str!("is-alive.md"),
        "status" => include_str!("status.md"),
        "logs" => include_str!("logs.md"),
        "get" => include_str!("get.md"),
        "set" => include_str!("set.md"),
        "close" => include_str!("close.md"),
        "doctor" => include_str!("doctor.md"),
        "schema" => include_str!("schema.md"),
        _ => return None,
    })
}

/// What stands under one heading.
#[derive(Debug)]
pub struct Section<'a> {
    /// The heading.
    pub title: &'a str,
    /// What stands under it, in order.
    pub blocks: Vec<Block>,
}

/// A piece of text.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// Words, in one line.
    Paragraph(String),
    /// A term and what it means.
    Item(String, String),
    /// Lines as they are: commands, or what they print.
    Verbatim(String),
}

/// Reads a text. What stands in comments is for the test that runs the examples.
pub fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut lines = text.lines();
    let mut goes_on = false;
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title, blocks: Vec::new() });
        }
        let Some(Section { blocks, .. }) = sections.last_mut() else { continue };
        let begins = !goes_on;
        goes_on = false;
        if line.starts_with("```") {
            let verbatim = lines.by_ref().take_while(|line| *line != "```").flat_map(|line| [line, "\n"]);
            blocks.push(Block::Verbatim(verbatim.collect()));
        } else if let Some((term, meaning)) = line.strip_prefix("- ").and_then(|item| item.split_once(": ")) {
            blocks.push(Block::Item(term.to_owned(), meaning.to_owned()));
            goes_on = true;
        } else if !line.is_empty() && !line.starts_with('#') && !line.starts_with("<!--") {
            match blocks.last_mut() {
                Some(Block::Paragraph(text) | Block::Item(_, text)) if !begins => {
                    text.push(' ');
                    text.push_str(line.trim_start());
                }
                _ => blocks.push(Block::Paragraph(line.to_owned())),
            }
            goes_on = true;
        }
    }
    sections
}

/// A text as `--help` shows it; what is the same for all commands is left to the man pages.
pub fn for_help(text: &str) -> String {
    let mut shown = String::new();
    for Section { title, blocks } in sections(text) {
        if matches!(title, "Files" | "Environment") {
            continue;
        }
        shown.push_str(title);
        shown.push_str(":\n");
        let mut before = None;
        for block in &blocks {
            let is_item = |block: &Block| matches!(block, Block::Item(..));
            // Items stand close together.
            if before.is_some_and(|before| !(is_item(before) && is_item(block))) {
                shown.push('\n');
            }
            match block {
                Block::Paragraph(text) => shown.push_str(&wrap(&plain(text), "  ", "  ")),
                Block::Item(term, text) => {
                    shown.push_str(&wrap(&format!("{}: {}", plain(term), plain(text)), "  ", "      "));
                }
                Block::Verbatim(text) => {
                    for line in text.lines() {
                        shown.push_str("      ");
                        shown.push_str(line);
                        shown.push('\n');
                    }
                }
            }
            before = Some(block);
        }
        shown.push('\n');
    }
    shown.truncate(shown.trim_end().len());
    shown
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// In lines of 80 columns at most, with that before the first one and before the others.
pub fn wrap(words: &str, first: &str, others: &str) -> String {
    const WIDTH: usize = 80;
    let lines = fold(words, WIDTH - first.len(), WIDTH - others.len());
    let before = std::iter::once(first).chain(std::iter::repeat(others));
    before.zip(lines).flat_map(|(before, line)| [before.to_owned(), line, "\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_text_with_all_that_a_page_needs() {
        let grammar = crate::cli::command();
        let mut missing = Vec::new();
        let commands = grammar.get_subcommands().filter(|command| !command.is_hide_set());
        for command in commands.map(clap::Command::get_name).chain(["procctl"]) {
            let Some(text) = of(command) else {
                missing.push(format!("{command}: src/cli/texts/{command}.md, and a line in texts::of"));
                continue;
            };
            for title in ["Exit status", "Examples", "Notes"] {
                let section = sections(text).into_iter().find(|section| section.title == title);
                if section.is_none_or(|section| section.blocks.is_empty()) {
                    missing.push(format!("{command}: the section {title:?}"));
                }
            }
        }
        assert!(missing.is_empty(), "not written: {missing:#?}");
    }

    #[test]
    fn texts_are_read() {
        let text =
            "## A\n\none\ntwo\n\n<!-- run: x -->\n- `t`: m\n  n\n- `u`: v\n\n```sh\na  b\n```\n\nend\n";
        let sections = sections(text);
        assert_eq!(sections.len(), 1);
        assert_eq!(
            sections[0].blocks,
            [
                Block::Paragraph("one two".to_owned()),
                Block::Item("`t`".to_owned(), "m n".to_owned()),
                Block::Item("`u`".to_owned(), "v".to_owned()),
                Block::Verbatim("a  b\n".to_owned()),
                Block::Paragraph("end".to_owned()),
            ]
        );
        assert_eq!(for_help(text), "A:\n  one two\n\n  t: m n\n  u: v\n\n      a  b\n\n  end");
    }
}
