//! Files: read with errors that name the file, written whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// More than any microcontroller's model has, and an end to files that have none.
const LIMIT: u64 = 256 << 20;

/// The contents of a file that must not be empty.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => format!("there is no file {name}"),
        _ => format!("{name} can't be read: {error}"),
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(format!("{name} is a folder, not a file"));
    }
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 {
        0 => Err(format!("{name} is empty")),
        LIMIT.. => Err(format!("{name} is larger than 256 MiB")),
        _ => Ok(bytes),
    }
}

/// A place that a file can be written to, checked before any work is done.
#[derive(Debug)]
pub struct Output {
    /// As the user named it.
    pub path: PathBuf,
    /// The file itself, where `path` is a symbolic link.
    file: PathBuf,
}

impl Output {
    /// Checks that `path` can be written and is none of the files that are read.
    pub fn new(path: &Path, sources: &[&Path]) -> Result<Output, String> {
        let name = path.display();
        let Some(file_name) = path.file_name() else {
            return Err(format!("'{name}' is no name for a file"));
        };
        let existing = match fs::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(format!("{name} can't be written: {error}")),
        };
        if let Some(metadata) = &existing {
            if metadata.is_dir() {
                return Err(format!("{name} is a folder, not a file"));
            }
            if !metadata.is_file() {
                return Err(format!("{name} is no ordinary file"));
            }
            if metadata.permissions().readonly() {
                return Err(format!("{name} is read-only"));
            }
            let same = |source: &&&Path| is_same(path, metadata, source);
            if let Some(source) = sources.iter().find(same) {
                return Err(format!("{name} is {} itself, which is read", source.display()));
            }
        }
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let folder = match fs::canonicalize(folder) {
            Ok(found) if found.is_dir() => found,
            Ok(_) => return Err(format!("{} isn't a folder", folder.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(format!("there is no folder {} to write {name} to", folder.display()));
            }
            Err(error) => return Err(format!("{} can't be used: {error}", folder.display())),
        };
        let file = fs::canonicalize(path).unwrap_or_else(|_| folder.join(file_name));
        Ok(Output { path: path.to_path_buf(), file })
    }

    /// What is to take the file's place, beside it.
    fn stage(&self, bytes: &[u8]) -> std::io::Result<Temporary> {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.file.file_name().expect("checked"));
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = Temporary(self.file.with_file_name(name));
        let mut file = File::create(&temporary.0)?;
        file.write_all(bytes)?;
        if let Ok(metadata) = fs::metadata(&self.file) {
            file.set_permissions(metadata.permissions())?;
        }
        // On the disk before it takes the old one's place.
        file.sync_all()?;
        Ok(temporary)
    }
}

/// Folders made for files to come. Those that are still empty when this is dropped are gone again.
#[derive(Debug)]
pub struct Folders(Vec<PathBuf>);

impl Folders {
    /// Makes those that are missing, the outermost first.
    pub fn make(paths: &[&Path]) -> Result<Folders, String> {
        let mut made = Folders(Vec::new());
        for path in paths {
            let name = path.display();
            match fs::create_dir(path) {
                Ok(()) => made.0.push(path.to_path_buf()),
                Err(_) if path.is_dir() => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    return Err(format!("{name} isn't a folder"));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(format!("there is no folder to make {name} in"));
                }
                Err(error) => return Err(format!("the folder {name} can't be made: {error}")),
            }
        }
        Ok(made)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // It fails, as it should, where there are files by now.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Writes files whole, all or none as far as the system lets us, and says whether that changed
/// anything. What is there already stays untouched, so that nothing is built again for it.
pub fn write(files: &[(&Output, &[u8])]) -> Result<bool, String> {
    let failed =
        |output: &Output, error| format!("{} can't be written: {error}", output.path.display());
    let mut staged = Vec::new();
    for (output, bytes) in files {
        if !fs::read(&output.file).is_ok_and(|existing| existing == *bytes) {
            staged.push((output, output.stage(bytes).map_err(|error| failed(output, error))?));
        }
    }
    for (output, temporary) in &staged {
        fs::rename(&temporary.0, &output.file).map_err(|error| failed(output, error))?;
    }
    Ok(!staged.is_empty())
}

/// A file that is gone when this is; after the rename there is none.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Whether both are one file, by whatever names.
fn is_same(path: &Path, metadata: &Metadata, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if fs::metadata(other).is_ok_and(|o| (o.dev(), o.ino()) == (metadata.dev(), metadata.ino()))
        {
            return true;
        }
    }
    let _ = metadata;
    matches!((fs::canonicalize(path), fs::canonicalize(other)), (Ok(a), Ok(b)) if a == b)
}
