//! A zip writer for wheels: the same bytes whatever the number of threads, and all cores busy on one large file.
//!
//! One thread reads the files in order and cuts them into blocks, a few threads hash and compress blocks, and the
//! caller's thread writes the results in order. What is in flight is bounded: two blocks a worker, and the
//! compressed blocks of the entry being written, whose header needs their sum.

mod deflate;
mod format;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::iter;
use std::num::NonZeroUsize;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sha2::{Digest, Sha256};

pub use self::deflate::deflate_length;
use self::deflate::{BLOCK, Deflater, Packed};
use self::format::Header;
use super::content::{Content, Source};
use super::epoch::DosTime;
use super::error::WheelError;
use super::path::WheelPath;
use jnumpy_base::interrupt;

/// More workers than this would only hold more memory: the one reader is then the limit.
const MAX_THREADS: usize = 32;

/// SHA-256 of a file's bytes.
pub(super) type Sha256Digest = [u8; 32];

/// One file of a finished archive.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) path: WheelPath,
    pub(super) sha256: Sha256Digest,
    pub(super) size: u64,
    pub(super) compressed: u64,
    deflated: bool,
    executable: bool,
    crc32: u32,
    offset: u64,
}

/// How to compress, and with what time stamp.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) level: u8,
    pub(super) threads: NonZeroUsize,
    pub(super) time: DosTime,
}

/// An archive being written to `out`.
#[derive(Debug)]
pub(super) struct Archive<W> {
    out: W,
    options: Options,
    position: u64,
    hash: Sha256,
    members: Vec<Member>,
}

/// What one run of the pipeline says of a block.
struct Done {
    packed: Packed,
    size: u64,
    crc32: crc32fast::Hasher,
    /// For a file's last block: the hash of the whole file.
    sha256: Option<Sha256Digest>,
}

/// A block on its way to a worker.
struct Job {
    block: Vec<u8>,
    last: bool,
    /// The file's hash when more than one block had to be read for it; a worker hashes a file of one block.
    sha256: Option<Sha256Digest>,
    done: SyncSender<Done>,
}

impl Job {
    fn run(self, deflater: &mut Deflater) {
        let Self { block, last, sha256, done } = self;
        let (size, mut crc32) = (block.len() as u64, crc32fast::Hasher::new());
        crc32.update(&block);
        let sha256 = last.then(|| sha256.unwrap_or_else(|| Sha256::digest(&block).into()));
        // A writer that has gone away has its own error to report.
        let _ = done.send(Done { packed: deflater.pack(block, last), size, crc32, sha256 });
    }
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(super) fn new(out: W, options: Options) -> Self {
        Self { out, options, position: 0, hash: Sha256::new(), members: Vec::new() }
    }

    /// What is in the archive so far, in its order.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Appends files in the given order, calling `written` after each.
    pub(super) fn append(
        &mut self,
        files: &[(&WheelPath, &Content)],
        mut written: impl FnMut(),
    ) -> Result<(), WheelError> {
        let threads = self.options.threads.get().min(MAX_THREADS);
        let level = self.options.level;
        let (jobs, work) = mpsc::sync_channel::<Job>(threads);
        let (order, results) = mpsc::sync_channel(threads);
        let work = Arc::new(Mutex::new(work));
        thread::scope(|scope| {
            for work in iter::repeat_n(work, threads) {
                scope.spawn(move || {
                    let mut deflater = Deflater::new(level);
                    // The lock is held only to wait for a job.
                    while let Ok(job) = { work.lock().unwrap_or_else(PoisonError::into_inner).recv() } {
                        job.run(&mut deflater);
                    }
                });
            }
            scope.spawn(move || {
                let read = files.iter().try_for_each(|(_, content)| read(content, &jobs, &order));
                if let Err(Stop::Failed(error)) = read {
                    let _ = order.send(Err(error));
                }
            });
            // Moved in, so that an error here closes the channel and lets the others end.
            let results = results;
            files.iter().try_for_each(|(path, content)| {
                self.write_member(path, content.executable, &results)?;
                written();
                Ok(())
            })
        })
    }

    /// Takes one file's blocks from the pipeline and writes them behind their header.
    fn write_member(
        &mut self,
        path: &WheelPath,
        executable: bool,
        results: &Receiver<Result<Receiver<Done>, WheelError>>,
    ) -> Result<(), WheelError> {
        let mut blocks = Vec::new();
        let (mut size, mut crc32) = (0, crc32fast::Hasher::new());
        let sha256 = loop {
            interrupt::check()?;
            let done = results.recv().map_err(|_| WheelError::Worker)??;
            let done = done.recv().map_err(|_| WheelError::Worker)?;
            size += done.size;
            crc32.combine(&done.crc32);
            blocks.push(done.packed);
            if let Some(sha256) = done.sha256 {
                break sha256;
            }
        };
        let deflated = blocks.iter().any(|block| matches!(block, Packed::Deflated(_)));
        let last = blocks.len() - 1;
        let blocks: Vec<Vec<u8>> = (blocks.into_iter().enumerate())
            .map(|(index, block)| match block {
                Packed::Raw(bytes) if deflated => deflate::stored(&bytes, index == last),
                Packed::Raw(bytes) | Packed::Deflated(bytes) => bytes,
            })
            .collect();
        let member = Member {
            path: path.clone(),
            sha256,
            size,
            compressed: blocks.iter().map(|block| block.len() as u64).sum(),
            deflated,
            executable,
            crc32: crc32.finalize(),
            offset: self.position,
        };
        self.write(&member.header().local(self.options.time))?;
        for block in &blocks {
            self.write(block)?;
        }
        self.members.push(member);
        Ok(())
    }

    /// Writes the directory; returns the sink, the archive's size and its SHA-256.
    pub(super) fn finish(mut self) -> Result<(W, u64, Sha256Digest), WheelError> {
        let start = self.position;
        let directory: Vec<u8> =
            self.members.iter().flat_map(|member| member.header().central(self.options.time)).collect();
        self.write(&directory)?;
        let end = format::end(self.members.len() as u64, directory.len() as u64, start);
        self.write(&end)?;
        self.out.flush().map_err(WheelError::Write)?;
        Ok((self.out, self.position, self.hash.finalize().into()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WheelError> {
        self.out.write_all(bytes).map_err(WheelError::Write)?;
        self.hash.update(bytes);
        self.position += bytes.len() as u64;
        Ok(())
    }
}

impl Member {
    fn header(&self) -> Header<'_> {
        Header {
            name: self.path.as_str(),
            deflated: self.deflated,
            executable: self.executable,
            crc32: self.crc32,
            compressed: self.compressed,
            size: self.size,
            offset: self.offset,
        }
    }
}

/// Why reading ended early.
enum Stop {
    Failed(WheelError),
    /// The writer gave up; it reports why.
    Unwanted,
}

impl From<WheelError> for Stop {
    fn from(error: WheelError) -> Self {
        Self::Failed(error)
    }
}

/// Cuts one file into blocks: each goes to a worker, its result's receiver to the writer.
fn read(
    content: &Content,
    jobs: &SyncSender<Job>,
    order: &SyncSender<Result<Receiver<Done>, WheelError>>,
) -> Result<(), Stop> {
    let mut source: Box<dyn Read> = match &content.source {
        Source::Bytes(bytes) => Box::new(bytes.as_slice()),
        Source::File(path) => Box::new(fs_err::File::open(path).map_err(WheelError::Read)?),
    };
    let mut next_block = || -> Result<Vec<u8>, WheelError> {
        let mut block = Vec::with_capacity(BLOCK);
        source.by_ref().take(BLOCK as u64).read_to_end(&mut block).map_err(WheelError::Read)?;
        Ok(block)
    };
    let mut hash: Option<Sha256> = None;
    let mut block = next_block()?;
    loop {
        interrupt::check().map_err(WheelError::from)?;
        let next = if block.len() < BLOCK { Vec::new() } else { next_block()? };
        let last = next.is_empty();
        if hash.is_some() || !last {
            hash.get_or_insert_default().update(&block);
        }
        let sha256 = if last { hash.take().map(|hash| hash.finalize().into()) } else { None };
        let (done, result) = mpsc::sync_channel(1);
        order.send(Ok(result)).map_err(|_| Stop::Unwanted)?;
        jobs.send(Job { block, last, sha256, done }).map_err(|_| Stop::Unwanted)?;
        if last {
            return Ok(());
        }
        block = next;
    }
}
