//! A tar archive, indexed in one pass and read in place. Nothing is ever unpacked.
//!
//! Only names that a layout has are kept; links, devices, sparse files, absolute names and names
//! with `..` are passed over, so that an archive can name nothing outside of itself.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::registry::LayoutFault;
use crate::registry::store::Content;
use crate::registry::store::read_at_most;

const BLOCK: usize = 512;
const BLOCK_LEN: u64 = 512;
/// Bytes of a long name or a pax header: many times what any layout needs.
const MAX_EXTENSION: u64 = 64 * 1024;
/// Entries of one archive: an index of 512 images of 127 layers each.
const MAX_ENTRIES: usize = 65_536;

/// An indexed archive.
#[derive(Debug)]
pub(super) struct Archive {
    file: Mutex<File>,
    entries: HashMap<String, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    size: u64,
}

impl Archive {
    /// Reads all headers of the archive, which has `len` bytes.
    pub(super) fn index(mut file: File, len: u64) -> Result<Self, LayoutFault> {
        let mut entries = HashMap::new();
        let mut next = Extensions::default();
        let mut offset = 0;
        let mut header = [0; BLOCK];
        let mut count = 0;
        let mut has_end = false;
        while offset + BLOCK_LEN <= len {
            read_exact_at(&mut file, offset, &mut header)?;
            if offset == 0 {
                refuse_compressed(&header)?;
            }
            if header.iter().all(|byte| *byte == 0) {
                has_end = true;
                break;
            }
            let header = Header(&header);
            if !header.sum_is_right() {
                return Err(LayoutFault::NotAnArchive);
            }
            count += 1;
            if count > MAX_ENTRIES {
                return Err(LayoutFault::Entries(MAX_ENTRIES));
            }
            let size = next.size.unwrap_or(header.size()?);
            let body = offset + BLOCK_LEN;
            let end = body.checked_add(size).ok_or(LayoutFault::Truncated)?;
            if end > len {
                return Err(LayoutFault::Truncated);
            }
            match header.kind() {
                b'L' => next.name = Some(text(&read_extension(&mut file, body, size)?)),
                b'x' => next.read_pax(&read_extension(&mut file, body, size)?),
                // A long link name or global settings: nothing for the next entry's name.
                b'K' | b'g' => {}
                kind => {
                    let name = next.name.take().unwrap_or_else(|| header.name());
                    let regular = matches!(kind, b'0' | b'7' | 0) && !next.sparse;
                    next = Extensions::default();
                    // Readers differ in what follows a link or directory that claims a size, and in
                    // which of two files of one name counts. Nothing that they could differ about
                    // is read.
                    if matches!(kind, b'1'..=b'6') && size != 0 {
                        return Err(LayoutFault::NotAnArchive);
                    }
                    if let Some(name) = layout_name(&name) {
                        if !regular {
                            return Err(LayoutFault::NotAFile);
                        }
                        let entry = Entry { offset: body, size };
                        let before = entries.insert(name.to_owned(), entry);
                        if before.is_some() && !name.starts_with("blobs/") {
                            return Err(LayoutFault::Duplicate(name.to_owned()));
                        }
                    }
                }
            }
            offset = end
                .checked_next_multiple_of(BLOCK_LEN)
                .ok_or(LayoutFault::Truncated)?;
        }
        if count == 0 {
            return Err(LayoutFault::NotAnArchive);
        }
        // POSIX pax, "ustar Interchange Format": zeros stand at the end. An archive that was cut
        // between two entries would read as one that lacks the evidence.
        if !has_end {
            return Err(LayoutFault::Truncated);
        }
        Ok(Self {
            file: Mutex::new(file),
            entries,
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub(super) fn read(&self, name: &str, cap: usize) -> Result<Content, LayoutFault> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(Content::Absent);
        };
        if usize::try_from(entry.size).map_or(true, |size| size > cap) {
            return Ok(Content::TooLarge);
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(entry.offset))
            .map_err(|error| LayoutFault::Io(error.kind()))?;
        let content = read_at_most((&mut *file).take(entry.size), cap)
            .map_err(|error| LayoutFault::Io(error.kind()))?;
        drop(file);
        if let Content::Bytes(bytes) = &content
            && u64::try_from(bytes.len()) != Ok(entry.size)
        {
            // The archive was cut after it was indexed.
            return Err(LayoutFault::Truncated);
        }
        Ok(content)
    }
}

/// What the entries before an entry say about it.
#[derive(Default)]
struct Extensions {
    name: Option<String>,
    size: Option<u64>,
    sparse: bool,
}

impl Extensions {
    /// Reads records of the form `length key=value\n` (POSIX.1-2001, "pax Extended Header").
    fn read_pax(&mut self, mut records: &[u8]) {
        while let Some(space) = records.iter().position(|byte| *byte == b' ') {
            let Some((length, _)) = records.split_at_checked(space) else {
                return;
            };
            let Ok(length) = text(length).parse::<usize>() else {
                return;
            };
            let Some((record, rest)) = records.split_at_checked(length) else {
                return;
            };
            let Some(record) = record.get(space + 1..) else {
                return;
            };
            let record = text(record.strip_suffix(b"\n").unwrap_or(record));
            match record.split_once('=') {
                Some(("path", value)) => self.name = Some(value.to_owned()),
                Some(("size", value)) => self.size = value.parse().ok(),
                Some((key, _)) if key.starts_with("GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            records = rest;
        }
    }
}

/// One 512-byte header.
struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn field(&self, start: usize, len: usize) -> &[u8] {
        self.0.get(start..start + len).unwrap_or_default()
    }

    fn kind(&self) -> u8 {
        self.0.get(156).copied().unwrap_or_default()
    }

    fn name(&self) -> String {
        let name = text(self.field(0, 100));
        let prefix = text(self.field(345, 155));
        // GNU's own format has times where POSIX has the prefix.
        if self.field(257, 6) == b"ustar\0" && !prefix.is_empty() {
            format!("{prefix}/{name}")
        } else {
            name
        }
    }

    fn size(&self) -> Result<u64, LayoutFault> {
        number(self.field(124, 12)).ok_or(LayoutFault::NotAnArchive)
    }

    /// The sum of all bytes, with the field of the sum itself as spaces.
    fn sum_is_right(&self) -> bool {
        let sum: u64 = self
            .0
            .iter()
            .enumerate()
            .map(|(place, byte)| match place {
                148..156 => u64::from(b' '),
                _ => u64::from(*byte),
            })
            .sum();
        number(self.field(148, 8)) == Some(sum)
    }
}

/// Octal digits, or GNU's binary form, whose first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let mut value = u64::from(first & 0x7f);
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(value);
    }
    let digits = text(field);
    let digits = digits.trim();
    if digits.is_empty() {
        return Some(0);
    }
    if !digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')) {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

/// The text before the first NUL.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    let field = field.get(..end.unwrap_or(field.len())).unwrap_or(field);
    String::from_utf8_lossy(field).into_owned()
}

/// The name, when it is one that is ever looked for.
fn layout_name(name: &str) -> Option<&str> {
    let name = name.strip_prefix("./").unwrap_or(name);
    if matches!(name, "index.json" | "manifest.json" | "oci-layout") {
        return Some(name);
    }
    let (algorithm, hex) = name.strip_prefix("blobs/")?.split_once('/')?;
    let known = matches!(algorithm, "sha256" | "sha512");
    (known && !hex.is_empty() && hex.bytes().all(|c| c.is_ascii_hexdigit())).then_some(name)
}

fn refuse_compressed(start: &[u8]) -> Result<(), LayoutFault> {
    for (magic, tool) in [
        (&b"\x1f\x8b"[..], "gunzip"),
        (b"\x28\xb5\x2f\xfd", "unzstd"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"BZh", "bunzip2"),
    ] {
        if start.starts_with(magic) {
            return Err(LayoutFault::Compressed(tool));
        }
    }
    Ok(())
}

fn read_extension(file: &mut File, offset: u64, size: u64) -> Result<Vec<u8>, LayoutFault> {
    if size > MAX_EXTENSION {
        return Err(LayoutFault::NotAnArchive);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    read_exact_at(file, offset, &mut bytes)?;
    Ok(bytes)
}

fn read_exact_at(file: &mut File, offset: u64, into: &mut [u8]) -> Result<(), LayoutFault> {
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_exact(into))
        .map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                LayoutFault::Truncated
            } else {
                LayoutFault::Io(error.kind())
            }
        })
}
