//! A man page: what the grammar says, by clap_mangen, and what the texts say, as roff.

use clap_mangen::Man;
use procctl::cli::texts::{Block, Section, sections, wrap};
use procctl::process::fields;

/// The day of the texts. The day of generation would make each build another.
const DATE: &str = "2026-11-25";
const SOURCE: &str = concat!("procctl ", env!("CARGO_PKG_VERSION"));
const COMMON: &str = include_str!("../../src/cli/texts/common.md");
const RECORD: &str = include_str!("../../src/cli/texts/record.md");

/// The sections in the order of man-pages(7).
const ORDER: [&str; 6] = ["References", "Exit status", "Files", "Environment", "Examples", "Notes"];

/// The page of one command: its name and its text.
pub(crate) fn of_command(command: &clap::Command, text: &str) -> (String, String) {
    let name = command.get_display_name().unwrap_or("procctl").to_owned();
    let man =
        Man::new(command.clone()).title(name.to_uppercase()).date(DATE).source(SOURCE).manual("procctl");
    let mut by_clap = Vec::new();
    man.render_title(&mut by_clap).unwrap();
    man.render_name_section(&mut by_clap).unwrap();
    man.render_synopsis_section(&mut by_clap).unwrap();
    man.render_description_section(&mut by_clap).unwrap();
    man.render_options_section(&mut by_clap).unwrap();
    if command.has_subcommands() {
        man.render_subcommands_section(&mut by_clap).unwrap();
    }
    let mut page = tidy(&String::from_utf8(by_clap).unwrap());
    let own = sections(text);
    let mut all: Vec<&Section<'_>> = own.iter().collect();
    // What is the same for every command, unless it has more to say of it.
    let common = sections(COMMON);
    all.extend(common.iter().filter(|section| own.iter().all(|other| other.title != section.title)));
    all.sort_by_key(|section| ORDER.iter().position(|title| *title == section.title));
    for section in all {
        page.push_str(&roff(section));
    }
    page.push_str(".SH \"SEE ALSO\"\n");
    page.push_str(&see_also(command));
    (man.get_filename(), page)
}

/// procctl-record(5).
pub(crate) fn of_the_record() -> (String, String) {
    let mut page =
        format!(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH PROCCTL-RECORD 5 {DATE} \"{SOURCE}\" procctl\n");
    for section in sections(RECORD) {
        page.push_str(&roff(&section));
        if section.title == "Description" {
            page.push_str(".SH FIELDS\n");
            for field in fields::all() {
                let meaning = format!("{}. ({})", field.meaning, field.kind);
                page.push_str(&item(&format!("`{}`", field.path), &meaning));
            }
        }
    }
    page.push_str(".SH \"SEE ALSO\"\n.BR procctl (1),\n.BR procctl\\-get (1),\n.BR procctl\\-status (1)\n");
    ("procctl-record.5".to_owned(), page)
}

fn see_also(command: &clap::Command) -> String {
    if command.has_subcommands() {
        return ".BR procctl\\-record (5),\n.BR kill (1),\n.BR timeout (1),\n.BR wait (1p)\n".to_owned();
    }
    ".BR procctl (1),\n.BR procctl\\-record (5)\n".to_owned()
}

fn roff(section: &Section<'_>) -> String {
    let mut page = format!(".SH \"{}\"\n", section.title.to_uppercase());
    let mut is_first = true;
    for block in &section.blocks {
        match block {
            Block::Paragraph(text) => {
                if !is_first {
                    page.push_str(".PP\n");
                }
                page.push_str(&words(text));
            }
            Block::Item(term, text) => page.push_str(&item(term, text)),
            Block::Verbatim(text) => {
                // After a heading a paragraph has begun already.
                page.push_str(if is_first { ".RS 4\n.nf\n" } else { ".PP\n.RS 4\n.nf\n" });
                for line in text.lines() {
                    page.push_str(&at_line_begin(&escaped(line)));
                    page.push('\n');
                }
                page.push_str(".fi\n.RE\n");
            }
        }
        is_first = false;
    }
    page
}

fn item(term: &str, text: &str) -> String {
    let term = if term.contains('`') { term.to_owned() } else { format!("*{term}*") };
    format!(".TP\n{}{}", words(&term), words(text))
}

/// Words in lines: `so` is bold, and *so* is italic.
fn words(text: &str) -> String {
    let mut roff = String::new();
    for (at, part) in text.split('`').enumerate() {
        let part = match part.strip_prefix('*').and_then(|part| part.strip_suffix('*')) {
            Some(part) => format!("\\fI{}\\fR", escaped(part)),
            None => escaped(part),
        };
        if at % 2 == 1 {
            roff.extend(["\\fB", &part, "\\fR"]);
        } else {
            roff.push_str(&part);
        }
    }
    lines(&roff)
}

fn escaped(text: &str) -> String {
    let mut roff = String::new();
    for c in text.chars() {
        match c {
            '\\' => roff.push_str("\\e"),
            '-' => roff.push_str("\\-"),
            '\'' => roff.push_str("\\*(Aq"),
            '`' => roff.push_str("\\`"),
            '^' => roff.push_str("\\(ha"),
            '~' => roff.push_str("\\(ti"),
            '…' => roff.push_str("\\&..."),
            c => roff.push(c),
        }
    }
    roff
}

fn lines(roff: &str) -> String {
    wrap(roff, "", "").lines().map(|line| at_line_begin(line) + "\n").collect()
}

/// A dot or a quote that begins a line would make it a request.
fn at_line_begin(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// The page as clap_mangen makes it, without what mandoc complains of, and with words in backquotes bold.
fn tidy(page: &str) -> String {
    let mut tidy = String::new();
    for line in page.lines() {
        match line.strip_prefix('.') {
            // Two breaks around nothing are one space.
            Some("br") if tidy.ends_with(".sp\n") => {}
            Some(_) => {
                tidy.push_str(line);
                tidy.push('\n');
            }
            None if line.is_empty() => {
                if let Some(before) = tidy.strip_suffix(".br\n") {
                    tidy = format!("{before}.sp\n");
                }
            }
            None => {
                let mut bold = String::new();
                for (at, part) in line.split('`').enumerate() {
                    bold.push_str(match at {
                        0 => "",
                        at if at % 2 == 1 => "\\fB",
                        _ => "\\fR",
                    });
                    bold.push_str(part);
                }
                tidy.push_str(&lines(&bold.replace('…', "\\&...")));
            }
        }
    }
    tidy
}
