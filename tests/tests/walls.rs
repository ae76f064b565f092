//! The architecture's walls: what may depend on what, and where formulas may stand.
//!
//! They are read off `cargo metadata` and off the sources as syntax trees, without the parts that only tests
//! compile. Each check is itself shown a breach (the tests at the end), so that it cannot pass by seeing nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, process};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Expr, Item, Member};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every workspace's manifest: the main one first, then the boards'.
fn manifests() -> Vec<PathBuf> {
    let boards = fs::read_dir(root().join("firmware/boards")).expect("the boards' folder");
    let boards = boards.map(|entry| entry.expect("an entry").path().join("Cargo.toml")).filter(|path| path.is_file());
    let mut all = vec![root().join("Cargo.toml")];
    all.extend(boards);
    assert!(all.len() > 1, "there is no board");
    all
}

fn metadata(manifest: &Path) -> Metadata {
    metadata_with(manifest, &[])
}

/// The same, with features.
fn metadata_with(manifest: &Path, features: &[&str]) -> Metadata {
    let rustc = process::Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host platform");
    let mut command = MetadataCommand::new();
    // With a platform, cargo asks for no package that it would not build here.
    command.manifest_path(manifest).other_options(["--filter-platform".to_string(), host.to_string()]);
    command.features(cargo_metadata::CargoOpt::SomeFeatures(features.iter().map(|&name| name.to_owned()).collect()));
    command.exec().expect("cargo metadata")
}

/// The names of the packages that `package` needs when it is built (not for its tests), however indirectly.
fn needs(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let start = metadata.workspace_packages().into_iter().find(|p| p.name == package);
    let start = start.unwrap_or_else(|| panic!("no package {package}"));
    let mut found: BTreeSet<&PackageId> = BTreeSet::new();
    let mut open = vec![&start.id];
    while let Some(id) = open.pop() {
        for dependency in &nodes[id].deps {
            let built = dependency.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development);
            if built && found.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    found.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

/// The names of the packages that `package` names in its own manifest, for its tests as well.
fn names(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let packages = metadata.workspace_packages();
    let package = packages.into_iter().find(|p| p.name == package).expect("a package");
    package.dependencies.iter().map(|dependency| dependency.name.clone()).collect()
}

#[test]
fn core_and_firmware_and_host_stand_apart() {
    let metadata = metadata(&root().join("Cargo.toml"));
    let forbidden = [
        ("tweedie-core", vec!["tweedie-host", "tweedie-firmware", "xtask", "tweedie-tests"]),
        ("tweedie-firmware", vec!["tweedie-host", "xtask", "tweedie-tests"]),
        ("tweedie-host", vec!["tweedie-firmware", "xtask", "tweedie-tests"]),
    ];
    for (package, others) in forbidden {
        // A parity test inside either would compare code with itself, so the tests' dependencies count too.
        let all: BTreeSet<_> = needs(&metadata, package).into_iter().chain(names(&metadata, package)).collect();
        for other in others {
            assert!(!all.contains(other), "{package} must not depend on {other}");
        }
    }
    assert!(needs(&metadata, "tweedie-host").contains("tweedie-core"));
    assert!(needs(&metadata, "tweedie-firmware").contains("tweedie-core"));
}

#[test]
fn nothing_of_a_gpu_is_compiled_without_its_feature() {
    let of_gpus = |metadata: &Metadata, package: &str| -> Vec<String> {
        let families = ["wgpu", "naga", "ash", "cudarc", "candle-kernels", "candle-metal-kernels", "objc2-metal"];
        let is_of_one = |name: &String| families.iter().any(|family| name == family || name.starts_with("wgpu-"));
        needs(metadata, package).into_iter().filter(is_of_one).collect()
    };
    let plain = metadata(&root().join("Cargo.toml"));
    for package in plain.workspace_packages() {
        let found = of_gpus(&plain, &package.name);
        assert!(found.is_empty(), "{} is built with {found:?} though nobody asked for a GPU", package.name);
    }
    // And they would be seen.
    let with_wgpu = metadata_with(&root().join("Cargo.toml"), &["tweedie-host/wgpu"]);
    let found = of_gpus(&with_wgpu, "tweedie-host");
    assert!(found.contains(&"wgpu".to_owned()) && found.contains(&"naga".to_owned()), "{found:?}");
}

#[test]
fn xtask_is_light() {
    let needs = needs(&metadata(&root().join("Cargo.toml")), "xtask");
    assert!(needs.len() <= 5, "`cargo xtask` must answer in a second, but xtask needs {needs:?}");
    assert!(!needs.iter().any(|name| name.starts_with("tweedie")), "xtask needs {needs:?}");
}

#[test]
fn boards_know_core_and_firmware_only() {
    for manifest in &manifests()[1..] {
        let metadata = metadata(manifest);
        for package in metadata.workspace_packages() {
            let ours: BTreeSet<_> = needs(&metadata, &package.name);
            let ours = ours.into_iter().filter(|name| name.starts_with("tweedie") || name == "xtask");
            let strangers: Vec<_> = ours.filter(|n| n != "tweedie-core" && n != "tweedie-firmware").collect();
            let strangers: Vec<_> = strangers.iter().filter(|name| !name.starts_with("tweedie-board")).collect();
            assert!(strangers.is_empty(), "{} depends on {strangers:?}", package.name);
        }
    }
}

#[test]
fn boards_are_built_with_the_versions_that_are_tested_here() {
    let packages = |manifest: &Path| -> BTreeSet<(String, String)> {
        let metadata = metadata(manifest);
        let mut ours = BTreeSet::new();
        for package in ["tweedie-core", "tweedie-firmware"] {
            if !metadata.packages.iter().any(|p| p.name == package) {
                continue;
            }
            let direct: Vec<_> = metadata.packages.iter().filter(|p| p.name == package).collect();
            let wanted: BTreeSet<_> = direct.iter().flat_map(|p| &p.dependencies).map(|d| d.name.clone()).collect();
            let found = metadata.packages.iter().filter(|p| wanted.contains(p.name.as_str()) && p.source.is_some());
            ours.extend(found.map(|p| (p.name.to_string(), p.version.to_string())));
        }
        ours
    };
    let here = packages(&root().join("Cargo.toml"));
    for board in &manifests()[1..] {
        let there = packages(board);
        assert!(there.iter().any(|(name, _)| name == "libm"), "{}: {there:?}", board.display());
        let others: Vec<_> = there.difference(&here).filter(|(name, _)| here.iter().any(|(n, _)| n == name)).collect();
        assert!(others.is_empty(), "{} has {others:?}; here it is {here:?}: `cargo update` there", board.display());
    }
}

#[test]
fn core_and_firmware_need_no_std_no_allocator_and_core_no_unsafe() {
    for package in ["core", "firmware"] {
        let lib = parse(&root().join(package).join("src/lib.rs"));
        assert!(has_inner(&lib, "no_std"), "{package} is not #![no_std]");
        for (path, file) in sources(&root().join(package).join("src")) {
            let breaches = runtime_crates(&file);
            assert!(breaches.is_empty(), "{} names {breaches:?}", path.display());
        }
    }
    let lib = parse(&root().join("core/src/lib.rs"));
    let forbids = lib.attrs.iter().any(|a| a.path().is_ident("forbid") && tokens(a).contains("unsafe_code"));
    assert!(forbids, "core does not forbid unsafe code");
}

#[test]
fn diffusion_formulas_stand_in_core_alone() {
    let files = ["host", "firmware"].into_iter().flat_map(|package| sources(&root().join(package).join("src")));
    let breaches: Vec<_> = files
        .map(|(path, file)| (path, derivations(&file)))
        .filter(|(_, derived)| !derived.is_empty())
        .map(|(path, derived)| format!("{}: {derived:?}", path.display()))
        .collect();
    assert!(breaches.is_empty(), "coefficients are computed from coefficients, which is core's work: {breaches:#?}");
}

#[test]
fn what_judges_has_not_taught() {
    let host = root().join("host/src");
    let may_ask = [host.join("judge"), host.join("cli"), host.join("lib.rs")];
    let taught: Vec<_> =
        sources(&host).into_iter().filter(|(path, _)| !may_ask.iter().any(|m| path.starts_with(m))).collect();
    assert!(taught.iter().any(|(path, _)| path.ends_with("train.rs")));
    for (path, file) in taught {
        assert!(!names_the_judge(&file), "{} names the judge, which no training may see", path.display());
    }
    // Of the commands, the one that evaluates alone.
    for (path, file) in sources(&host.join("cli")) {
        let evaluates = path.components().any(|part| part.as_os_str() == "eval");
        assert!(evaluates || !names_the_judge(&file), "{} names the judge", path.display());
    }
}

#[test]
fn boards_hold_no_logic() {
    for manifest in &manifests()[1..] {
        let folder = manifest.parent().expect("a folder").join("src");
        for (path, file) in sources(&folder) {
            // The probe is a test's source, compiled for the board: it asks core for numbers and prints them.
            if path.ends_with("probe.rs") {
                continue;
            }
            let breaches = floats(&file);
            assert!(breaches.is_empty(), "{} handles numbers: {breaches:?}", path.display());
            assert!(derivations(&file).is_empty(), "{}", path.display());
        }
    }
}

// ---- The sources as syntax trees.

fn parse(path: &Path) -> syn::File {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every source file below a folder, but for those named `tests`.
fn sources(folder: &Path) -> Vec<(PathBuf, syn::File)> {
    let found = sources_or_none(folder);
    assert!(!found.is_empty(), "{} has no sources", folder.display());
    found
}

fn sources_or_none(folder: &Path) -> Vec<(PathBuf, syn::File)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources_or_none(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = parse(&path);
            found.push((path, file));
        }
    }
    found
}

fn tokens(attribute: &Attribute) -> String {
    match &attribute.meta {
        syn::Meta::List(list) => list.tokens.to_string(),
        _ => String::new(),
    }
}

fn has_inner(file: &syn::File, name: &str) -> bool {
    file.attrs.iter().any(|attribute| {
        attribute.path().is_ident(name)
            || (attribute.path().is_ident("cfg_attr")
                && tokens(attribute).replace(' ', "") == format!("not(test),{name}"))
    })
}

/// Whether an item is compiled for tests alone.
fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg") && tokens(attribute) == "test")
}

/// Paths that begin with `std` or `alloc`.
fn runtime_crates(file: &syn::File) -> Vec<String> {
    #[derive(Default)]
    struct Finder(Vec<String>);

    impl Finder {
        fn see(&mut self, name: &syn::Ident) {
            if name == "std" || name == "alloc" {
                self.0.push(name.to_string());
            }
        }

        fn see_tokens(&mut self, stream: TokenStream) {
            let trees: Vec<_> = stream.into_iter().collect();
            for (at, tree) in trees.iter().enumerate() {
                match tree {
                    TokenTree::Group(group) => self.see_tokens(group.stream()),
                    TokenTree::Ident(name) => {
                        let leads = matches!(trees.get(at + 1), Some(TokenTree::Punct(p)) if p.as_char() == ':')
                            && matches!(trees.get(at + 2), Some(TokenTree::Punct(p)) if p.as_char() == ':');
                        if leads {
                            self.see(name);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    impl<'ast> Visit<'ast> for Finder {
        fn visit_item(&mut self, item: &'ast Item) {
            if !is_for_tests(item) {
                visit::visit_item(self, item);
            }
        }

        fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
            self.see(&item.ident);
        }

        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            match &item.tree {
                syn::UseTree::Path(path) => self.see(&path.ident),
                syn::UseTree::Name(name) => self.see(&name.ident),
                syn::UseTree::Rename(rename) => self.see(&rename.ident),
                _ => {}
            }
        }

        fn visit_path(&mut self, path: &'ast syn::Path) {
            if path.segments.len() > 1 {
                self.see(&path.segments[0].ident);
            }
            visit::visit_path(self, path);
        }

        fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
            self.see_tokens(invocation.tokens.clone());
            visit::visit_macro(self, invocation);
        }
    }

    let mut finder = Finder::default();
    finder.visit_file(file);
    finder.0
}

/// Whether a path or a `use` names the module `judge`.
fn names_the_judge(file: &syn::File) -> bool {
    struct Finder(bool);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_item(&mut self, item: &'ast Item) {
            if !is_for_tests(item) {
                visit::visit_item(self, item);
            }
        }

        fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
            self.0 |= segment.ident == "judge";
            visit::visit_path_segment(self, segment);
        }

        fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
            self.0 |= path.ident == "judge";
            visit::visit_use_path(self, path);
        }

        fn visit_use_name(&mut self, name: &'ast syn::UseName) {
            self.0 |= name.ident == "judge";
        }

        fn visit_use_rename(&mut self, rename: &'ast syn::UseRename) {
            self.0 |= rename.ident == "judge";
        }
    }
    let mut finder = Finder(false);
    finder.visit_file(file);
    finder.0
}

/// Names that mean a coefficient of the diffusion process, of a schedule or of a sampler's step.
const COEFFICIENTS: &[&str] = &[
    "alpha",
    "alpha_t",
    "alpha_s",
    "alpha_bar",
    "alphas",
    "alphas_cumprod",
    "sigma",
    "sigma_t",
    "sigma_s",
    "sigmas",
    "snr",
    "log_snr",
    "beta_t",
    "betas",
    "eta",
    "keep",
    "pull",
    "kick",
];

/// Functions that a schedule's formula is made of.
const MATHS: &[&str] = &[
    "sqrt", "exp", "exp_m1", "expm1", "ln", "ln_1p", "log", "log1p", "powi", "powf", "pow", "cos", "sin", "tan",
    "atan2", "hypot", "recip",
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A coefficient, or arithmetic on nothing but coefficients and literals.
    Coefficient,
    Literal,
    Other,
}

/// Arithmetic whose every operand is a coefficient or a literal: the derivation of a coefficient. A coefficient times
/// anything else (a tensor, a loss) executes one, and is not meant.
fn derivations(file: &syn::File) -> Vec<String> {
    #[derive(Default)]
    struct Finder(Vec<String>);

    impl<'ast> Visit<'ast> for Finder {
        fn visit_item(&mut self, item: &'ast Item) {
            if !is_for_tests(item) {
                visit::visit_item(self, item);
            }
        }

        fn visit_expr(&mut self, expression: &'ast Expr) {
            let what = match expression {
                Expr::Binary(binary) if is_arithmetic(&binary.op) => Some("arithmetic"),
                Expr::MethodCall(call) if MATHS.iter().any(|name| call.method == *name) => Some("a function"),
                Expr::Call(_) => Some("a function"),
                _ => None,
            };
            if let Some(what) = what
                && kind(expression) == Kind::Coefficient
            {
                self.0.push(format!("{what} on {}", coefficients_in(expression).join(", ")));
            } else {
                visit::visit_expr(self, expression);
            }
        }
    }

    let mut finder = Finder::default();
    finder.visit_file(file);
    finder.0
}

fn is_arithmetic(operator: &BinOp) -> bool {
    matches!(operator, BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) | BinOp::Div(_))
}

fn kind(expression: &Expr) -> Kind {
    let named = |name: &syn::Ident| match COEFFICIENTS.iter().any(|coefficient| name == coefficient) {
        true => Kind::Coefficient,
        false => Kind::Other,
    };
    match expression {
        Expr::Lit(_) => Kind::Literal,
        Expr::Paren(inner) => kind(&inner.expr),
        Expr::Group(inner) => kind(&inner.expr),
        Expr::Reference(inner) => kind(&inner.expr),
        Expr::Unary(inner) => kind(&inner.expr),
        Expr::Cast(inner) => kind(&inner.expr),
        Expr::Try(inner) => kind(&inner.expr),
        Expr::Index(inner) => kind(&inner.expr),
        Expr::Path(path) => path.path.get_ident().map_or(Kind::Other, named),
        Expr::Field(field) => match &field.member {
            Member::Named(name) => named(name),
            Member::Unnamed(_) => Kind::Other,
        },
        Expr::Binary(binary) if is_arithmetic(&binary.op) => together([&*binary.left, &*binary.right]),
        Expr::MethodCall(call) if MATHS.iter().any(|name| call.method == *name) => {
            together(std::iter::once(&*call.receiver).chain(&call.args))
        }
        // `level.log_snr()`, `step.pull()`.
        Expr::MethodCall(call) if call.args.is_empty() => named(&call.method),
        Expr::Call(call) => match &*call.func {
            Expr::Path(path)
                if path.path.segments.last().is_some_and(|s| MATHS.iter().any(|name| s.ident == *name)) =>
            {
                together(&call.args)
            }
            _ => Kind::Other,
        },
        _ => Kind::Other,
    }
}

fn together<'a>(operands: impl IntoIterator<Item = &'a Expr>) -> Kind {
    operands.into_iter().map(kind).fold(Kind::Literal, |all, one| match (all, one) {
        (Kind::Other, _) | (_, Kind::Other) => Kind::Other,
        (Kind::Coefficient, _) | (_, Kind::Coefficient) => Kind::Coefficient,
        (Kind::Literal, Kind::Literal) => Kind::Literal,
    })
}

/// The coefficients' names inside an expression, for the message.
fn coefficients_in(expression: &Expr) -> Vec<String> {
    struct Finder(Vec<String>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_ident(&mut self, name: &'ast syn::Ident) {
            if COEFFICIENTS.iter().any(|coefficient| name == coefficient) {
                self.0.push(name.to_string());
            }
        }
    }
    let mut finder = Finder(Vec::new());
    finder.visit_expr(expression);
    finder.0
}

/// Floating-point types and literals.
fn floats(file: &syn::File) -> Vec<String> {
    struct Finder(Vec<String>);
    impl<'ast> Visit<'ast> for Finder {
        fn visit_ident(&mut self, name: &'ast syn::Ident) {
            if name == "f32" || name == "f64" {
                self.0.push(name.to_string());
            }
        }

        fn visit_lit_float(&mut self, literal: &'ast syn::LitFloat) {
            self.0.push(literal.to_string());
        }
    }
    let mut finder = Finder(Vec::new());
    finder.visit_file(file);
    finder.0
}

// ---- Each check sees a breach when there is one.

fn source(text: &str) -> syn::File {
    syn::parse_file(text).expect("Rust")
}

#[test]
fn the_check_for_std_sees_it_and_spares_tests_and_names() {
    for breach in [
        "use std::vec::Vec;",
        "extern crate alloc;",
        "fn f() -> std::string::String { todo!() }",
        "fn f() { g!(alloc::vec::Vec::new()) }",
        "mod inner { use alloc::boxed::Box; }",
    ] {
        assert_eq!(runtime_crates(&source(breach)).len(), 1, "{breach}");
    }
    for innocent in [
        "#[cfg(test)] extern crate std;",
        "#[cfg(test)] mod tests { use std::vec::Vec; }",
        "/// std::vec\nfn f(std: f64) -> f64 { std }",
        "use core::fmt;",
    ] {
        assert!(runtime_crates(&source(innocent)).is_empty(), "{innocent}");
    }
}

#[test]
fn the_check_for_formulas_sees_them_and_spares_execution() {
    for breach in [
        "fn f(alpha: f64) -> f64 { (1.0 - alpha * alpha).sqrt() }",
        "fn f(l: Level) -> f64 { l.sigma / l.alpha }",
        "fn f(l: Level) -> f64 { l.snr() / (l.snr() + 1.0) }",
        "fn f(l: Level) -> f64 { libm::sqrt(l.alpha) }",
        "fn f(betas: &[f64]) -> f64 { 1. - betas[0] }",
        "fn f(l: Level) { g(x * (l.alpha - l.sigma)) }",
        "fn f(l: Level) -> f32 { (l.alpha as f32).powi(2) }",
    ] {
        assert!(!derivations(&source(breach)).is_empty(), "{breach}");
    }
    for innocent in [
        "fn f(x: T, l: Level) -> T { x * l.alpha + y * l.sigma }",
        "fn f(l: Level) -> bool { l.alpha > 0.5 }",
        "fn f(l: Level) -> f32 { l.alpha as f32 }",
        "fn f(x: f64) -> f64 { (1.0 - x * x).sqrt() }",
        "#[cfg(test)] mod tests { fn f(alpha: f64) -> f64 { 1.0 - alpha } }",
    ] {
        assert!(derivations(&source(innocent)).is_empty(), "{innocent}");
    }
}

#[test]
fn the_check_for_the_judge_sees_it() {
    for breach in [
        "use crate::judge;",
        "use crate::judge as critic;",
        "use crate::{data, judge::panel::Panel};",
        "fn f() { crate::judge::frechet::distance(&[], &[], 1); }",
    ] {
        assert!(names_the_judge(&source(breach)), "{breach}");
    }
    for innocent in ["//! The judge.\nuse crate::data;", "#[cfg(test)] mod tests { use crate::judge; }"] {
        assert!(!names_the_judge(&source(innocent)), "{innocent}");
    }
}

#[test]
fn the_check_for_floats_sees_them() {
    assert_eq!(floats(&source("fn f(x: f32) -> u8 { let y = 1.5; 0 }")), ["f32", "1.5"]);
    assert!(floats(&source("fn f(x: u32) -> u32 { x + 1 }")).is_empty());
}
