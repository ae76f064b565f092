//! What deny.toml says of licences, sources and banned packages holds for every dependency, on any platform and
//! with every feature. (`cargo deny check` reads the same file, and knows advisories as well.)

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{CargoOpt, MetadataCommand, Package};
use spdx::{Expression, ParseMode};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn deny() -> toml::Table {
    fs::read_to_string(root().join("deny.toml")).expect("deny.toml").parse().expect("TOML")
}

/// Every package of every workspace.
fn packages() -> Vec<Package> {
    let boards = fs::read_dir(root().join("firmware/boards")).expect("the boards' folder");
    let boards = boards.map(|entry| entry.expect("an entry").path().join("Cargo.toml"));
    let manifests = std::iter::once(root().join("Cargo.toml")).chain(boards.filter(|path| path.is_file()));
    let of = |manifest: PathBuf| {
        let mut command = MetadataCommand::new();
        command.manifest_path(manifest).features(CargoOpt::AllFeatures);
        command.exec().expect("cargo metadata").packages
    };
    let all: Vec<_> = manifests.flat_map(of).collect();
    assert!(all.len() > 50, "only {} packages", all.len());
    all
}

fn strings(value: &toml::Value) -> Vec<String> {
    let list = value.as_array().expect("a list");
    list.iter().map(|item| item.as_str().expect("a string").to_string()).collect()
}

fn satisfies(licence: &str, allowed: &[String]) -> bool {
    let expression = Expression::parse_mode(licence, ParseMode::LAX);
    expression.is_ok_and(|expression| {
        expression.evaluate(|requirement| allowed.iter().any(|name| *name == requirement.to_string()))
    })
}

#[test]
fn every_licence_is_allowed() {
    let deny = deny();
    let allowed = strings(&deny["licenses"]["allow"]);
    let exceptions = deny["licenses"]["exceptions"].as_array().expect("a list");
    let exceptions: BTreeMap<_, _> = exceptions
        .iter()
        .map(|exception| (exception["crate"].as_str().expect("a name"), strings(&exception["allow"])))
        .collect();
    let mut refused = Vec::new();
    for package in packages() {
        let mut allowed = allowed.clone();
        allowed.extend(exceptions.get(package.name.as_str()).into_iter().flatten().cloned());
        let licence = package.license.as_deref().unwrap_or("none");
        if !satisfies(licence, &allowed) {
            refused.push(format!("{} {}: {licence}", package.name, package.version));
        }
    }
    assert!(refused.is_empty(), "deny.toml does not allow these licences: {refused:#?}");
}

#[test]
fn every_package_comes_from_the_registry_or_from_here() {
    for package in packages() {
        let known = package.source.as_ref().is_none_or(cargo_metadata::Source::is_crates_io);
        assert!(known, "{} comes from {:?}", package.name, package.source);
    }
}

#[test]
fn no_package_is_banned() {
    let deny = deny();
    let banned = deny["bans"]["deny"].as_array().expect("a list");
    let banned: Vec<_> = banned.iter().map(|ban| ban["crate"].as_str().expect("a name")).collect();
    assert!(!banned.is_empty());
    for package in packages() {
        assert!(!banned.contains(&package.name.as_str()), "{} is banned", package.name);
    }
}

#[test]
fn expressions_are_read_as_cargo_deny_reads_them() {
    let allowed = ["MIT".to_string(), "Apache-2.0 WITH LLVM-exception".to_string()];
    for yes in ["MIT", "MIT OR GPL-3.0-only", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception AND MIT"] {
        assert!(satisfies(yes, &allowed), "{yes}");
    }
    for no in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "Apache-2.0", "none", ""] {
        assert!(!satisfies(no, &allowed), "{no}");
    }
}
