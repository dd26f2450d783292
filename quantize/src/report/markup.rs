//! Pieces of HTML and SVG. Everything is inline: the page opens without a network and without scripts.

/// Text with the characters that mean something in HTML replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A section of the page.
pub fn section(id: &str, title: &str, about: &str, body: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2><p class=\"about\">{about}</p>{body}</section>\n")
}

/// A table; cells are HTML. Columns from `numbers_from` on are numbers.
pub fn table(heading: &[&str], numbers_from: usize, rows: &[Vec<String>]) -> String {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let mut row = String::from("<tr>");
        for (column, cell) in cells.enumerate() {
            let class = if column >= numbers_from {
                " class=\"number\""
            } else {
                ""
            };
            row += &format!("<{tag}{class}>{cell}</{tag}>");
        }
        row + "</tr>"
    };
    let head = cells("th", &mut heading.iter().copied());
    let body: String = rows
        .iter()
        .map(|row| cells("td", &mut row.iter().map(String::as_str)))
        .collect();
    format!("<div class=\"scroll\"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>")
}

/// A number with a bar of a length between 0 and 1 behind it; `class` colours the bar.
pub fn bar(text: &str, fraction: f64, class: &str) -> String {
    let percent = 100.0 * fraction.clamp(0.0, 1.0);
    format!("<div class=\"bar {class}\"><span style=\"width:{percent:.1}%\"></span><b>{text}</b></div>")
}

/// Large figures side by side: a value, what it is, and a remark.
pub fn figures(figures: &[(String, &str, String)]) -> String {
    let figure = |(value, name, remark): &(String, &str, String)| {
        format!("<div class=\"figure\"><b>{value}</b><i>{name}</i><small>{remark}</small></div>")
    };
    format!(
        "<div class=\"figures\">{}</div>",
        figures.iter().map(figure).collect::<String>()
    )
}

/// Bytes in the unit that suits people.
pub fn bytes(bytes: u64) -> String {
    let (amount, unit) = match bytes {
        0..10_240 => return format!("{bytes} B"),
        10_240..1_048_576 => (bytes as f64 / 1024.0, "KiB"),
        _ => (bytes as f64 / 1_048_576.0, "MiB"),
    };
    let amount = format!("{amount:.1}");
    format!("{} {unit}", amount.trim_end_matches(".0"))
}

/// A large count in the unit that suits people.
pub fn count(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{:.1} k", count as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} M", count as f64 / 1e6),
        _ => format!("{:.1} G", count as f64 / 1e9),
    }
}

/// A fraction in percent.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}

/// What every page starts with.
pub fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n\
         <body><main>\n{body}</main></body></html>\n"
    )
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("a<b>&\"c\""), "a&lt;b&gt;&amp;&quot;c&quot;");
    }

    #[test]
    fn units_suit_the_number() {
        assert_eq!(
            [100, 20_480, 20_971_520].map(bytes),
            ["100 B", "20 KiB", "20 MiB"]
        );
        assert_eq!(
            [9_999, 10_000, 8_400_000_000].map(count),
            ["9999", "10.0 k", "8400.0 M"]
        );
    }
}
