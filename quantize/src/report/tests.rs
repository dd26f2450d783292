use super::*;
use crate::testing;
use std::process::Command;

fn page() -> String {
    let file = testing::file(&testing::classifier(2));
    let model = Model::new(&file).unwrap();
    let accuracy = Accuracy {
        count: 10,
        top1: 0.8,
        top5: 1.0,
        float: Some(FloatAccuracy {
            top1: 0.9,
            top5: 1.0,
            agreement: 0.85,
        }),
        confusion: [((0, 0), 4), ((1, 1), 4), ((1, 3), 2)].into(),
    };
    let noise = [Layer {
        name: "depthwise".into(),
        decibels: 17.25,
    }];
    let report = Report {
        model: &model,
        accuracy: Some(&accuracy),
        noise: &noise,
        activations: &[],
        trials: &[],
        board: board::find("microbit").unwrap(),
    };
    report.html()
}

#[test]
fn the_page_shows_what_is_known_and_loads_nothing() {
    let page = page();
    let shown = [
        "80.00 %",
        "float 90.00 %",
        "85.00 %",
        "17.2 dB",
        "green taken for other: 2",
        "BBC micro:bit",
        "id=\"arena\"",
    ];
    for part in shown {
        assert!(page.contains(part), "{part} is not shown");
    }
    for loading in ["http:", "https:", "src=", "<script", "@import", "url("] {
        assert!(!page.contains(loading), "{loading} in the page");
    }
    // Each opened element is closed.
    for tag in ["section", "table", "svg", "div", "tr", "td"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    // Every operator's tensor and the input are on the map.
    assert_eq!(page.matches("rows held, bytes").count(), 6);
}

#[test]
fn boards_have_names_of_their_own() {
    for (number, board) in board::BOARDS.iter().enumerate() {
        assert_eq!(
            board::BOARDS.iter().position(|other| other.name == board.name),
            Some(number)
        );
    }
}

/// Renders the page where a Chromium is installed, and looks at the picture.
#[test]
fn a_browser_renders_the_page() {
    let browsers = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let installed = |name: &&&str| {
        Command::new(name)
            .arg("--version")
            .output()
            .is_ok_and(|o| o.status.success())
    };
    let Some(browser) = browsers.iter().find(installed) else {
        eprintln!("left out: there is no Chromium to render the report with");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (html, png) = (
        folder.path().join("report.html"),
        folder.path().join("report.png"),
    );
    std::fs::write(&html, page()).unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1200,2400",
        ])
        .arg(format!("--screenshot={}", png.display()))
        .arg(format!("file://{}", html.display()))
        .output()
        .unwrap();
    assert!(png.is_file(), "{}", String::from_utf8_lossy(&output.stderr));
    let picture = image::open(&png).unwrap().into_rgb8();
    assert_eq!(picture.width(), 1200);
    let colours: std::collections::HashSet<[u8; 3]> = picture.pixels().map(|pixel| pixel.0).collect();
    assert!(colours.len() > 20, "the page is blank: {} colours", colours.len());
}
