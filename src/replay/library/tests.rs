use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::cassette::Cassette;
use crate::grpc::Catalog;
use crate::replay::choose::AfterLast;
use crate::replay::fixture::{get, settings};

/// Sessions in memory: `broken` can't be read, `panic` panics, names with `x` are there.
#[derive(Default)]
struct Memory {
    loads: AtomicUsize,
}

impl Source for Arc<Memory> {
    fn load(&self, session: &str) -> Result<Option<Loaded>, LoadError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        // Long enough that everybody else asks meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(20));
        match session {
            "broken" => Err(LoadError::new("broken.json", "not a cassette")),
            "panic" => panic!("a fault in the reader"),
            name if name.contains('x') => {
                Ok(Some(Cassette { exchanges: vec![get("/", name)], ..Cassette::default() }.into()))
            }
            _ => Ok(None),
        }
    }

    fn path(&self, session: &str) -> PathBuf {
        format!("{session}.json").into()
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::default()
    }

    fn faults(&self) -> Vec<LoadError> {
        Vec::new()
    }

    fn body_path(&self, digest: &Digest) -> PathBuf {
        digest.to_string().into()
    }
}

fn library() -> (Arc<Library>, Arc<Memory>) {
    let memory = Arc::new(Memory::default());
    (Library::over(Arc::new(memory.clone()), settings(AfterLast::Repeat)), memory)
}

fn loads(memory: &Memory) -> usize {
    memory.loads.load(Ordering::SeqCst)
}

#[tokio::test]
async fn a_session_is_loaded_at_first_use_and_once() {
    let (library, memory) = library();
    assert!(library.loaded("x").is_none());
    let first = library.session("x").await.unwrap();
    let second = library.session("x").await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert!(library.loaded("x").is_some());
    assert_eq!((first.len(), loads(&memory)), (1, 1));
}

#[test]
fn runtimes_that_ask_at_once_share_one_load() {
    let (library, memory) = library();
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(library.session("x")).unwrap()
    };
    let sessions: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(sessions.iter().all(|session| Arc::ptr_eq(session, &sessions[0])));
    assert_eq!(loads(&memory), 1);
}

#[tokio::test]
async fn a_load_whose_asker_left_still_serves_the_next() {
    let (library, memory) = library();
    let asking = tokio::spawn({
        let library = library.clone();
        async move { library.session("x").await.map(drop) }
    });
    tokio::task::yield_now().await;
    asking.abort();
    assert_eq!(library.session("x").await.unwrap().len(), 1);
    assert_eq!(loads(&memory), 1);
}

#[tokio::test]
async fn a_session_without_recordings_is_empty() {
    let (library, _) = library();
    assert_eq!(library.session("none").await.unwrap().len(), 0);
    assert_eq!(library.opened().len(), 1);
}

#[tokio::test]
async fn a_broken_cassette_stays_a_fault_of_the_run() {
    let (library, memory) = library();
    for _ in 0..2 {
        let fault = library.session("broken").await.err().unwrap();
        assert_eq!(fault.to_string(), "could not open the cassette `broken.json`");
    }
    assert_eq!(loads(&memory), 1);
    assert_eq!(library.faults().len(), 1);
    assert!(library.opened().is_empty());
}

#[tokio::test]
async fn a_panic_while_loading_is_a_fault_and_nobody_waits_for_ever() {
    let (library, _) = library();
    assert!(library.session("panic").await.is_err());
    assert_eq!(library.faults().len(), 1);
}

#[test]
fn names_from_the_network_do_not_fill_the_memory() {
    let (library, _) = library();
    for n in 0..EMPTY_COUNT_MAX + 10 {
        let empty = Session::build(
            "n",
            Vec::new(),
            &settings(AfterLast::Repeat),
            crate::replay::fixture::no_bodies(),
            None,
        );
        library.keep(&n.to_string(), Ok(Arc::new(empty.unwrap())));
    }
    assert_eq!(library.opened().len(), EMPTY_COUNT_MAX);
}

#[test]
fn a_missing_folder_is_an_error_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("recordings");
    let error = Library::open(&missing, Vec::new(), Catalog::new(), settings(AfterLast::Repeat))
        .err()
        .unwrap();
    assert_eq!(error.to_string(), format!("there is no recording folder `{}`", missing.display()));
    assert!(error.hint().is_some());
    assert!(
        Library::open(dir.path(), Vec::new(), Catalog::new(), settings(AfterLast::Repeat)).is_ok()
    );
}
