//! `report.html` is whole, well-formed, tells every figure, trusts no text, and a browser draws it.

use roxmltree::{Document, Node};
use std::path::Path;
use std::process::Command;
use tweedie_host::data::Dataset;
use tweedie_host::judge::evaluation::*;
use tweedie_host::judge::report;

fn interval(mean: f64) -> Interval {
    Interval { mean, low: Some(0.97 * mean), high: Some(1.03 * mean), values: vec![0.98 * mean, mean, 1.02 * mean] }
}

fn scores<V>(value: fn(f64) -> V, frechet: f64, copies: f64) -> Scores<V> {
    let space = |frechet: f64| SpaceScores { frechet: value(frechet), precision: value(0.83), recall: value(0.79) };
    Scores {
        pixels: space(frechet),
        features: Some(space(3.0 * frechet)),
        agreement: Some(Agreement {
            judge: value(0.981),
            neighbours: value(0.975),
            by_class: (0..10).map(|class| (class != 7).then(|| value(0.99 - 0.004 * f64::from(class)))).collect(),
        }),
        memorised: Memorised { by_distance: value(copies), by_cosine: Some(value(2.0 * copies)) },
    }
}

/// An evaluation of a model of the digits, at several numbers of steps.
fn evaluation() -> Evaluation {
    let at = |(steps, frechet)| StepScores {
        steps,
        is_default: steps == 20,
        seconds: 0.11 * steps as f64,
        scores: scores(interval, frechet, 0.004),
    };
    Evaluation {
        format: "evaluation".into(),
        version: VERSION,
        subject: Subject {
            kind: SubjectKind::Run,
            path: "runs/digits".into(),
            parameters: Some(88_768),
            bytes: None,
            default_steps: 20,
            sampler: "ddim, eta 0, guidance 1".into(),
        },
        data: DataSummary {
            name: "digits".into(),
            shape: vec![8, 8],
            classes: 10,
            training_rows: 1347,
            held_out_rows: 450,
            held_out_from: "rows that no training has seen".into(),
            held_out_seen_in_training: false,
        },
        settings: Settings { count: 2000, seeds: vec![0, 1, 2], neighbours: 3 },
        judge: Stated::Present(JudgeSummary {
            parameters: 26_122,
            features: 64,
            held_out_accuracy: 0.969,
            neighbours_accuracy: 0.953,
            key: "0123456789abcdef0123456789abcdef".into(),
        }),
        real: scores(|value| value, 0.985, 0.0022),
        by_steps: [(1, 12.4), (2, 4.61), (4, 2.03), (8, 1.42), (20, 1.257), (50, 1.241)].map(at).into(),
        bound: Stated::Present(Bound {
            held_out: 2.713,
            training: 2.655,
            prior: 0.0001,
            diffusion: 2.4129,
            reconstruction: 0.3,
            data_levels: 17,
            steps: 1000,
            rows: 450,
            steps_of_a_row: 72,
            by_level: (-8..=8)
                .map(|k| LevelTerm { log_snr: f64::from(k), bits: 0.3 / (1.0 + f64::from(k * k)) })
                .collect(),
        }),
        quantisation: Some(Quantisation {
            run: "runs/digits".into(),
            float: at((20, 1.254)),
            frechet_pixels: interval(1.002),
            frechet_features: Some(interval(1.001)),
            agreement: Some(interval(-0.0005)),
            mean_difference: 0.00043,
        }),
        notes: vec!["The judge was trained in 3 s.".into()],
    }
}

/// Real digits in all places.
fn gallery(evaluation: &Evaluation) -> Gallery {
    let digits = Dataset::digits().unwrap();
    let labels = digits.labels.clone().unwrap();
    let row = |index: usize| Shown { values: digits.sample(index).to_vec(), class: Some(labels[index]) };
    let many = |first: usize| (first..first + 200).map(row).collect::<Vec<_>>();
    Gallery {
        real: many(0),
        by_steps: (1..=evaluation.by_steps.len()).map(|step| many(150 * step)).collect(),
        nearest: (0..12)
            .map(|k| Neighbour { sample: row(k), row: row(k + 10), ratio: 0.2 + 0.05 * k as f64 })
            .collect(),
    }
}

fn page(evaluation: &Evaluation) -> String {
    report::render(evaluation, &gallery(evaluation), "cargo xtask eval runs/digits").unwrap()
}

/// The page as XML: elements that HTML never closes are closed, which is all that keeps it from being XML.
fn as_xml(page: &str) -> String {
    let mut rest = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let mut xml = String::new();
    while let Some(at) = ["<meta", "<img", "<br"].iter().filter_map(|tag| rest.find(tag)).min() {
        let end = at + rest[at..].find('>').unwrap();
        xml += &rest[..end];
        xml += "/>";
        rest = &rest[end + 1..];
    }
    xml + rest
}

fn words(node: Node) -> String {
    node.descendants().filter_map(|node| node.text()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_is_well_formed_whole_and_accessible() {
    let page = page(&evaluation());
    let xml = as_xml(&page);
    let document = Document::parse(&xml).unwrap();
    let all = |tag: &'static str| document.descendants().filter(move |node| node.has_tag_name(tag));
    // Nothing from elsewhere, and nothing that runs.
    for refused in ["http:", "https:", "//cdn", "@import", "url(", "file:"] {
        assert!(!page.contains(refused), "{refused}");
    }
    assert_eq!(all("script").chain(all("link")).chain(all("iframe")).count(), 0);
    assert!(all("img").count() >= 2 + 5 + 12);
    for image in all("img") {
        assert!(image.attribute("src").unwrap().starts_with("data:image/png;base64,"));
        assert!(image.attribute("alt").unwrap().len() > 10);
    }
    for picture in all("svg").filter(|node| node.attribute("aria-hidden").is_none()) {
        assert!(picture.attribute("role") == Some("img") && picture.attribute("aria-label").is_some());
    }
    for node in document.descendants() {
        for attribute in node.attributes() {
            assert!(!attribute.name().starts_with("on"), "{}", attribute.name());
        }
    }
    assert_eq!(all("h1").count(), 1);
    assert_eq!(all("html").next().unwrap().attribute("lang"), Some("en-GB"));
}

#[test]
fn every_figure_stands_on_the_page() {
    let evaluation = evaluation();
    let xml = as_xml(&page(&evaluation));
    let document = Document::parse(&xml).unwrap();
    let text = words(document.root_element());
    for figure in [
        "1.257",
        "0.985",
        "98.1\u{a0}%",
        "97.5\u{a0}%",
        "0.4\u{a0}%",
        "83.0\u{a0}%",
        "79.0\u{a0}%",
        "2.713",
        "2.655",
        "88\u{2009}768",
        "+0.2\u{a0}%",
        "1.002",
        "96.9\u{a0}%",
        "The judge was trained in 3 s.",
        "cargo xtask eval runs/digits",
    ] {
        assert!(text.contains(figure), "{figure} is missing");
    }
    let by_steps = document.descendants().find(|node| node.has_tag_name("tbody")).unwrap();
    let rows: Vec<_> = by_steps.children().collect();
    assert_eq!(rows.len(), evaluation.by_steps.len() + 1, "one for each number of steps, and the real rows");
    // Five plots over steps, one over classes, one of the bound.
    assert_eq!(document.descendants().filter(|node| node.attribute("role") == Some("img")).count(), 7);
}

#[test]
fn texts_are_escaped_whatever_they_hold() {
    let mut evaluation = evaluation();
    let hostile = "</title><script>alert('1')</script>\"&<img src=x>";
    evaluation.data.name = hostile.into();
    evaluation.data.held_out_from = hostile.into();
    evaluation.subject.path = hostile.into();
    evaluation.subject.sampler = hostile.into();
    evaluation.notes = vec![hostile.into()];
    evaluation.judge = Stated::Absent(hostile.into());
    evaluation.bound = Stated::Absent(hostile.into());
    let page = report::render(&evaluation, &gallery(&evaluation), hostile).unwrap();
    let xml = as_xml(&page);
    let document = Document::parse(&xml).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img src=x"));
    assert!(words(document.root_element()).matches("alert('1')").count() >= 6);
}

#[test]
fn data_without_classes_and_a_single_plan_make_a_smaller_page() {
    let mut evaluation = evaluation();
    evaluation.data.classes = 0;
    evaluation.judge = Stated::Absent("the data have no classes".into());
    evaluation.quantisation = None;
    evaluation.by_steps.truncate(1);
    evaluation.by_steps[0].is_default = true;
    let strip = |scores: &mut Scores<Interval>| {
        (scores.features, scores.agreement, scores.memorised.by_cosine) = (None, None, None);
    };
    strip(&mut evaluation.by_steps[0].scores);
    (evaluation.real.features, evaluation.real.agreement, evaluation.real.memorised.by_cosine) = (None, None, None);
    let xml = as_xml(&page(&evaluation));
    let document = Document::parse(&xml).unwrap();
    let text = words(document.root_element());
    assert!(text.contains("the data have no classes") && !text.contains("Class agreement 9"), "{text}");
    assert!(!text.contains("By number of steps") && !text.contains("What fixed point costs"));
}

#[test]
fn the_verdict_follows_the_figures() {
    let verdict = |change: &dyn Fn(&mut Evaluation)| {
        let mut evaluation = evaluation();
        change(&mut evaluation);
        let verdict = report::verdict::of(&evaluation);
        (verdict.mark, verdict.headline)
    };
    use report::verdict::Mark;
    let own = 4;
    assert_eq!(verdict(&|_| ()), (Mark::Good, "A good model: it passes every check below.".into()));
    let far = verdict(&|e| e.by_steps[own].scores.pixels.frechet.mean = 0.985 * 2.0);
    assert_eq!(far, (Mark::Fair, "Usable, with reservations about likeness.".into()));
    assert_eq!(verdict(&|e| e.by_steps[own].scores.pixels.frechet.mean = 4.0).0, Mark::Poor);
    assert_eq!(verdict(&|e| e.by_steps[own].scores.pixels.frechet.mean = f64::NAN).0, Mark::Poor);
    let copies = verdict(&|e| e.by_steps[own].scores.memorised.by_distance.mean = 0.9);
    assert_eq!(copies, (Mark::Poor, "Not to be relied on, because of copying.".into()));
    let both = verdict(&|e| {
        e.by_steps[own].scores.memorised.by_distance.mean = 0.9;
        e.by_steps[own].scores.features.as_mut().unwrap().recall.mean = 0.1;
    });
    assert_eq!(both.1, "Not to be relied on, because of copying and variety.");
    // Strangers that look alike are no copies.
    let chance = verdict(&|e| {
        e.by_steps[own].scores.memorised.by_distance.mean = 0.5;
        e.real.memorised.by_distance = 0.49;
    });
    assert_eq!(chance.0, Mark::Good);
    assert_eq!(verdict(&|e| e.data.held_out_seen_in_training = true).0, Mark::Fair);
    assert_eq!(verdict(&|e| e.quantisation.as_mut().unwrap().frechet_pixels.mean = 1.3).0, Mark::Poor);
    // Other numbers of steps have no say.
    assert_eq!(verdict(&|e| e.by_steps[0].scores.pixels.frechet.mean = 1e3).0, Mark::Good);
}

/// The page in a headless browser, wide and narrow, as a picture.
fn screenshot(browser: &str, folder: &Path, page: &Path, width: u32) -> image::RgbImage {
    let picture = folder.join(format!("{width}.png"));
    let status = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=2000"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("--window-size={width},4000"))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    image::open(&picture).unwrap().into_rgb8()
}

#[test]
fn a_browser_draws_it() {
    let named = ["chromium", "chromium-browser", "google-chrome"];
    let there = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(browser) = named.iter().find(there) else {
        println!("skipped: no headless browser is installed (apt-get install chromium)");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let evaluation = evaluation();
    report::write(&path, &evaluation, &gallery(&evaluation), "cargo xtask eval runs/digits").unwrap();
    for width in [1200, 500] {
        let picture = screenshot(browser, folder.path(), &path, width);
        assert_eq!(picture.dimensions(), (width, 4000));
        let paper = *picture.get_pixel(2, 2);
        // Something is drawn all the way down, and nothing reaches the margins: no part is wider than the window.
        for band in 0..8 {
            let drawn = (0..width).any(|x| (0..300).any(|y| *picture.get_pixel(x, 500 * band + y) != paper));
            assert!(drawn, "{width} wide: nothing at {}", 500 * band);
        }
        assert!((0..4000).all(|y| *picture.get_pixel(width - 3, y) == paper), "{width} wide: too wide");
        let colours: std::collections::BTreeSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
        assert!(colours.len() > 100, "{width} wide: {} colours", colours.len());
    }
}
