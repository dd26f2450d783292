//! What the fuzz targets share.

use sepconv::AlignedVec;
use sepconv::crc32::crc32;
use sepconv::format::{CRC_START, Header, MAGIC, VERSION};

/// A copy of the fuzzer's bytes with magic, version and CRC put right: a fuzzer would not find a CRC, and all other checks
/// lie behind it. None of the fields that change are covered by it.
pub fn file(bytes: &[u8]) -> AlignedVec<u8> {
    let mut file = AlignedVec::copy_of(bytes);
    if let Some(mut header) = file.first_chunk().map(Header::from_bytes) {
        (header.magic, header.version) = (MAGIC, VERSION);
        if let Some(covered) = file.get(CRC_START..header.file_len as usize) {
            header.crc32 = crc32(covered);
        }
        file[..CRC_START].copy_from_slice(&header.to_bytes()[..CRC_START]);
    }
    file
}
