//! A small file system of its own, which can be full. Only root may mount one.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A tmpfs that is there for as long as this lives.
#[derive(Debug)]
pub struct Tmpfs {
    dir: TempDir,
}

impl Tmpfs {
    /// Mounts one of so many MiB.
    pub fn mount(mib: usize) -> io::Result<Self> {
        let dir = TempDir::with_prefix("weir-tmpfs-")?;
        mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "weir"], dir.path())?;
        Ok(Self { dir })
    }

    /// Makes it larger, with what is in it.
    pub fn resize(&self, mib: usize) -> io::Result<()> {
        mount(&["-o", &format!("remount,size={mib}m")], self.dir.path())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Whatever still holds a file in it keeps it until it ends.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.dir.path()));
    }
}

fn mount(arguments: &[&str], dir: &Path) -> io::Result<()> {
    run(Command::new("mount").args(arguments).arg(dir))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
