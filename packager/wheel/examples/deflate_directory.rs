//! The floor of what a wheel of a directory can cost: libdeflate over the bytes of all its files, on all cores, and
//! nothing kept: `deflate_directory DIRECTORY [LEVEL]`. Prints the compressed size.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

/// As large as the blocks of the wheel writer.
const BLOCK: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, options @ ..] = &arguments[..] else {
        return Err("usage: deflate_directory DIRECTORY [LEVEL]".into());
    };
    let level = options.first().map_or(Ok(6), |level| level.parse())?;
    let level = CompressionLvl::new(level).map_err(|_| "there is no such level")?;
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(directory)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    files.sort();
    let mut blocks = Vec::new();
    for file in &files {
        let size = usize::try_from(fs_err::metadata(file)?.len())?;
        blocks.extend((0..size).step_by(BLOCK).map(|start| (file, start)));
    }
    let (next, total) = (Mutex::new(blocks.into_iter()), Mutex::new(0_usize));
    let worker = || -> std::io::Result<()> {
        use fs_err::os::unix::fs::FileExt;
        let mut compressor = Compressor::new(level);
        let (mut block, mut buffer) = (vec![0; BLOCK], vec![0; compressor.deflate_compress_bound(BLOCK)]);
        let mut sum = 0;
        while let Some((file, start)) = { next.lock().map_err(|_| std::io::ErrorKind::Other)?.next() } {
            let length = fs_err::File::open(file)?.read_at(&mut block, start as u64)?;
            sum +=
                compressor.deflate_compress(&block[..length], &mut buffer).map_err(std::io::Error::other)?;
        }
        *total.lock().map_err(|_| std::io::ErrorKind::Other)? += sum;
        Ok(())
    };
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| std::io::ErrorKind::Other)?)
    })?;
    jnumpy_base::Report::new(false).data(*total.lock().map_err(|_| "a thread has failed")?);
    Ok(())
}
