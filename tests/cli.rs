//! The program as its users run it: output, messages, exit codes, and what happens to files.

#[allow(dead_code)]
#[path = "support/extent.rs"]
mod extent;
#[path = "support/model_builder.rs"]
mod model_builder;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use model_builder::{ModelSpec, OperatorSpec, Options, TensorSpec};
use tflc::frontend::schema::{builtin, tensor_type};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A folder of its own for each test, deleted in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("tflc-cli-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// The model of that name, copied here.
    fn model(&self, name: &str) -> PathBuf {
        self.write(&format!("{name}.tflite"), fs::read(model(name)).unwrap())
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn model(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/models").join(name).with_extension("tflite")
}

fn tflc<S: AsRef<OsStr>>(folder: &Folder, arguments: impl IntoIterator<Item = S>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
    command.current_dir(&folder.0).args(arguments).env_remove("RUST_BACKTRACE").output().unwrap()
}

/// The arguments of a command line without quotes.
fn line(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
}

/// Stdout of a run that must end with exit code 0.
#[track_caller]
fn done(output: Output) -> String {
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    stdout
}

/// Stderr of a run that must end with that exit code, print nothing to stdout, and say all of that.
#[track_caller]
fn fails(output: Output, code: i32, says: &[&str]) -> String {
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(code), "{stdout}\n{stderr}");
    assert_eq!(stdout, "", "{stderr}");
    for words in says {
        assert!(stderr.contains(words), "'{words}' isn't in:\n{stderr}");
    }
    stderr
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn help_offers_what_there_is() {
    let folder = Folder::new("help");
    let help = done(tflc(&folder, ["--help"]));
    for words in [
        "--target",
        "--arduino",
        "--flash",
        "--ram",
        "--check",
        "--emit",
        "run",
        "verify",
        "targets",
        "Examples:",
    ] {
        assert!(help.contains(words), "{words}");
    }
    for command in ["run", "verify", "targets"] {
        assert!(done(tflc(&folder, [command, "--help"])).contains("Usage: tflc"));
    }
    let version = done(tflc(&folder, ["--version"]));
    assert_eq!(version, format!("tflc {}\n", env!("CARGO_PKG_VERSION")));
    let nothing = tflc(&folder, [] as [&str; 0]);
    assert_eq!(nothing.status.code(), Some(2));
}

#[test]
fn a_model_becomes_a_file() {
    let folder = Folder::new("compile");
    let out = folder.path("digits.rs");
    let arguments =
        [model("digits_conv").into_os_string(), "--target".into(), "cortex-m4".into(), "-o".into()];
    let to = |out: &Path| [&arguments[..], &[out.into()]].concat();

    let said = done(tflc(&folder, to(&out)));
    let code = fs::read_to_string(&out).unwrap();
    assert!(code.contains("pub struct Model"), "{code}");
    assert!(said.contains("digits.rs: ") && said.contains(" bytes of RAM, "), "{said}");
    assert_eq!(folder.files(), ["digits.rs"]);

    // What is up to date isn't touched.
    let written = fs::metadata(&out).unwrap().modified().unwrap();
    assert!(done(tflc(&folder, to(&out))).contains("(unchanged)"));
    assert_eq!(fs::metadata(&out).unwrap().modified().unwrap(), written);

    // Printed, it is what a file named after the model would hold.
    let named = folder.path("digits_conv.rs");
    done(tflc(&folder, to(&named)));
    assert!(done(tflc(&folder, to(Path::new("-")))) == fs::read_to_string(named).unwrap());
}

#[test]
fn the_same_bytes_in_every_folder() {
    let folder = Folder::new("same");
    let mut codes = Vec::new();
    for name in ["one", "two with a space", "drei ü"] {
        let inner = Folder(folder.path(name));
        fs::create_dir(&inner.0).unwrap();
        inner.model("digits_residual");
        let arguments = line("digits_residual.tflite --target cortex-m7 --ram 64K -o out.rs");
        done(tflc(&inner, arguments));
        codes.push(fs::read_to_string(inner.path("out.rs")).unwrap());
        // From elsewhere, by other spellings of the same sizes and paths.
        let long = inner.path("digits_residual.tflite");
        let out = inner.path("../out.rs");
        let arguments = [long.as_os_str(), "-o".as_ref(), out.as_os_str(), "--ram".as_ref()];
        let arguments = arguments.into_iter().chain(["65536", "-t", "cortex-m7"].map(OsStr::new));
        done(tflc(&folder, arguments));
        codes.push(fs::read_to_string(folder.path("out.rs")).unwrap());
    }
    assert!(codes.iter().all(|code| *code == codes[0]));
    assert!(codes[0].contains("tflc digits_residual.tflite --target cortex-m7 --ram 64K -o out.rs"));
    let path = folder.0.to_string_lossy();
    assert!(!codes[0].contains(&*path) && !codes[0].contains(ROOT));
}

#[test]
fn check_tells_stale_files_and_changes_nothing() {
    let folder = Folder::new("check");
    folder.model("digits_conv");
    fs::create_dir(folder.path("a b")).unwrap();
    let out = folder.path("a b/digits.rs");
    let arguments =
        ["digits_conv.tflite", "--target", "cortex-m4", "-o", "a b/digits.rs", "--check"];
    let refresh = "tflc digits_conv.tflite --target cortex-m4 -o 'a b/digits.rs'\n";
    let check = || tflc(&folder, arguments);

    fails(check(), 1, &["there is no file a b/digits.rs", refresh]);
    assert!(!out.exists());

    done(tflc(&folder, &arguments[..5]));
    let code = fs::read_to_string(&out).unwrap();
    assert_eq!(done(check()), "a b/digits.rs is up to date\n");

    let stale = code.replacen("pub struct Model", "pub struct Muddle", 1);
    fs::write(&out, &stale).unwrap();
    fails(
        check(),
        1,
        &[
            "is stale: line ",
            "has        pub struct Muddle",
            "should be  pub struct Model",
            refresh,
        ],
    );
    assert_eq!(fs::read_to_string(&out).unwrap(), stale);

    fs::write(&out, &code[..code.len() - 40]).unwrap();
    fails(check(), 1, &["is stale", refresh]);
    fs::write(&out, code.replace('\n', "\r\n")).unwrap();
    fails(check(), 1, &["only its line ends differ", refresh]);
    fs::write(&out, [code.as_bytes(), b"\xff"].concat()).unwrap();
    fails(check(), 1, &["is stale", refresh]);

    fails(
        tflc(&folder, line("digits_conv.tflite --target host -o - --check")),
        2,
        &["-o - has none"],
    );
}

/// With `UPDATE_GOLDEN=1`, writes the file instead of checking it.
#[test]
fn the_example_is_current() {
    let mut arguments =
        "tests/models/digits_conv.tflite --target host -o examples/digits/digits_conv.rs"
            .to_string();
    if std::env::var_os("UPDATE_GOLDEN").is_none() {
        arguments += " --check";
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
    done(command.current_dir(ROOT).args(line(&arguments)).output().unwrap());
}

#[test]
fn models_that_are_none() {
    let folder = Folder::new("models");
    folder.write("empty.tflite", "");
    folder.write("text.tflite", "this is not a model");
    let bytes = fs::read(model("digits_conv")).unwrap();
    folder.write("short.tflite", &bytes[..bytes.len() / 2]);
    fs::create_dir(folder.path("folder.tflite")).unwrap();
    for (name, says) in [
        ("missing.tflite", "there is no file missing.tflite"),
        ("folder.tflite", "folder.tflite is a folder, not a file"),
        ("empty.tflite", "empty.tflite is empty"),
        ("text.tflite", "text.tflite can't be compiled"),
        ("short.tflite", "short.tflite can't be compiled"),
        ("text.tflite/x", "text.tflite/x can't be read"),
        ("", "a value is required for '<MODEL>'"),
    ] {
        let compile = [name, "--target", "host", "-o", "out.rs"];
        fails(tflc(&folder, compile), 2, &["error: ", says]);
        fails(tflc(&folder, ["verify", name]), 2, &["error: ", says]);
        fails(tflc(&folder, ["run", name, "--input", "text.tflite"]), 2, &["error: ", says]);
    }
    assert!(!folder.path("out.rs").exists());
}

#[cfg(unix)]
#[test]
fn a_model_that_may_not_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("permission");
    let model = folder.model("digits_conv");
    fs::set_permissions(&model, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::read(&model).is_ok() {
        return extent::left_out("a model that may not be read, as this user may read everything");
    }
    let output = tflc(&folder, line("digits_conv.tflite --target host -o out.rs"));
    fails(output, 2, &["digits_conv.tflite can't be read: ", "ermission denied"]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let folder = Folder::new("all");
    let stderr = fails(
        tflc(&folder, line("missing.tflite --target cortex-m4f -o out.txt")),
        2,
        &[
            "no target 'cortex-m4f'; did you mean cortex-m4?",
            "no file missing.tflite",
            "must end in .rs",
        ],
    );
    assert_eq!(stderr.matches("error: ").count(), 3, "{stderr}");
    // The command line itself: both are missing.
    fails(tflc(&folder, ["x.tflite"]), 2, &["--target", "--output"]);
}

#[test]
fn every_unsupported_operator_is_named() {
    let folder = Folder::new("unsupported");
    // A name may hold what a terminal obeys, and must not reach one.
    let tensor = |name: &str| TensorSpec {
        name: name.into(),
        shape: vec![1, 4],
        dtype: tensor_type::INT8,
        scales: vec![0.5],
        zero_points: vec![0],
        ..TensorSpec::default()
    };
    let operator = |name: &str, input, output| OperatorSpec {
        custom_code: Some(name.into()),
        ..OperatorSpec::new(builtin::CUSTOM, [input], [output], Options::None)
    };
    let model = ModelSpec {
        tensors: vec![tensor("x"), tensor("clear\x1b[2Jscreen"), tensor("y")],
        operators: vec![operator("Mine", 0, 1), operator("Yours", 1, 2)],
        inputs: vec![0],
        outputs: vec![2],
        ..ModelSpec::default()
    };
    folder.write("m.tflite", model.build());
    let says = ["error: m.tflite can't be compiled:\n  operator 0 Mine ", "\n  operator 1 Yours "];
    let stderr = fails(tflc(&folder, line("m.tflite --target host -o out.rs")), 2, &says);
    assert!(!stderr.contains('\x1b'), "{stderr}");
    assert!(stderr.lines().skip(1).all(|line| line.starts_with("  ")), "{stderr}");
    assert_eq!(folder.files(), ["m.tflite"]);
}

#[test]
fn places_that_cannot_be_written() {
    let folder = Folder::new("places");
    folder.model("digits_conv");
    fs::create_dir(folder.path("folder.rs")).unwrap();
    folder.write("file", "");
    let readonly = folder.write("readonly.rs", "old");
    let mut permissions = fs::metadata(&readonly).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&readonly, permissions).unwrap();
    for (out, says) in [
        ("out", "must end in .rs"),
        ("out.txt", "must end in .rs"),
        ("out.RS", "must end in .rs"),
        ("", "a value is required for '--output <OUT.rs|OUT.c>'"),
        (".rs", "must end in .rs"),
        ("missing/out.rs", "there is no folder missing to write missing/out.rs to"),
        ("file/out.rs", "file"),
        ("folder.rs", "folder.rs is a folder, not a file"),
        ("readonly.rs", "readonly.rs is read-only"),
    ] {
        let output = tflc(&folder, ["digits_conv.tflite", "--target", "host", "-o", out]);
        fails(output, 2, &["error: ", says]);
    }
    assert_eq!(fs::read_to_string(readonly).unwrap(), "old");
    assert_eq!(folder.files(), ["digits_conv.tflite", "file", "folder.rs", "readonly.rs"]);
}

#[cfg(unix)]
#[test]
fn the_model_is_never_overwritten() {
    use std::os::unix::fs::symlink;
    let folder = Folder::new("overwrite");
    let bytes = fs::read(model("digits_conv")).unwrap();
    let model = folder.write("model.rs", &bytes);
    symlink(&model, folder.path("symbolic.rs")).unwrap();
    fs::hard_link(&model, folder.path("hard.rs")).unwrap();
    for out in ["model.rs", "./model.rs", "symbolic.rs", "hard.rs"] {
        let output = tflc(&folder, ["model.rs", "--target", "host", "-o", out]);
        fails(output, 2, &["is model.rs itself, which is read"]);
        let output = tflc(&folder, ["run", "model.rs", "--input", "model.rs", "-o", out]);
        fails(output, 2, &["is model.rs itself, which is read"]);
    }
    assert_eq!(fs::read(model).unwrap(), bytes);
}

#[cfg(unix)]
#[test]
fn links_and_permissions_are_kept() {
    use std::os::unix::fs::{symlink, PermissionsExt};
    let folder = Folder::new("links");
    folder.model("digits_conv");
    let file = folder.write("file.rs", "old");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file.rs", folder.path("link.rs")).unwrap();
    done(tflc(&folder, line("digits_conv.tflite --target host -o link.rs")));
    assert!(fs::symlink_metadata(folder.path("link.rs")).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().contains("pub struct Model"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_file() {
    let folder = Folder::new("full");
    folder.model("digits_conv");
    folder.write("out.rs", "old");
    // A limit on the size of files stands in for a full disk.
    let script =
        "trap '' XFSZ; ulimit -f 4; exec \"$0\" digits_conv.tflite --target host -o out.rs";
    let mut command = Command::new("sh");
    command.current_dir(&folder.0).args(["-c", script, env!("CARGO_BIN_EXE_tflc")]);
    fails(command.output().unwrap(), 2, &["out.rs can't be written: "]);
    assert_eq!(fs::read_to_string(folder.path("out.rs")).unwrap(), "old");
    assert_eq!(folder.files(), ["digits_conv.tflite", "out.rs"]);

    let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
    command.current_dir(&folder.0).args(line("digits_conv.tflite --target host -o -"));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    fails(command.stdout(full).output().unwrap(), 2, &["the output can't be written: "]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::new("pipe");
    folder.model("digits_residual");
    for arguments in [
        "digits_residual.tflite --target host -o -",
        "digits_residual.tflite --target host --emit kernels",
        "targets",
        "--help",
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
        command
            .current_dir(&folder.0)
            .args(line(arguments))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let (_, stderr) = texts(&output);
        assert_eq!((output.status.code(), &*stderr), (Some(0), ""), "{arguments}");
    }
}

#[cfg(unix)]
#[test]
fn names_of_every_kind() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new("names");
    let bytes = fs::read(model("digits_conv")).unwrap();
    let names: [&[u8]; 5] = [
        b"a model.tflite",
        b"no utf8 \xff.tflite",
        b"line\nbreak.tflite",
        b"-dash.tflite",
        "日本.tflite".as_bytes(),
    ];
    for name in names {
        let name = OsStr::from_bytes(name);
        if fs::write(folder.path(name), &bytes).is_err() {
            extent::left_out(&format!("{name:?}, which is no name for a file here"));
            continue;
        }
        let arguments = ["--target", "host", "-o", "out.rs", "--"].map(OsStr::new);
        done(tflc(&folder, arguments.into_iter().chain([name])));
        let code = fs::read_to_string(folder.path("out.rs")).unwrap();
        assert!(name != "-dash.tflite" || code.contains("tflc ./-dash.tflite --target"), "{code}");
        // Nothing of a name gets out of the comment that it stands in.
        let head = code.lines().take_while(|line| line.starts_with("//"));
        assert!(head.count() > 5, "{code}");
        let arguments = ["--target", "host", "-o", "out.rs", "--check", "--"].map(OsStr::new);
        done(tflc(&folder, arguments.into_iter().chain([name])));
    }
}

#[test]
fn budgets_are_kept() {
    let folder = Folder::new("budgets");
    folder.model("digits_residual");
    let compile = |budgets: &str| {
        tflc(
            &folder,
            line(&format!("digits_residual.tflite --target cortex-m4 -o out.rs {budgets}")),
        )
    };
    let stderr = fails(
        compile("--ram 300 --flash 2048"),
        2,
        &["more than --ram 300 allows", "more than --flash 2K allows", "operator 5 CONV_2D"],
    );
    assert_eq!(stderr.matches("error: ").count(), 2, "{stderr}");
    assert_eq!(folder.files(), ["digits_residual.tflite"]);
    done(compile("--ram 64K --flash 1M"));
    for size in ["", "K", "1.5K", "-1", "1G", "99999999999999999999"] {
        let size = format!("--ram={size}");
        fails(compile(&size), 2, &["write bytes, or 64K, or 1M"]);
    }

    let [ram, constants] = [" bytes of RAM", " bytes of constants"].map(|unit| {
        move |told: String| -> usize {
            let before = told.split(unit).next().unwrap();
            before.rsplit(' ').next().unwrap().replace(',', "").parse().unwrap()
        }
    });
    // Less of either takes other kernels.
    let (fastest, most) = (ram(done(compile(""))), constants(done(compile(""))));
    let smallest = constants(done(compile("-O size")));
    assert!(smallest < most);
    assert!(ram(done(compile(&format!("--ram {}", fastest - 1)))) < fastest);
    assert!(constants(done(compile(&format!("--flash {most}")))) < most);
    // The bytes missing are exact: with them it fits.
    let stderr = fails(compile("--ram 300"), 2, &["more than --ram 300"]);
    let least = ram(stderr);
    assert_eq!(ram(done(compile(&format!("--ram {least}")))), least);
}

#[test]
fn a_target_of_ones_own() {
    let folder = Folder::new("target");
    folder.model("digits_conv");
    let text = fs::read_to_string(Path::new(ROOT).join("targets/cortex-m4.toml")).unwrap();
    let text = text.replacen("name = \"cortex-m4\"", "name = \"my-core\"", 1);
    folder.write("core.toml", text.replacen("ram = \"256K\"", "ram = \"300\"", 1));
    let output = tflc(&folder, line("digits_conv.tflite --target ./core.toml -o out.rs"));
    // A usual device's memory is no budget: the user hears of it.
    let (_, stderr) = texts(&output);
    assert!(
        stderr.contains("note: ") && stderr.contains("my-core devices usually have 300"),
        "{stderr}"
    );
    done(output);
    let code = fs::read_to_string(folder.path("out.rs")).unwrap();
    assert!(code.contains("--target core.toml -o out.rs") && code.contains("my-core"), "{code}");

    folder.write("wrong.toml", text.replacen("alignment = 4", "alignment = 5", 1));
    folder.write("typo.toml", text.replacen("alignment", "alinement", 1));
    folder.write("bytes.toml", b"\xff\xfe");
    for (name, says) in [
        ("wrong.toml", "wrong.toml: alignment = 5"),
        ("typo.toml", "alinement"),
        ("bytes.toml", "isn't text"),
        ("missing.toml", "there is no file missing.toml"),
    ] {
        let output = tflc(&folder, ["digits_conv.tflite", "-o", "out.rs", "--target", name]);
        fails(output, 2, &["error: ", says]);
    }
}

#[test]
fn targets_are_listed() {
    let folder = Folder::new("targets");
    let list = done(tflc(&folder, ["targets"]));
    for entry in fs::read_dir(Path::new(ROOT).join("targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(list.lines().any(|line| line.split(' ').next() == Some(&name)), "{name}\n{list}");
        done(tflc(
            &Folder::new(&format!("target-{name}")),
            [
                model("digits_separable").as_os_str(),
                "--target".as_ref(),
                name.as_ref(),
                "-o".as_ref(),
                "out.rs".as_ref(),
            ],
        ));
    }
}

#[test]
fn every_stage_can_be_seen() {
    let folder = Folder::new("emit");
    folder.model("digits_residual");
    let emit =
        |stage: &str| tflc(&folder, ["digits_residual.tflite", "-t", "cortex-m4", "--emit", stage]);
    assert!(done(emit("graph")).contains("QUANTIZE"));
    for pass in tflc::passes::pipeline(false) {
        assert!(done(emit(&format!("graph:{}", pass.name))).contains("CONV_2D"));
    }
    let kernels = done(emit("kernels"));
    assert!(
        kernels.contains("fn ") && kernels.contains("for ") && kernels.contains("const "),
        "{kernels}"
    );
    let memory = done(emit("memory"));
    assert!(memory.contains("offset") && memory.contains("bytes of RAM in all"), "{memory}");
    assert!(memory.contains("input..") && memory.contains("..output"), "{memory}");
    fails(emit("graph:nothing"), 2, &["the passes are prune, "]);
    fails(emit("everything"), 2, &["the stages are graph, graph:PASS, kernels and memory"]);
    fails(
        tflc(&folder, line("x.tflite -t host --emit graph --check -o x.rs")),
        2,
        &["cannot be used with"],
    );
    assert_eq!(folder.files(), ["digits_residual.tflite"]);
}

#[test]
fn rounding_once_is_said_everywhere() {
    let folder = Folder::new("relax");
    let vector = Path::new(ROOT).join("tests/vectors/net_conv_relu_diff_q.tflite");
    folder.write("m.tflite", fs::read(&vector).unwrap());
    folder.model("digits_conv");
    let run = |arguments: &str| tflc(&folder, line(arguments));

    let differing = "213037 of 1036579 accumulators differ by up to 1";
    let exact = done(run("m.tflite -t host --emit graph:fold_requant"));
    assert!(exact.contains(&format!("2 stages: {differing} under one multiplier")), "{exact}");
    let relaxed = done(run("m.tflite -t host --relax-requant --emit graph:fold_requant"));
    assert!(relaxed.contains(&format!("requantize ×1, relaxed: {differing} over")), "{relaxed}");
    let only = "relax_requant runs with --relax-requant only";
    fails(run("m.tflite -t host --emit graph:relax_requant"), 2, &[only]);

    let written = run("m.tflite --target host --relax-requant -o m.rs");
    let (_, stderr) = texts(&written);
    done(written);
    assert!(stderr.contains(&format!("operators 0, 1: {differing} over")), "{stderr}");
    let text = fs::read_to_string(folder.path("m.rs")).unwrap();
    assert!(text.contains("--relax-requant -o m.rs") && text.contains(differing), "{text}");
    done(run("m.tflite --target host --relax-requant -o m.rs --check"));
    fails(run("m.tflite --target host -o m.rs --check"), 1, &["stale"]);
    done(run("m.tflite --target host --relax-requant -o m.c"));
    assert!(fs::read_to_string(folder.path("m.c")).unwrap().contains(differing));
    let built = tflc::build(folder.path("m.tflite")).target("host").folder(&folder.0);
    built.name("m").relax_requant().compile().unwrap();
    assert_eq!(fs::read_to_string(folder.path("m.rs")).unwrap(), text);

    let verified = done(run("verify m.tflite --relax-requant"));
    assert!(verified.starts_with("bit-exact: 32 cases\n"), "{verified}");
    assert!(
        verified.contains("804 of 2,400 output elements differ from the exact ones, by up to 2"),
        "{verified}"
    );
    let (_, stderr) = texts(&run("digits_conv.tflite -t host --relax-requant -o d.rs"));
    assert!(stderr.starts_with("exact: "), "{stderr}");
}

#[test]
fn placement_is_said_everywhere() {
    let folder = Folder::new("placement");
    folder.model("digits_conv");
    let run = |arguments: &str| tflc(&folder, line(arguments));
    let options = "--weights-section .ext_flash --arena-section .bss.ccm --arena shared";

    let otherwise = "--arena shared --arena-section .bss.ccm --weights-section .ext_flash";
    done(run(&format!("digits_conv.tflite -t host {otherwise} -o m.rs")));
    let text = fs::read_to_string(folder.path("m.rs")).unwrap();
    assert!(text.contains(&format!("--target host {options} -o m.rs\n")), "{text}");
    assert!(text.contains("`unsafe` to view the arena and to name sections"), "{text}");
    done(run(&format!("digits_conv.tflite -t host {options} -o m.rs --check")));
    fails(run("digits_conv.tflite -t host -o m.rs --check"), 1, &["stale"]);
    let build = || tflc::build(folder.path("digits_conv.tflite")).target("host").folder(&folder.0);
    let placed = build().name("m").weights_section(".ext_flash").arena_section(".bss.ccm");
    placed.shared_arena().check().compile().unwrap();

    done(run(&format!("digits_conv.tflite -t host {options} -o m.c")));
    let source = fs::read_to_string(folder.path("m.c")).unwrap();
    assert!(source.contains("TFLC_WEIGHTS static const int8_t weights"), "{source}");
    done(run("digits_conv.tflite -t cortex-m4 --arduino kws --arena-section .bss.ccm"));
    let sketch = fs::read_to_string(folder.path("kws/examples/kws/kws.ino")).unwrap();
    assert!(sketch.contains("\nKWS_ARENA_SECTION static kws_t model;"), "{sketch}");

    // What is left out changes nothing.
    done(run("digits_conv.tflite -t host --arena own -o own.rs"));
    done(run("digits_conv.tflite -t host -o plain.rs"));
    let [own, plain] = ["own.rs", "plain.rs"].map(|name| fs::read(folder.path(name)).unwrap());
    let plain = String::from_utf8(plain).unwrap().replace("plain.rs", "own.rs");
    assert_eq!(String::from_utf8(own).unwrap(), plain);

    let files = folder.files();
    for (wrong, says) in [
        ("--weights-section .w\"]", "a section's name consists of letters"),
        ("--arena-section .a,\"aw\",%nobits", "a section's name consists of letters"),
        ("--weights-section .bss.w", "weights can't lie in .bss.w: sections"),
        ("--weights-section .x --arena-section .x", "can't both lie in .x"),
        ("--arena mine", "[possible values: own, shared]"),
    ] {
        fails(run(&format!("digits_conv.tflite -t host -o w.rs {wrong}")), 2, &[says]);
    }
    assert_eq!(folder.files(), files);
    let wrong = build().weights_section("a b").compile().unwrap_err().to_string();
    assert!(wrong.contains(".weights_section(\"a b\"): a section's name"), "{wrong}");
}

#[test]
fn a_shared_arena_is_verified() {
    let folder = Folder::new("verify-shared");
    folder.model("digits_float_io");
    for lang in ["rust", "c"] {
        let command = format!("verify digits_float_io.tflite --arena shared --lang {lang}");
        assert_eq!(done(tflc(&folder, line(&command))), "bit-exact: 32 cases\n");
    }
}

/// The golden cases of a model: each one's first input and first output.
fn golden(name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let text = fs::read_to_string(model(name).with_extension("json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let bytes = |hex: &serde_json::Value| -> Vec<u8> {
        let hex = hex[0].as_str().unwrap();
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    };
    let cases = json["cases"].as_array().unwrap();
    cases.iter().map(|case| (bytes(&case["inputs"]), bytes(&case["outputs"]))).collect()
}

#[test]
fn the_interpreter_runs() {
    let folder = Folder::new("run");
    for name in ["digits_conv", "digits_uint8_io", "digits_float_io"] {
        folder.model(name);
        for (input, expected) in golden(name) {
            folder.write("x.bin", input);
            let model = format!("{name}.tflite");
            assert_eq!(done(tflc(&folder, ["run", &model, "--input", "x.bin", "-o", "y.bin"])), "");
            assert_eq!(fs::read(folder.path("y.bin")).unwrap(), expected);
            let printed = tflc(&folder, ["run", &model, "-i", "x.bin", "-o", "-"]);
            assert_eq!(printed.stdout, expected);
        }
    }
    let numbers = done(tflc(&folder, line("run digits_float_io.tflite -i x.bin")));
    assert!(numbers.starts_with("output 0 ") && numbers.lines().count() == 2, "{numbers}");
}

#[test]
fn the_interpreter_says_what_it_expects() {
    let folder = Folder::new("expects");
    folder.model("digits_conv");
    folder.write("x.bin", [0; 64]);
    folder.write("short.bin", [0; 63]);
    let run = |arguments: &str| tflc(&folder, line(&format!("run digits_conv.tflite {arguments}")));
    let wanted = ["1 input, but --input is given 0 times", "i8[1x8x8x1]", ": 64 bytes"];
    fails(run(""), 2, &wanted);
    fails(run("-i x.bin -i x.bin"), 2, &["1 input, but --input is given 2 times"]);
    fails(run("-i short.bin"), 2, &["short.bin has 63 bytes", "takes 64"]);
    fails(run("-i missing.bin"), 2, &["there is no file missing.bin"]);
    fails(run("-i x.bin -o a.bin -o b.bin"), 2, &["1 output, but -o is given 2 times"]);
    fails(run("-i x.bin -o x.bin"), 2, &["x.bin is x.bin itself, which is read"]);
    fails(run("-i x.bin -o missing/y.bin"), 2, &["there is no folder missing"]);
    assert_eq!(folder.files(), ["digits_conv.tflite", "short.bin", "x.bin"]);
}

#[test]
fn verify_says_bit_exact() {
    let folder = Folder::new("verify");
    folder.model("digits_conv");
    let output = tflc(&folder, line("verify digits_conv.tflite --target cortex-m4 --cases 6"));
    let evaluated = "the layers in assembly were executed instruction by instruction, not built\n";
    assert_eq!(done(output), format!("bit-exact: 6 cases\n{evaluated}"));
    let golden = model("digits_conv").with_extension("json");
    folder.write("golden.json", fs::read(golden).unwrap());
    let output = tflc(&folder, line("verify digits_conv.tflite --golden golden.json"));
    assert_eq!(done(output), "bit-exact: 13 cases of golden.json\n");
    assert_eq!(folder.files(), ["digits_conv.tflite", "golden.json"]);
    // A few rows at a time.
    for (target, more) in [("cortex-m4", evaluated), ("rv32imc", "")] {
        let arguments = format!("verify digits_conv.tflite -t {target} --ram 1000 --cases 4");
        assert_eq!(done(tflc(&folder, line(&arguments))), format!("bit-exact: 4 cases\n{more}"));
    }
    fails(
        tflc(&folder, line("verify digits_conv.tflite --ram 100")),
        2,
        &["more than --ram 100 allows"],
    );
    fails(tflc(&folder, line("verify digits_conv.tflite --cases 0")), 2, &["--cases"]);

    let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
    command.current_dir(&folder.0).args(["verify", "digits_conv.tflite"]);
    fails(command.env("RUSTC", "./no-such-rustc").output().unwrap(), 2, &["no-such-rustc"]);
}

#[test]
fn verify_says_where_golden_outputs_differ_and_why() {
    let folder = Folder::new("golden");
    for (name, cases, says) in [
        ("digits_conv", "digits_conv.xnnpack.json", "those of XNNPACK"),
        (
            "digits_autoencoder",
            "digits_autoencoder.optimized.json",
            "TensorFlow Lite's optimized kernels",
        ),
    ] {
        folder.model(name);
        let cases = Path::new(ROOT).join("tests/cli").join(cases);
        let model = format!("{name}.tflite");
        let output = tflc(
            &folder,
            ["verify".as_ref(), model.as_ref(), "--golden".as_ref(), cases.as_os_str()],
        );
        let stderr = fails(output, 1, &["not bit-exact: 1 of ", "element ", "BUILTIN_REF", says]);
        assert!(!stderr.contains("another model file"), "{stderr}");
    }

    let (input, mut expected) = golden("digits_conv").remove(0);
    expected[3] ^= 0x40;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let case = |input: &str, output: &str| {
        format!(
            r#"{{"sha256": "00", "cases": [{{"inputs": ["{input}"], "outputs": ["{output}"]}}]}}"#
        )
    };
    let verify = |text: &str| {
        folder.write("cases.json", text);
        tflc(&folder, line("verify digits_conv.tflite --golden cases.json"))
    };
    let output = verify(&case(&hex(&input), &hex(&expected)));
    let says = [
        "1 of 1 cases differ; case 0, output 0",
        "element 3: it should be",
        "no arithmetic known here",
    ];
    fails(output, 1, &[&says[..], &["note: cases.json was made with another model file"]].concat());

    for (text, says) in [
        ("", "cases.json is empty"),
        ("{", "cases.json: "),
        ("[]", "no list \"cases\""),
        (r#"{"cases": []}"#, "is empty"),
        (r#"{"cases": [{}]}"#, "case 0 has 0 inputs, the model has 1"),
        (&case("00", &hex(&expected)), "case 0, inputs 0: 1 bytes, but i8[1x8x8x1] has 64"),
        (&case(&hex(&input), "0g"), "case 0, outputs 0: isn't a string of hexadecimal digits"),
        (&case(&hex(&input), "000"), "isn't a string of hexadecimal digits"),
    ] {
        fails(verify(text), 2, &["error: ", says]);
    }
}

#[test]
fn c_is_written_with_its_header() {
    let folder = Folder::new("c");
    folder.model("digits_conv");
    let compile =
        |arguments: &str| tflc(&folder, line(&format!("digits_conv.tflite -t host {arguments}")));
    let told = done(compile("-o my-model.c"));
    assert!(told.starts_with("my-model.c and my-model.h: 6 layers, "), "{told}");
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    let source = read("my-model.c");
    assert!(
        source.contains("#include \"my-model.h\"")
            && source.contains("void my_model_run(my_model_t *m)")
    );
    assert!(source.contains("tflc digits_conv.tflite --target host -o my-model.c\n"));
    assert!(read("my-model.h").contains("#define MY_MODEL_INPUT_LEN 64\n"));
    assert!(done(compile("-o my-model.c")).ends_with(" (unchanged)\n"));

    assert_eq!(
        done(compile("-o my-model.c --check")),
        "my-model.c is up to date\nmy-model.h is up to date\n"
    );
    fs::remove_file(folder.path("my-model.h")).unwrap();
    let refresh = "run\n  tflc digits_conv.tflite --target host -o my-model.c\n";
    let says =
        fails(compile("-o my-model.c --check"), 1, &["there is no file my-model.h", refresh]);
    assert!(!says.contains("my-model.c is stale"), "{says}");
    fs::write(folder.path("my-model.h"), "old\n").unwrap();
    fs::write(folder.path("my-model.c"), "old\n").unwrap();
    fails(
        compile("-o my-model.c --check"),
        1,
        &["my-model.c is stale", "my-model.h is stale", refresh],
    );

    done(compile("-o my-model.c --name kws"));
    assert!(read("my-model.c").contains("--name kws -o my-model.c\n"));
    assert!(read("my-model.h").contains("int8_t *kws_input(kws_t *m);"));
    done(compile("-o my-model.c --name kws --check"));
    fails(compile("-o my-model.c --check"), 1, &["is stale"]);

    for (arguments, says) in [
        ("-o x.h", "say -o x.c"),
        ("-o x.cpp", "must end in .c"),
        ("-o x.c --name a-b", "a_b"),
        ("-o x.rs --name a", "--name"),
        ("-o - --name a", "--name"),
    ] {
        fails(compile(arguments), 2, &[says]);
    }
    assert_eq!(folder.files(), ["digits_conv.tflite", "my-model.c", "my-model.h"]);
}

#[test]
fn the_header_takes_no_other_files_place() {
    let folder = Folder::new("header");
    let model = folder.model("digits_conv");
    fs::rename(model, folder.path("digits.h")).unwrap();
    fails(tflc(&folder, line("digits.h -t host -o digits.c")), 2, &["digits.h is digits.h itself"]);
    assert_eq!(folder.files(), ["digits.h"]);
}

#[test]
fn an_arduino_library_is_written() {
    let folder = Folder::new("arduino");
    folder.model("digits_conv");
    let compile = |arguments: &str| {
        tflc(&folder, line(&format!("digits_conv.tflite -t cortex-m4 {arguments}")))
    };
    let read = |name: &str| fs::read_to_string(folder.path(name)).unwrap();
    let told = done(compile("--arduino my-digits"));
    assert!(told.starts_with("my-digits: 6 layers, "), "{told}");
    let properties = read("my-digits/library.properties");
    assert!(properties.contains("\nname=my_digits\n"), "{properties}");
    assert!(properties.contains("\nincludes=my_digits.h\n"), "{properties}");
    assert!(read("my-digits/src/my_digits.c").contains("#include \"my_digits.h\""));
    assert!(read("my-digits/src/my_digits.h").contains("void my_digits_run(my_digits_t *m);"));
    let sketch = read("my-digits/examples/my_digits/my_digits.ino");
    assert!(sketch.contains("#include <my_digits.h>") && sketch.contains("my_digits_run(&model);"));
    let again = "tflc digits_conv.tflite --target cortex-m4 --arduino my-digits\n";
    assert!(sketch.contains(again) && properties.contains(again));
    assert!(done(compile("--arduino my-digits")).ends_with(" (unchanged)\n"));

    done(compile("--arduino my-digits --check"));
    fs::remove_file(folder.path("my-digits/examples/my_digits/my_digits.ino")).unwrap();
    fs::write(folder.path("my-digits/src/my_digits.h"), "old\n").unwrap();
    let says = ["my_digits.ino", "my_digits.h is stale", "--arduino my-digits\n"];
    fails(compile("--arduino my-digits --check"), 1, &says);
    fails(compile("--arduino other --check"), 1, &["there is no file other/library.properties"]);

    done(compile("--name kws --arduino ."));
    assert!(read("library.properties").contains("--name kws --arduino .\n"));
    done(compile("--name kws --arduino . --check"));

    folder.write("file", "");
    for (arguments, says) in [
        ("--arduino .", "--name"),
        ("--arduino string", "would hide the header string.h"),
        ("--arduino x --name math", "would hide the header math.h"),
        ("--arduino x --name a-b", "a_b"),
        ("--arduino file", "file isn't a folder"),
        ("--arduino no/such", "no folder to make no/such in"),
        ("--arduino x -o x.c", "cannot be used with"),
        ("--arduino x --ram 10", "bytes of RAM"),
    ] {
        fails(compile(arguments), 2, &[says]);
    }
    // What came to nothing leaves no folder behind.
    assert_eq!(
        folder.files(),
        ["digits_conv.tflite", "examples", "file", "library.properties", "my-digits", "src"]
    );
}

#[test]
fn verify_runs_c() {
    let folder = Folder::new("verify_c");
    folder.model("digits_float_io");
    let verify = line("verify digits_float_io.tflite --lang c --cases 6");
    assert_eq!(done(tflc(&folder, verify)), "bit-exact: 6 cases\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tflc"));
    command.current_dir(&folder.0).args(["verify", "digits_float_io.tflite", "--lang", "c"]);
    fails(command.env("CC", "./no-such-cc").output().unwrap(), 2, &["no-such-cc"]);
}
