#include "base/jwt.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/strings.h"

namespace keel::base {

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

enum class KeyKind { kHmac, kRsa, kRsaPss, kEcdsa, kEdDsa };

struct Method {
  KeyKind kind;
  const EVP_MD* (*digest)();  // null: the algorithm brings its own
  int curve_bits;             // ECDSA
};

const EVP_MD* NoDigest() { return nullptr; }

const std::map<std::string, Method>& Methods() {
  static const auto* const methods = new std::map<std::string, Method>{
      {"HS256", {KeyKind::kHmac, EVP_sha256, 0}},    {"HS384", {KeyKind::kHmac, EVP_sha384, 0}},
      {"HS512", {KeyKind::kHmac, EVP_sha512, 0}},    {"RS256", {KeyKind::kRsa, EVP_sha256, 0}},
      {"RS384", {KeyKind::kRsa, EVP_sha384, 0}},     {"RS512", {KeyKind::kRsa, EVP_sha512, 0}},
      {"PS256", {KeyKind::kRsaPss, EVP_sha256, 0}},  {"PS384", {KeyKind::kRsaPss, EVP_sha384, 0}},
      {"PS512", {KeyKind::kRsaPss, EVP_sha512, 0}},  {"ES256", {KeyKind::kEcdsa, EVP_sha256, 256}},
      {"ES384", {KeyKind::kEcdsa, EVP_sha384, 384}}, {"ES512", {KeyKind::kEcdsa, EVP_sha512, 521}},
      {"EdDSA", {KeyKind::kEdDsa, NoDigest, 0}},
  };
  return *methods;
}

Key NoKey() { return {nullptr, EVP_PKEY_free}; }

Key ReadKey(const std::string& pem, bool is_private) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  // An empty passphrase: nobody is there to be asked for one.
  char none[] = "";
  EVP_PKEY* key = is_private ? PEM_read_bio_PrivateKey(bio, nullptr, nullptr, none)
                             : PEM_read_bio_PUBKEY(bio, nullptr, nullptr, none);
  BIO_free(bio);
  return {key, EVP_PKEY_free};
}

bool IsFor(const Method& method, const EVP_PKEY* key) {
  const int id = EVP_PKEY_get_base_id(key);
  switch (method.kind) {
    case KeyKind::kRsa:
      return id == EVP_PKEY_RSA;
    case KeyKind::kRsaPss:
      return id == EVP_PKEY_RSA || id == EVP_PKEY_RSA_PSS;
    case KeyKind::kEcdsa:
      return id == EVP_PKEY_EC && EVP_PKEY_get_bits(key) == method.curve_bits;
    case KeyKind::kEdDsa:
      return id == EVP_PKEY_ED25519;
    case KeyKind::kHmac:
      break;
  }
  return false;
}

std::string Encode(std::string_view bytes) {
  std::string text;
  absl::WebSafeBase64Escape(ToAbsl(bytes), &text);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

bool Decode(std::string_view text, std::string* bytes) {
  return text.find('=') == std::string_view::npos &&
         absl::WebSafeBase64Unescape(ToAbsl(text), bytes);
}

// RFC 7518, 3.4: r and s as big-endian numbers of the curve's size, one behind the other, where
// OpenSSL has DER.
size_t HalfOf(const Method& method) { return static_cast<size_t>(method.curve_bits + 7) / 8; }

std::string FromDer(const Method& method, const std::string& der) {
  const auto* in = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* signature = d2i_ECDSA_SIG(nullptr, &in, static_cast<long>(der.size()));
  if (signature == nullptr) return {};
  const size_t half = HalfOf(method);
  std::string raw(2 * half, '\0');
  auto* out = reinterpret_cast<unsigned char*>(raw.data());
  BN_bn2binpad(ECDSA_SIG_get0_r(signature), out, static_cast<int>(half));
  BN_bn2binpad(ECDSA_SIG_get0_s(signature), out + half, static_cast<int>(half));
  ECDSA_SIG_free(signature);
  return raw;
}

std::string ToDer(const Method& method, const std::string& raw) {
  const size_t half = HalfOf(method);
  if (raw.size() != 2 * half) return {};
  const auto* in = reinterpret_cast<const unsigned char*>(raw.data());
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_bin2bn(in, static_cast<int>(half), nullptr),
                 BN_bin2bn(in + half, static_cast<int>(half), nullptr));
  const int size = i2d_ECDSA_SIG(signature, nullptr);
  std::string der(static_cast<size_t>(std::max(size, 0)), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der.data());
  if (size > 0) i2d_ECDSA_SIG(signature, &out);
  ECDSA_SIG_free(signature);
  return der;
}

bool UsePss(const Method& method, EVP_PKEY_CTX* context) {
  return method.kind != KeyKind::kRsaPss ||
         (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
          EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// SHA-256 of the public key's DER.
std::string IdOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  unsigned char hash[SHA256_DIGEST_LENGTH];
  SHA256(der, static_cast<size_t>(size), hash);
  OPENSSL_free(der);
  return Encode({reinterpret_cast<const char*>(hash), sizeof(hash)});
}

class OpenSslJwtKey final : public JwtKey {
 public:
  OpenSslJwtKey(const JwtKeyOptions& options, const Method& method, Key public_key, Key private_key)
      : name_(options.method),
        secret_(method.kind == KeyKind::kHmac ? options.private_key : ""),
        method_(method),
        public_key_(std::move(public_key)),
        private_key_(std::move(private_key)),
        id_(public_key_ == nullptr ? "" : IdOf(public_key_.get())) {}

  const std::string& method() const override { return name_; }
  const std::string& id() const override { return id_; }

  absl::StatusOr<std::string> Sign(std::string_view header_json,
                                   std::string_view claims_json) const override {
    if (method_.kind != KeyKind::kHmac && private_key_ == nullptr) {
      return absl::FailedPreconditionError("token signing attempted with verify-only key");
    }
    std::string token = StrCat(Encode(header_json), ".", Encode(claims_json));
    const std::string signature = Signature(token);
    if (signature.empty()) return absl::InternalError("a token could not be signed");
    return StrCat(token, ".", Encode(signature));
  }

  bool Signed(const JwtParts& parts) const override {
    return Matches(parts.signed_text, parts.signature);
  }

 private:
  std::string Mac(std::string_view text) const {
    std::string mac(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    const std::string& secret = secret_;
    if (HMAC(method_.digest(), secret.data(), static_cast<int>(secret.size()), Bytes(text),
             text.size(), reinterpret_cast<unsigned char*>(mac.data()), &size) == nullptr) {
      return {};
    }
    mac.resize(size);
    return mac;
  }

  std::string Signature(std::string_view text) const {
    if (method_.kind == KeyKind::kHmac) return Mac(text);
    const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* key_context = nullptr;
    size_t size = 0;
    if (EVP_DigestSignInit(context.get(), &key_context, method_.digest(), nullptr,
                           private_key_.get()) != 1 ||
        !UsePss(method_, key_context) ||
        EVP_DigestSign(context.get(), nullptr, &size, Bytes(text), text.size()) != 1) {
      return {};
    }
    std::string signature(size, '\0');
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                       Bytes(text), text.size()) != 1) {
      return {};
    }
    signature.resize(size);
    return method_.kind == KeyKind::kEcdsa ? FromDer(method_, signature) : signature;
  }

  bool Matches(std::string_view text, std::string signature) const {
    if (method_.kind == KeyKind::kHmac) {
      const std::string mac = Mac(text);
      return !mac.empty() && mac.size() == signature.size() &&
             CRYPTO_memcmp(mac.data(), signature.data(), mac.size()) == 0;
    }
    if (method_.kind == KeyKind::kEcdsa) signature = ToDer(method_, signature);
    if (signature.empty()) return false;
    const DigestContext context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    EVP_PKEY_CTX* key_context = nullptr;
    return EVP_DigestVerifyInit(context.get(), &key_context, method_.digest(), nullptr,
                                public_key_.get()) == 1 &&
           UsePss(method_, key_context) &&
           EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(text),
                            text.size()) == 1;
  }

  const std::string name_;
  const std::string secret_;  // HMAC's
  const Method method_;
  const Key public_key_;
  const Key private_key_;
  const std::string id_;
};

}  // namespace

std::optional<JwtParts> SplitJwt(std::string_view token) {
  const size_t first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  JwtParts parts;
  parts.signed_text = token.substr(0, last);
  if (!Decode(token.substr(0, first), &parts.header) ||
      !Decode(token.substr(first + 1, last - first - 1), &parts.claims) ||
      !Decode(token.substr(last + 1), &parts.signature)) {
    return std::nullopt;
  }
  return parts;
}

absl::StatusOr<std::unique_ptr<JwtKey>> JwtKey::Create(const JwtKeyOptions& options) {
  const auto method = Methods().find(options.method);
  if (method == Methods().end()) {
    return absl::InvalidArgumentError(StrCat("sign-method '", options.method, "' is not known"));
  }
  const bool hmac = method->second.kind == KeyKind::kHmac;
  if (hmac && options.private_key.empty()) {
    return absl::InvalidArgumentError("priv-key must hold the secret");
  }
  Key public_key = NoKey(), private_key = NoKey();
  if (!hmac && !options.private_key.empty()) {
    private_key = ReadKey(options.private_key, /*is_private=*/true);
    if (private_key == nullptr) {
      return absl::InvalidArgumentError("priv-key holds no private key");
    }
  }
  if (!hmac && !options.public_key.empty()) {
    public_key = ReadKey(options.public_key, /*is_private=*/false);
    if (public_key == nullptr) {
      return absl::InvalidArgumentError("pub-key holds no public key");
    }
  } else if (private_key != nullptr) {
    EVP_PKEY_up_ref(private_key.get());
    public_key.reset(private_key.get());
  }
  if (!hmac && public_key == nullptr) {
    return absl::InvalidArgumentError("neither pub-key nor priv-key is given");
  }
  for (const EVP_PKEY* key : {public_key.get(), private_key.get()}) {
    if (key != nullptr && !IsFor(method->second, key)) {
      return absl::InvalidArgumentError(StrCat("the key is not one for ", options.method));
    }
  }
  if (private_key != nullptr && EVP_PKEY_eq(public_key.get(), private_key.get()) != 1) {
    return absl::InvalidArgumentError("pub-key and priv-key do not belong together");
  }
  return std::make_unique<OpenSslJwtKey>(options, method->second, std::move(public_key),
                                         std::move(private_key));
}

std::string JwtMethodOf(const std::string& pem) {
  Key key = ReadKey(pem, /*is_private=*/true);
  if (key == nullptr) key = ReadKey(pem, /*is_private=*/false);
  if (key == nullptr) return {};
  for (const char* name : {"RS256", "ES256", "ES384", "ES512", "EdDSA"}) {
    if (IsFor(Methods().at(name), key.get())) return name;
  }
  return {};
}

}  // namespace keel::base
