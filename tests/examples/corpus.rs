//! Takes the inputs that are kept for a fuzz target out of their file, into the folder in which libFuzzer works, and puts
//! them back: `corpus unpack TARGET`, `corpus pack TARGET`.

use std::fs;

use anyhow::{Context as _, bail};
use zonecast_tests::fuzz::{TARGETS, corpus, read_kept, write_kept};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, target] = arguments.as_slice() else { bail!("usage: corpus unpack|pack TARGET") };
    anyhow::ensure!(TARGETS.iter().any(|known| known.name == target), "there is no target {target}");
    let folder = corpus().join(target);
    match way.as_str() {
        "unpack" => {
            fs::create_dir_all(&folder)?;
            for (number, input) in read_kept(target)?.iter().enumerate() {
                fs::write(folder.join(format!("kept-{number:04}")), input)?;
            }
        }
        "pack" => {
            let read = |entry: std::io::Result<fs::DirEntry>| fs::read(entry?.path());
            let entries = folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))?;
            let inputs: Vec<Vec<u8>> = entries.map(read).collect::<Result<_, _>>()?;
            write_kept(target, &inputs)?;
        }
        _ => bail!("usage: corpus unpack|pack TARGET"),
    }
    Ok(())
}
