use super::{Place, digits, fails, json, text, workspace};
use std::path::Path;
use std::process::Command;

/// The names under which systems install Chromium.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

#[test]
fn a_page_shows_the_model_and_opens_without_a_network() {
    let place = Place::new();
    let (by_quantize, by_eval) = (place.path("quantize.html"), place.path("eval.html"));
    let model = digits(&place, &["--report", text(&by_quantize)]);
    let (images, float) = (
        workspace("host-train/data"),
        workspace("models/micro-xception.onnx"),
    );
    let arguments = ["eval", text(&model), "--images", &images, "--float", &float];
    json(arguments.iter().copied().chain(["--report", text(&by_eval)]));
    for path in [&by_quantize, &by_eval] {
        let page = std::fs::read_to_string(path).unwrap();
        for part in [
            "micro-xception.onnx",
            "Arena over time",
            "Operators",
            "Weights",
            "mps2-an386",
            "module2.add",
        ] {
            assert!(page.contains(part), "{part} is not in {}", path.display());
        }
        for outside in ["http:", "https:", "src=", "<script", "<link", "@import"] {
            assert!(!page.contains(outside), "{outside} is in {}", path.display());
        }
    }
    assert!(std::fs::read_to_string(&by_eval).unwrap().contains("Confusion"));
    let board = ["--board", "toaster", "--report", text(&by_eval)];
    fails(arguments.iter().copied().chain(board), 2, "the boards are");

    let Some(picture) = screenshot(&by_eval, &place.path("page.png")) else {
        println!("left out: the report in a browser: no Chromium in the search path");
        return;
    };
    // What is drawn: the good bars and the diagonal of the confusion matrix in teal, histograms in blue, the input in amber.
    let near = |wanted: [u8; 3]| {
        let close = |pixel: &image::Rgb<u8>| (0..3).all(|c| pixel.0[c].abs_diff(wanted[c]) < 12);
        picture.pixels().filter(|pixel| close(pixel)).count()
    };
    assert!(near([0x2a, 0x9d, 0x8f]) > 5_000, "teal");
    assert!(near([0x3b, 0x6f, 0xd4]) > 5_000, "blue");
    assert!(near([0x1d, 0x24, 0x33]) > 2_000, "text");
    // Nothing sticks out to the right: the page's margin is plain from top to bottom.
    let margin = picture.get_pixel(picture.width() - 4, 4);
    let plain = (0..picture.height()).all(|y| picture.get_pixel(picture.width() - 4, y) == margin);
    assert!(plain, "something is wider than the page");
}

/// The page as Chromium draws it; nothing where there is no Chromium.
fn screenshot(page: &Path, picture: &Path) -> Option<image::RgbImage> {
    let profile = tempfile::tempdir().unwrap();
    let browser = BROWSERS.iter().find(|name| {
        let shown = Command::new(name).arg("--version").output();
        shown.is_ok_and(|shown| shown.status.success())
    })?;
    let drawn = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1280,6000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(picture.is_file(), "{}", String::from_utf8_lossy(&drawn.stderr));
    Some(image::open(picture).unwrap().into_rgb8())
}
