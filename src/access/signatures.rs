//! Keys of an identity provider, and the signatures of its access tokens, checked with `ring`, which TLS uses as well.
//! Sources: RFC 7517 and 7518 (keys, algorithms), RFC 8037 and 9864 (Ed25519).

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// Base64 as in keys and tokens; some providers pad it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes that a part of a key or token stands for.
pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

/// How a signature was made. There are no shared secrets, so an access token that is signed with one is never valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Ed25519,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            // The older name stands for other curves as well.
            "Ed25519" | "EdDSA" => Self::Ed25519,
            _ => return None,
        })
    }

    fn rsa(self) -> Option<&'static RsaParameters> {
        match self {
            Self::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
            Self::Es256 | Self::Es384 | Self::Ed25519 => None,
        }
    }
}

/// A public key as it is published.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// A public key that verifies signatures.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// The only algorithm with which it signs, if it names one.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Curve(Algorithm, Vec<u8>),
}

impl Key {
    /// `None` for keys that sign nothing, or nothing that can be verified here.
    pub(super) fn of(jwk: &Jwk) -> Option<Self> {
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && jwk.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|usage| usage == "verify"));
        if !signs {
            return None;
        }
        let only = jwk.alg.as_deref().map(Algorithm::named);
        if only == Some(None) {
            return None;
        }
        let part = |part: &Option<String>| part.as_deref().and_then(bytes);
        let point = |algorithm, size| {
            let [x, y] = [padded(&part(&jwk.x)?, size)?, padded(&part(&jwk.y)?, size)?];
            Some(Material::Curve(algorithm, [&[4], &*x, &*y].concat()))
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: trimmed(&part(&jwk.n)?), e: trimmed(&part(&jwk.e)?) },
            ("EC", Some("P-256")) => point(Algorithm::Es256, 32)?,
            ("EC", Some("P-384")) => point(Algorithm::Es384, 48)?,
            ("OKP", Some("Ed25519")) => Material::Curve(Algorithm::Ed25519, part(&jwk.x)?),
            _ => return None,
        };
        Some(Self { id: jwk.kid.clone(), only: only.flatten(), material })
    }

    /// Whether it may have signed with this algorithm.
    pub(super) fn signs_with(&self, algorithm: Algorithm) -> bool {
        let fits = match &self.material {
            Material::Rsa { .. } => algorithm.rsa().is_some(),
            Material::Curve(own, _) => *own == algorithm,
        };
        fits && self.only.is_none_or(|only| only == algorithm)
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.signs_with(algorithm) {
            return false;
        }
        let verified = match (&self.material, algorithm.rsa()) {
            (Material::Rsa { n, e }, Some(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Material::Curve(own, key), _) => UnparsedPublicKey::new(curve(*own), key).verify(message, signature),
            (Material::Rsa { .. }, None) => return false,
        };
        verified.is_ok()
    }
}

fn curve(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
        _ => &ED25519,
    }
}

/// A number without zeros before it.
fn trimmed(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|byte| *byte == 0).collect()
}

/// A number of exactly `size` bytes.
fn padded(number: &[u8], size: usize) -> Option<Vec<u8>> {
    let number = trimmed(number);
    let zeros = size.checked_sub(number.len())?;
    Some([vec![0; zeros], number].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A public key, and signatures of `header.claims` by `openssl dgst -sha256 -sign`. The private key was deleted.
    const MODULUS: &str = "uqoPlLFD7HODw7NASAGYeECVus-uc3qmr3bZSLJHq3RToO19THN77O_6msuIzr-QAlyHFSLDqfuVQU0IKMsnGTyNVG\
        2MZoYV1VLUQt8L-0YsKrIwWRz9rp9fMltSLu5GjHEVD1GeEok8AdGT0ycI-ZWBuvvq-66igBu89eNpnLNrozQuoB9b\
        X1TLxgqDM5UOzCWgmcHat4HL0bVXIiByZc-Xsxbb4uh6VFMdyGpP2XMXlrGWgJiWq9ogHSjt-P-8L0W5UIKN_7ZMwh\
        VEGmneZ4b8PBMT81JJpDQAApKzXsgoPpTx7C0esb9SI3SRbyrqkqcS0LDD_gSmTzKARE4jjQ";
    const PKCS1: &str = "DuD206xxvXRbYpj2k5d2ZAH8Smgs0IuJ3orxiydLz2itb98Yxz_AR0TzP4qZfIKQKJh9mLON8iJevwm-vR_HfMnEMZ\
        aMt1bs3qrYD5zMgI9f0oCtaabTtEvOGi1iDwJMq5Knmq06ihw3OpRsSb5Fuj0FDTaKEUzDdW-ef8bNP3Ygz_zFfafK\
        N4lCKnFPBfumFdhCdkzGKeoYtFezud5xMHROhfyG1ZJNH8FiSJbFCWNGDnd1jOtrHc9H-tLkzahYduYGddaSP-4gVU\
        XNnLx_l-RJzHzSUzz7NnS31lSj9uELx-EFetmyyu-3ua8XEu6KiLsHwSAIag2RElbCwLyFNA";
    const PSS: &str = "JtkxZIwAIAMfahjAiWRf2omZ9EeSAgrptHYzFq2lEnbyZGXyUVbaeUkgP2YwJytTM7mrluCpfnyt7PsbmrxC2fQIs0\
        MfU8eH-1UakuXl-dD4AItAexFW5bgCD4npZgCee-O_TVmNdyEnYJZXGF7TsqZERKDwnADPhVOQWTTsA-bncjxGyOyO\
        D21sLaBIlCz_PdplNi8vsHoorQzjvNgOLXcLYe1L-3V8UV5huZsNACClrN8hV5nNB_S1mDg7z4SOp1BfzZ6NFm9mdw\
        9eyEnJjcI28zyyCNPBfJv66pI9aXh5w95mqqV6hEUfAXZgZA94rc8FayWCRueYRTg4Ei5onQ";

    fn rsa(alg: Option<&str>) -> Jwk {
        let [n, e] = [MODULUS, "AQAB"].map(|text| Some(text.to_owned()));
        Jwk { kty: "RSA".to_owned(), n, e, alg: alg.map(str::to_owned), ..Jwk::default() }
    }

    #[test]
    fn signatures_of_rsa_are_told_apart_by_their_padding() {
        let key = Key::of(&rsa(None)).unwrap();
        let verify =
            |signature: &str, message: &[u8], algorithm| key.verifies(algorithm, message, &bytes(signature).unwrap());
        let signed = b"header.claims";
        assert!(verify(PKCS1, signed, Algorithm::Rs256) && verify(PSS, signed, Algorithm::Ps256));
        assert!(!verify(PKCS1, signed, Algorithm::Ps256) && !verify(PSS, signed, Algorithm::Rs256));
        assert!(!verify(PKCS1, signed, Algorithm::Rs512) && !verify(PKCS1, b"header.other", Algorithm::Rs256));
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Ed25519] {
            assert!(!verify(PKCS1, signed, algorithm));
        }
    }

    #[test]
    fn a_key_signs_with_what_it_names_alone() {
        let key = Key::of(&rsa(Some("PS256"))).unwrap();
        let verify = |signature, algorithm| key.verifies(algorithm, b"header.claims", &bytes(signature).unwrap());
        assert!(verify(PSS, Algorithm::Ps256) && !verify(PKCS1, Algorithm::Rs256));
        for jwk in [
            rsa(Some("RSA-OAEP")),
            Jwk { usage: Some("enc".to_owned()), ..rsa(None) },
            Jwk { key_ops: Some(vec!["encrypt".to_owned()]), ..rsa(None) },
            Jwk { kty: "oct".to_owned(), ..rsa(None) },
        ] {
            assert!(Key::of(&jwk).is_none(), "{jwk:?}");
        }
    }

    /// The example of RFC 8037, appendix A.4.
    #[test]
    fn ed25519_has_two_names() {
        let jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let key = Key::of(&serde_json::from_str(jwk).unwrap()).unwrap();
        let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        for name in ["EdDSA", "Ed25519"] {
            let algorithm = Algorithm::named(name).unwrap();
            assert!(key.verifies(algorithm, signed, &bytes(signature).unwrap()), "{name}");
            assert!(!key.verifies(algorithm, &signed[1..], &bytes(signature).unwrap()), "{name}");
        }
        assert_eq!(["none", "HS256", "ES512", "Ed448", "eddsa"].map(Algorithm::named), [None; 5]);
    }

    #[test]
    fn numbers_have_the_size_that_is_needed() {
        assert_eq!(padded(&[0, 0, 1, 2], 3).unwrap(), [0, 1, 2]);
        assert_eq!(padded(&[1, 2, 3, 4], 3), None);
        assert_eq!(bytes("AQ=="), bytes("AQ"));
    }
}
