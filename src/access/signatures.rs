//! Checks the signatures of access tokens with `ring`, which TLS uses as well. `jsonwebtoken` does the rest.

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    crypto::{CryptoProvider, JwtVerifier, KeyUtils},
    errors::{Error, ErrorKind},
    signature::{self, Verifier},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

static PROVIDER: CryptoProvider = CryptoProvider {
    // This service signs nothing.
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes this the provider of the process. Calling it again has no effect.
pub(super) fn install() {
    let _ = PROVIDER.install_default();
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library's signature")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if !key.family().algorithms().contains(algorithm) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Signed { algorithm: *algorithm, key: key.clone() }))
}

struct Signed {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for Signed {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Signed {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                let parameters = rsa(self.algorithm).ok_or_else(signature::Error::new)?;
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            DecodingKeyKind::SecretOrDer(key) => {
                let curve = curve(self.algorithm).ok_or_else(signature::Error::new)?;
                UnparsedPublicKey::new(curve, key).verify(message, signature)
            }
        };
        verified.map_err(|_| signature::Error::new())
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::RS256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

/// The algorithm for elliptic curves; `None` for shared secrets, so an access token signed with one is never valid.
fn curve(algorithm: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        Algorithm::ES256 => Some(&ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Some(&ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Some(&ED25519),
        _ => None,
    }
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

    #[test]
    fn signatures_of_rsa_are_told_apart_by_their_padding() {
        install();
        let key = DecodingKey::from_rsa_components(MODULUS, "AQAB").unwrap();
        let verify = |signature: &str, message: &[u8], algorithm| {
            jsonwebtoken::crypto::verify(signature, message, &key, algorithm).unwrap()
        };
        let signed = b"header.claims";
        assert!(verify(PKCS1, signed, Algorithm::RS256) && verify(PSS, signed, Algorithm::PS256));
        assert!(!verify(PKCS1, signed, Algorithm::PS256) && !verify(PSS, signed, Algorithm::RS256));
        assert!(!verify(PKCS1, signed, Algorithm::RS512) && !verify(PKCS1, b"header.other", Algorithm::RS256));
        for algorithm in [Algorithm::HS256, Algorithm::ES256, Algorithm::EdDSA] {
            assert!(jsonwebtoken::crypto::verify(PKCS1, signed, &key, algorithm).is_err());
        }
    }
}
