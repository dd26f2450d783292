use super::*;
use crate::testing;

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
