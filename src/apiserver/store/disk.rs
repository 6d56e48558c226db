//! The store's file: one redb database with the objects, what happened lately, and the revision. Owns its creation, its
//! modes, its lock and its state version; a batch is a transaction, durable when it returns.
//! Keeps nothing in memory beyond a small cache: reads are served elsewhere. Called by `writer`, opened by `Store`.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{
    Builder, Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    TableError, backends::FileBackend,
};

use super::{
    OpenError,
    backend::{Backend, Batch, Loaded},
    encoding::{Keys, STATE_VERSION, Undo, key_bytes, push_record, read_record, read_undo, undo_bytes},
    history::Logged,
    record::{Event, Record},
    state::FIRST,
};
use crate::apiserver::names::Key;

/// Key of an object to the object.
const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
/// Revision to what was before it.
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
/// Names below to numbers.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION: &str = "version";
const REVISION: &str = "revision";

/// Objects are read once; only the inner pages of the trees are worth keeping.
const CACHE: usize = 4 << 20;
const MODE: u32 = 0o600;

/// Opens the database at a path. A parameter so that tests can put a disk below that fails.
pub(super) type Opener = Box<dyn Fn(File) -> Result<Database, DatabaseError> + Send>;

/// The file, open and locked.
pub(super) struct Disk {
    path: PathBuf,
    opener: Opener,
    /// Absent after a failure, until it is opened again.
    database: Option<Database>,
    /// Held as long as this lives, also while the database is opened again. Dropped last.
    _lock: File,
}

impl Disk {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// It is in use, of a newer version, or cannot be read.
    pub(super) fn open(path: &Path, opener: Opener) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        let unreadable = |e: io::Error| OpenError::Unreadable(format!("{}: {e}", path.display()));
        if !path.try_exists().map_err(unreadable)? {
            create(path)
                .map_err(|e| OpenError::Unreadable(format!("{} cannot be made: {e}", path.display())))?;
        }
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(unreadable)?;
        let mut disk = Self {
            path: path.to_owned(),
            opener,
            database: None,
            _lock: lock,
        };
        disk.start().map_err(|e| match e {
            redb::Error::DatabaseAlreadyOpen => OpenError::InUse(path.to_owned()),
            e => OpenError::Unreadable(format!("{}: {e}", path.display())),
        })?;
        disk.check_version()?;
        Ok(disk)
    }

    fn start(&mut self) -> Result<(), redb::Error> {
        // The old one first: it holds a lock of its own.
        self.database = None;
        let file = File::options().read(true).write(true).open(&self.path)?;
        self.database = Some((self.opener)(file)?);
        Ok(())
    }

    fn database(&self) -> Result<&Database, redb::Error> {
        self.database.as_ref().ok_or(redb::Error::PreviousIo)
    }

    fn check_version(&self) -> Result<(), OpenError> {
        let unreadable = |e: redb::Error| OpenError::Unreadable(format!("{}: {e}", self.path.display()));
        match self.meta(VERSION).map_err(unreadable)? {
            Some(found) if found > STATE_VERSION => Err(OpenError::Newer {
                path: self.path.clone(),
                found,
                known: STATE_VERSION,
            }),
            Some(_) => Ok(()),
            None => Err(OpenError::Unreadable(format!(
                "{} is a database of something else: it has no state version",
                self.path.display()
            ))),
        }
    }

    fn meta(&self, name: &str) -> Result<Option<u64>, redb::Error> {
        match self.database()?.begin_read()?.open_table(META) {
            Ok(table) => Ok(table.get(name)?.map(|number| number.value())),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn read(&self) -> Result<Loaded, redb::Error> {
        let revision = self.meta(REVISION)?.unwrap_or(FIRST);
        let transaction = self.database()?.begin_read()?;
        let damaged = |what: &str| redb::Error::Corrupted(format!("an entry of {what} cannot be understood"));
        let mut objects = Vec::new();
        let mut keys = Keys::default();
        for entry in transaction.open_table(OBJECTS)?.iter()? {
            let (key, value) = entry?;
            let record = keys
                .read(key.value())
                .and_then(|key| read_record(key, value.value()));
            objects.push(record.ok_or_else(|| damaged("objects"))?);
        }
        let mut rewind = Rewind::new(revision, &objects);
        for entry in transaction.open_table(HISTORY)?.iter()?.rev() {
            let (number, value) = entry?;
            let undo = read_undo(&mut keys, value.value()).ok_or_else(|| damaged("history"))?;
            if !rewind.undo(number.value(), undo) {
                break;
            }
        }
        let events = rewind.events();
        Ok(Loaded {
            revision,
            objects,
            events,
        })
    }

    fn write(&self, batch: &Batch<'_>) -> Result<(), redb::Error> {
        let mut transaction = self.database()?.begin_write()?;
        // Without it, the start after a crash walks the whole file.
        transaction.set_quick_repair(true);
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            let mut history = transaction.open_table(HISTORY)?;
            let mut set = |key: &Key, record: Option<&Record>| -> Result<(), redb::Error> {
                let key = key_bytes(key);
                match record {
                    Some(record) => {
                        let mut value = Vec::with_capacity(record.weight() + 32);
                        push_record(record, &mut value);
                        objects.insert(&*key, &*value)?;
                    }
                    None => drop(objects.remove(&*key)?),
                }
                Ok(())
            };
            for (key, record) in batch.amend {
                set(key, record.as_deref())?;
            }
            if !batch.amend.is_empty() {
                history.retain_in(batch.revision + 1.., |_, _| false)?;
            }
            for Logged { at, event } in batch.events {
                if let Some(key) = event.key() {
                    set(key, event.record.as_deref())?;
                    let undo = undo_bytes(*at, key, event.previous.as_deref());
                    history.insert(event.revision, &*undo)?;
                }
            }
            if batch.forget > 0 {
                history.retain_in(..=batch.forget, |_, _| false)?;
            }
            transaction.open_table(META)?.insert(REVISION, batch.revision)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

impl Backend for Disk {
    fn load(&mut self) -> Result<Loaded, String> {
        self.read().map_err(|e| format!("{}: {e}", self.path.display()))
    }

    fn commit(&mut self, batch: &Batch<'_>) -> Result<(), String> {
        self.write(batch).map_err(|e| told(&e))
    }

    fn reopen(&mut self) -> Result<(), String> {
        // After an input or output error a redb database does nothing any more.
        self.start().map_err(|e| told(&e))
    }
}

/// What a person reads who wanted to write.
fn told(error: &redb::Error) -> String {
    match error {
        redb::Error::Io(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            format!("its disk is full ({cause}); free space there, and writes go on by themselves")
        }
        error => error.to_string(),
    }
}

/// The database of a file.
pub(super) fn open_database(file: File) -> Result<Database, DatabaseError> {
    Builder::new()
        .set_cache_size(CACHE)
        .create_with_backend(FileBackend::new(file)?)
}

/// A file of its own, because the database is closed and opened again when the disk has failed.
fn lock(path: &Path) -> Result<File, OpenError> {
    let name = beside(path, ".lock");
    let unreadable = |e: io::Error| OpenError::Unreadable(format!("{}: {e}", name.display()));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(MODE)
        .open(&name)
        .map_err(unreadable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(e)) => Err(unreadable(e)),
    }
}

/// Makes an empty store under another name first: a crash leaves either a whole one or none.
fn create(path: &Path) -> Result<(), redb::Error> {
    let unfinished = beside(path, ".new");
    if unfinished.try_exists()? {
        fs::remove_file(&unfinished)?;
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&unfinished)?;
    let database = open_database(file)?;
    let transaction = database.begin_write()?;
    transaction.open_table(OBJECTS)?;
    transaction.open_table(HISTORY)?;
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(VERSION, STATE_VERSION)?;
        meta.insert(REVISION, FIRST)?;
    }
    transaction.commit()?;
    database.close()?;
    fs::rename(&unfinished, path)?;
    // The name is durable when the directory is.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Makes events of what they undid, from the newest back.
struct Rewind {
    /// Versions of objects by their revision: those there are, and those that were undone so far.
    versions: BTreeMap<u64, Arc<Record>>,
    next: u64,
    events: Vec<Logged>,
}

impl Rewind {
    fn new(revision: u64, objects: &[Arc<Record>]) -> Self {
        Self {
            versions: objects
                .iter()
                .map(|record| (record.revision, record.clone()))
                .collect(),
            next: revision,
            events: Vec::new(),
        }
    }

    /// Whether it fits: a history that does not lead to the objects is of no use from there back.
    fn undo(&mut self, revision: u64, undo: Undo) -> bool {
        let after = self.versions.remove(&revision);
        let fits = match &after {
            Some(record) => record.key == undo.key,
            None => undo.previous.is_some(),
        };
        if revision != self.next || !fits {
            return false;
        }
        self.next -= 1;
        if let Some(previous) = &undo.previous {
            self.versions.insert(previous.revision, previous.clone());
        }
        self.events.push(Logged {
            at: undo.at,
            event: Arc::new(Event {
                revision,
                record: after,
                previous: undo.previous,
            }),
        });
        true
    }

    fn events(mut self) -> Vec<Logged> {
        self.events.reverse();
        self.events
    }
}
