//! gzip (RFC 1952) as far as lying needs it.

use bytes::Bytes;

/// Magic, deflate, no flags, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The bytes in blocks that are not compressed (RFC 1951, 3.2.4).
pub(super) fn stored(bytes: &[u8]) -> Bytes {
    let mut out = HEADER.to_vec();
    for block in bytes.chunks(0xffff) {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    // An empty last block.
    out.extend([1, 0, 0, 0xff, 0xff]);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.into()
}

/// 1024 members of one mebibyte of zeros each.
pub(super) fn bomb() -> Bytes {
    // One block with its own Huffman codes, as zlib at level 9 writes it: the codes, the first
    // zero, then a run of repetitions whose codes are all zero bits, and the end of the block.
    const BEGIN: [u8; 15] = [
        0xed, 0xc1, 0x31, 0x01, 0, 0, 0, 0xc2, 0xa0, 0xf5, 0x4f, 0x6d, 0x08, 0x5f, 0xa0,
    ];
    const RUN: usize = 1016;
    const END: [u8; 2] = [0x3e, 0x03];
    const MEBIBYTE: usize = 1 << 20;

    let mut member = HEADER.to_vec();
    member.extend(BEGIN);
    member.resize(member.len() + RUN, 0);
    member.extend(END);
    member.extend(crc32(&vec![0; MEBIBYTE]).to_le_bytes());
    member.extend([0, 0, 0x10, 0]);
    member.repeat(1024).into()
}

/// The check sum of RFC 1952, section 8.
fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = sum & 1 == 1;
            sum >>= 1;
            if odd {
                sum ^= 0xedb8_8320;
            }
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(&vec![0; 1 << 20]), 0xa738_ea1c);
    }
}
