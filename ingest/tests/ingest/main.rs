//! Zone files from disk and from text, through the public interface.

#[cfg(test)]
mod includes;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod odd_files;
#[cfg(test)]
mod rdata_lines;
#[cfg(test)]
mod record_data;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod support;
