//! Commits, tags and push certificates taken apart into what was signed and the signature, over the raw bytes and by git's own
//! rules (`parse_buffer_signed_by_header` and `parse_signed_buffer`). Where git would take what nobody signed along with what
//! somebody did, this refuses.

use bstr::ByteSlice as _;

use crate::push::HashKind;

/// What an object holds of signatures.
#[derive(Debug, PartialEq, Eq)]
pub enum Signed<'a> {
    /// None.
    No,
    /// One: the payload in pieces, and the text of the signature.
    Yes {
        /// All that was signed, one piece after the other.
        payload: Vec<&'a [u8]>,
        /// Its text.
        signature: Vec<u8>,
    },
    /// Something that readers could take for different signatures: the rest of a sentence about the object.
    Odd(&'static str),
}

/// What starts the text of a signature, of every kind that git knows.
const MARKS: [&[u8]; 4] = [
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
];

/// The header of a signature over an object with ids of this kind, and that of the other kind.
fn headers(hash: HashKind) -> (&'static [u8], &'static [u8]) {
    match hash {
        HashKind::Sha256 => (b"gpgsig-sha256", b"gpgsig"),
        _ => (b"gpgsig", b"gpgsig-sha256"),
    }
}

/// Takes a commit apart.
pub fn of_commit(data: &[u8], hash: HashKind) -> Signed<'_> {
    let (own, other) = headers(hash);
    let (mut payload, mut signature) = (Vec::new(), Vec::new());
    let (mut signatures, mut others) = (0, 0);
    let mut start = 0; // of the piece that is not yet in the payload
    let mut at = 0;
    // Which header the line belongs to: one of the signature, one that git leaves out, or any other.
    #[derive(Clone, Copy, PartialEq)]
    enum In {
        Signature,
        Other,
        Payload,
    }
    let mut within = In::Payload;
    while at < data.len() {
        let end = data[at..]
            .find_byte(b'\n')
            .map_or(data.len(), |length| at + length + 1);
        let line = &data[at..end];
        if line == b"\n" {
            break;
        }
        let mut text: Option<&[u8]> = None;
        let before = within;
        if let Some(rest) = line.strip_prefix(b" ") {
            if within == In::Signature {
                text = Some(rest);
            }
        } else if let Some(rest) = header(line, own) {
            (within, text) = (In::Signature, Some(rest));
            signatures += 1;
        } else if header(line, other).is_some() {
            within = In::Other;
            others += 1;
        } else if line.starts_with(b"gpgsig") {
            // git leaves it out of what was signed, whatever it holds.
            return Signed::Odd("has a header that looks like a signature and is none");
        } else {
            within = In::Payload;
        }
        if before == In::Payload && within != In::Payload {
            payload.push(&data[start..at]);
        }
        if before != In::Payload && within == In::Payload {
            start = at;
        }
        if let Some(text) = text {
            signature.extend_from_slice(text);
        }
        at = end;
    }
    payload.push(match within {
        In::Payload => &data[start..],
        _ => &data[at..],
    });
    match (signatures, others) {
        (0, 0) => Signed::No,
        (0, _) => Signed::Odd("has its signature in the header of another hash"),
        (1, 0 | 1) => Signed::Yes { payload, signature },
        _ => Signed::Odd("has more than one signature"),
    }
}

/// The value of a header line with its line end, if it is this header.
fn header<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(name)?.strip_prefix(b" ")
}

/// Takes a tag apart: its signature stands at the end.
pub fn of_tag(data: &[u8]) -> Signed<'_> {
    let head = data.find(b"\n\n").map_or(data, |end| &data[..end]);
    if head.lines().any(|line| line.starts_with(b"gpgsig")) {
        return Signed::Odd("has a signature in its headers, where none of a tag belongs");
    }
    of_text(data)
}

/// Takes a text apart whose signature stands at its end, as that of a push certificate does.
pub fn of_text(data: &[u8]) -> Signed<'_> {
    let mut found = None;
    let mut at = 0;
    while at < data.len() {
        if MARKS.iter().any(|mark| data[at..].starts_with(mark)) {
            found = Some(at);
        }
        at = data[at..]
            .find_byte(b'\n')
            .map_or(data.len(), |length| at + length + 1);
    }
    match found {
        None => Signed::No,
        Some(at) => Signed::Yes {
            payload: vec![&data[..at]],
            signature: data[at..].to_vec(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(signed: Signed<'_>) -> (String, String) {
        match signed {
            Signed::Yes { payload, signature } => (
                String::from_utf8(payload.concat()).unwrap(),
                String::from_utf8(signature).unwrap(),
            ),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_commit_with_one_signature() {
        let text = b"tree 1\nauthor a\ncommitter b\ngpgsig -----BEGIN\n \n abc\n -----END\nencoding x\n\ngpgsig no header\n";
        assert_eq!(
            joined(of_commit(text, HashKind::Sha1)),
            (
                "tree 1\nauthor a\ncommitter b\nencoding x\n\ngpgsig no header\n".to_owned(),
                "-----BEGIN\n\nabc\n-----END\n".to_owned()
            )
        );
        assert!(matches!(of_commit(text, HashKind::Sha256), Signed::Odd(_)));
    }

    #[test]
    fn both_hashes_may_be_signed() {
        let text = b"tree 1\ngpgsig a\n b\ngpgsig-sha256 c\n d\nx y\n z\n\nm\n";
        assert_eq!(
            joined(of_commit(text, HashKind::Sha1)),
            ("tree 1\nx y\n z\n\nm\n".to_owned(), "a\nb\n".to_owned())
        );
        assert_eq!(joined(of_commit(text, HashKind::Sha256)).1, "c\nd\n");
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways() {
        for text in [
            "tree 1\ngpgsig a\ngpgsig b\n\nm\n",
            "tree 1\ngpgsig a\nauthor x\ngpgsig b\n\nm\n",
            "tree 1\ngpgsig a\ngpgsigx b\n\nm\n",
            "tree 1\ngpgsig a\ngpgsig-sha256 b\ngpgsig-sha256 c\n\nm\n",
            "tree 1\ngpgsig\n\nm\n",
            "tree 1\ngpgsig-sha256 b\n\nm\n",
        ] {
            let signed = of_commit(text.as_bytes(), HashKind::Sha1);
            assert!(matches!(signed, Signed::Odd(_)), "{text}");
        }
        for text in [
            "tree 1\n\nm\n",
            "tree 1\nmergetag a\n gpgsig b\n\nm\n",
            "",
            "x",
        ] {
            assert_eq!(
                of_commit(text.as_bytes(), HashKind::Sha1),
                Signed::No,
                "{text}"
            );
        }
    }

    #[test]
    fn the_last_mark_of_a_tag_starts_its_signature() {
        let text =
            b"object 1\n\nm\n-----BEGIN PGP SIGNATURE-----\nx\n-----BEGIN SSH SIGNATURE-----\ny\n";
        let (payload, signature) = joined(of_tag(text));
        assert!(payload.ends_with("x\n"), "{payload}");
        assert_eq!(signature, "-----BEGIN SSH SIGNATURE-----\ny\n");
        assert_eq!(
            of_tag(b"object 1\n\nm -----BEGIN SSH SIGNATURE-----\n"),
            Signed::No
        );
        assert!(matches!(
            of_tag(b"object 1\ngpgsig x\n\nm\n"),
            Signed::Odd(_)
        ));
    }
}
