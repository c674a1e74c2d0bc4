//! A disk on which only what was synced is sure to survive when the power goes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use rand::Rng;
use rand::rngs::SmallRng;
use tempfile::TempDir;
use topline::lake::{Disk, LocalDisk};

use super::store::Process;

/// The folder of the warehouse.
const WAREHOUSE: &str = "warehouse";

/// The folder in which files are found whose names are gone.
const SHADOWS: &str = "shadows";

#[derive(Debug, Clone, Copy)]
enum Node {
    Folder,
    File(usize),
}

/// The names in a folder.
#[derive(Debug, Default)]
struct Names {
    lasting: BTreeMap<OsString, Node>,
    /// What was done since the folder was last synced; nothing is a name taken away.
    pending: Vec<(OsString, Option<Node>)>,
}

#[derive(Debug, Default)]
struct State {
    folders: BTreeMap<PathBuf, Names>,
    /// Whether what was written to each file was synced.
    is_synced: Vec<bool>,
    steps: u32,
}

/// A disk. Files lie in a folder of this machine, where they are read.
#[derive(Debug)]
pub struct Platter {
    ground: TempDir,
    state: Mutex<State>,
}

impl Platter {
    fn new() -> Self {
        let ground = tempfile::tempdir().expect("a folder");
        fs::create_dir(ground.path().join(SHADOWS)).expect("a folder");
        let state =
            State { folders: BTreeMap::from([(ground.path().to_owned(), Names::default())]), ..State::default() };
        Self { ground, state: Mutex::new(state) }
    }

    /// Returns a disk with a warehouse on it.
    pub async fn holding(store: &InMemory) -> Self {
        let platter = Self::new();
        let files: Vec<_> = store.list(None).try_collect().await.expect("it can be listed");
        for file in files {
            let bytes = store.get(&file.location).await.expect("it is there").bytes().await.expect("bytes");
            let path = platter.root().join(file.location.as_ref());
            platter.lay(path.parent().expect("a folder"));
            fs::write(&path, bytes).expect("a file");
            platter.enter(&path, Last::Yes, Last::Yes).expect("a file");
        }
        platter
    }

    /// Returns the folder of the warehouse.
    pub fn root(&self) -> PathBuf {
        self.ground.path().join(WAREHOUSE)
    }

    /// Returns how many steps were taken on it.
    pub fn steps(&self) -> u32 {
        self.state().steps
    }

    /// Returns what is left when the power goes: what was synced, and of the rest whatever chance has it.
    pub fn without_power(&self, dice: &mut SmallRng) -> Self {
        let left = Self::new();
        self.leave(self.ground.path(), &left, left.ground.path(), dice);
        left
    }

    fn leave(&self, from: &Path, left: &Self, to: &Path, dice: &mut SmallRng) {
        let (mut names, mut unsynced) = (BTreeMap::new(), Vec::new());
        {
            let state = self.state();
            if let Some(folder) = state.folders.get(from) {
                names.clone_from(&folder.lasting);
                for (name, node) in folder.pending.iter().filter(|_| dice.random_bool(0.5)) {
                    match node {
                        Some(node) => names.insert(name.clone(), *node),
                        None => names.remove(name),
                    };
                }
            }
            unsynced.extend_from_slice(&state.is_synced);
        }
        for (name, node) in names {
            let path = to.join(&name);
            match node {
                Node::Folder => {
                    left.lay(&path);
                    self.leave(&from.join(&name), left, &path, dice);
                }
                Node::File(file) => {
                    let mut bytes = fs::read(self.shadow(file)).expect("a shadow");
                    if !unsynced[file] {
                        match dice.random_range(0..4) {
                            0 => bytes.clear(),
                            1 => bytes.truncate(bytes.len() / 2),
                            2 => bytes.fill(0),
                            _ => {}
                        }
                    }
                    fs::write(&path, bytes).expect("a file");
                    left.enter(&path, Last::Yes, Last::Yes).expect("a file");
                }
            }
        }
    }

    /// Makes a folder, and all that lead to it, that last.
    fn lay(&self, folder: &Path) {
        if folder == self.ground.path() || self.state().folders.contains_key(folder) {
            return;
        }
        let parent = folder.parent().expect("a folder on the disk");
        self.lay(parent);
        fs::create_dir(folder).expect("a folder");
        let mut state = self.state();
        let names = state.folders.get_mut(parent).expect("it was laid");
        names.lasting.insert(folder.file_name().expect("a name").to_owned(), Node::Folder);
        state.folders.insert(folder.to_owned(), Names::default());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shadow(&self, file: usize) -> PathBuf {
        self.ground.path().join(SHADOWS).join(file.to_string())
    }

    /// Takes down a file that was made.
    fn enter(&self, path: &Path, bytes: Last, name: Last) -> io::Result<()> {
        let mut state = self.state();
        let file = state.is_synced.len();
        fs::hard_link(path, self.shadow(file))?;
        state.is_synced.push(bytes == Last::Yes);
        let (folder, own) = split(path);
        let names = state.folders.get_mut(folder).expect("a folder on the disk");
        match name {
            Last::Yes => drop(names.lasting.insert(own, Node::File(file))),
            Last::No => names.pending.push((own, Some(Node::File(file)))),
        }
        Ok(())
    }

    fn node(&self, path: &Path) -> Node {
        let (folder, name) = split(path);
        let state = self.state();
        let names = state.folders.get(folder).expect("a folder on the disk");
        let pending = names.pending.iter().rev().find(|(known, _)| *known == name).map(|(_, node)| *node);
        pending.unwrap_or_else(|| names.lasting.get(&name).copied()).expect("a name on the disk")
    }

    fn rename(&self, path: &Path, node: Option<Node>) {
        let (folder, name) = split(path);
        self.state().folders.get_mut(folder).expect("a folder on the disk").pending.push((name, node));
    }
}

/// Whether something survives for sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

fn split(path: &Path) -> (&Path, OsString) {
    (path.parent().expect("a file in a folder"), path.file_name().expect("a name").to_owned())
}

/// The disk as one process has it: it ends before one of its steps.
#[derive(Debug)]
pub struct Mounted {
    platter: Arc<Platter>,
    ends_before: u32,
    process: OnceLock<Process>,
}

impl Mounted {
    /// Returns the disk for a process that ends before a step, counted from the first that anyone took.
    pub fn new(platter: &Arc<Platter>, ends_before: u32) -> Arc<Self> {
        Arc::new(Self { platter: Arc::clone(platter), ends_before, process: OnceLock::new() })
    }

    /// Names the process that ends.
    pub fn belongs_to(&self, process: &Process) {
        let _ = self.process.set(process.clone());
    }

    fn step(&self) -> io::Result<()> {
        let mut state = self.platter.state();
        if state.steps >= self.ends_before {
            if let Some(process) = self.process.get() {
                process.kill();
            }
            return Err(io::Error::other("the process has ended"));
        }
        state.steps += 1;
        Ok(())
    }
}

impl Disk for Mounted {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        LocalDisk.create_folder(folder)?;
        if !self.platter.state().folders.contains_key(folder) {
            self.platter.rename(folder, Some(Node::Folder));
            self.platter.state().folders.insert(folder.to_owned(), Names::default());
        }
        Ok(())
    }

    fn create_file(&self, file: &Path) -> io::Result<File> {
        self.step()?;
        let made = LocalDisk.create_file(file)?;
        self.platter.enter(file, Last::No, Last::No)?;
        Ok(made)
    }

    fn sync_file(&self, path: &Path, _file: &File) -> io::Result<()> {
        self.step()?;
        if let Node::File(file) = self.platter.node(path) {
            self.platter.state().is_synced[file] = true;
        }
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step()?;
        let mut state = self.platter.state();
        let names = state.folders.get_mut(folder).expect("a folder on the disk");
        for (name, node) in std::mem::take(&mut names.pending) {
            match node {
                Some(node) => names.lasting.insert(name, node),
                None => names.lasting.remove(&name),
            };
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        LocalDisk.rename(from, to)?;
        self.platter.rename(to, Some(self.platter.node(from)));
        self.platter.rename(from, None);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        LocalDisk.link(from, to)?;
        self.platter.rename(to, Some(self.platter.node(from)));
        Ok(())
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.step()?;
        LocalDisk.remove(file)?;
        self.platter.rename(file, None);
        Ok(())
    }
}
