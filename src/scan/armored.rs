//! Chance in signatures of ssh: digits of base64 that look like a token.
//!
//! A signature, with the certificate that it carries, has a thousand random digits in lines of one width, and one in some
//! thousands reads like a token of a form that has no other letters. The same commit would be refused for ever.

use bstr::ByteSlice as _;

use super::Match;
use crate::finding::Confidence;
use crate::identity::signature::ssh;

/// How far from a match the ends of a signature are looked for, in bytes: the largest, of RSA with a certificate, has some 6,000.
const FAR: usize = 16 << 10;

/// Whether a match is digits of a well-formed signature and nothing else. What a checksum confirms is no chance.
pub(super) fn is_chance(text: &[u8], found: &Match) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let unpacked = found.via.iter().any(|via| *via != "pieces");
    if found.confidence == Confidence::Certain || unpacked || !found.value().iter().all(is_digit) {
        return false;
    }
    let from = found.bytes.start.saturating_sub(FAR);
    let to = (found.bytes.end + FAR).min(text.len());
    let Some(begin) = text[from..found.bytes.start].rfind(ssh::BEGIN) else {
        return false;
    };
    let block = &text[from + begin..to];
    let Some(end) = block.find(ssh::END) else {
        return false;
    };
    found.bytes.end <= from + begin + end && ssh::is_well_formed(&block[..end + ssh::END.len()])
}
