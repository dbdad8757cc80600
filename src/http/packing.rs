//! Compresses answers with gzip for clients that accept it. No answer holds a secret beside what a stranger may write:
//! credentials are in headers alone, and never in a cookie that another site's page could make a browser send.

use std::io::Write as _;

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
};
use flate2::{Compression, write::GzEncoder};

/// The value of `Content-Encoding`.
pub(super) const GZIP: HeaderValue = HeaderValue::from_static("gzip");
/// Answers of fewer bytes are sent as they are: they fit into a packet or two.
pub(super) const WORTH: usize = 1 << 10;
/// Up to this number of bytes, compressing takes too little time to hand it to another thread.
const BRIEF: usize = 32 << 10;

/// Whether the client accepts gzip.
/// Source: <https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3>
pub(super) fn accepts(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = values.flat_map(|value| value.split(',')).map(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse::<f32>().ok());
        (name.trim().to_ascii_lowercase(), weight.is_some_and(|weight| weight > 0.0))
    });
    let (mut named, mut any) = (None, false);
    for (name, is_accepted) in codings {
        match &*name {
            "gzip" | "x-gzip" => named = Some(is_accepted),
            "*" => any = is_accepted,
            _ => {}
        }
    }
    named.unwrap_or(any)
}

/// The bytes, compressed; none when that is impossible now.
pub(super) async fn packed(bytes: Bytes) -> Option<Bytes> {
    let pack = |bytes: &Bytes| {
        let mut packer = Packer::new();
        packer.write(bytes);
        Bytes::from(packer.finish())
    };
    if bytes.len() <= BRIEF {
        return Some(pack(&bytes));
    }
    tokio::task::spawn_blocking(move || pack(&bytes)).await.ok()
}

/// Compresses an answer that is sent in pieces.
pub(super) struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    pub(super) fn new() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::default()))
    }

    fn write(&mut self, piece: &[u8]) {
        // Writing to memory does not fail.
        let _ = self.0.write_all(piece);
    }

    /// The compressed piece, to its last byte, so that its reader does not wait for the next one.
    pub(super) fn piece(&mut self, piece: &[u8]) -> Bytes {
        self.write(piece);
        let _ = self.0.flush();
        std::mem::take(self.0.get_mut()).into()
    }

    /// The end, with a checksum of everything. Without it, no reader takes the answer for whole.
    pub(super) fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_accept_it() {
        for (accepted, expected) in [
            (None, false),
            (Some(""), false),
            (Some("gzip"), true),
            (Some("br, GZIP;q=0.5"), true),
            (Some("x-gzip"), true),
            (Some("*"), true),
            (Some("identity"), false),
            (Some("deflate, br"), false),
            (Some("gzip;q=0"), false),
            (Some("gzip; q=0.000, *"), false),
            (Some("*;q=0, gzip"), true),
            (Some("gzip;q=much"), false),
        ] {
            let headers = accepted.map(|accepted| (header::ACCEPT_ENCODING, HeaderValue::from_static(accepted)));
            assert_eq!(accepts(&headers.into_iter().collect()), expected, "{accepted:?}");
        }
    }

    #[tokio::test]
    async fn what_is_packed_is_what_is_unpacked() {
        for length in [0, 10, BRIEF, BRIEF + 1, 1 << 20] {
            let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap_or_default()).collect();
            let packed = packed(bytes.clone().into()).await.unwrap();
            let mut unpacked = Vec::new();
            GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, bytes);
        }
    }

    #[test]
    fn each_piece_can_be_read_when_it_arrives_and_the_end_is_checked() {
        let mut packer = Packer::new();
        let mut sent = packer.piece(b"one,").to_vec();
        let mut read = [0; 4];
        GzDecoder::new(&*sent).read_exact(&mut read).unwrap();
        assert_eq!(&read, b"one,");
        sent.extend(packer.piece(b"two"));
        assert!(GzDecoder::new(&*sent).read_to_end(&mut Vec::new()).is_err(), "a part passes for the whole");
        sent.extend(packer.finish());
        let mut whole = String::new();
        GzDecoder::new(&*sent).read_to_string(&mut whole).unwrap();
        assert_eq!(whole, "one,two");
    }
}
