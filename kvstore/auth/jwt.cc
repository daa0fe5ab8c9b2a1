#include "kvstore/auth/jwt.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/auth/errors.h"

namespace keel::kvstore {

namespace {

using base::StrCat;
using google::protobuf::Struct;

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
  absl::WebSafeBase64Escape(base::ToAbsl(bytes), &text);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

bool Decode(std::string_view text, std::string* bytes) {
  return text.find('=') == std::string_view::npos &&
         absl::WebSafeBase64Unescape(base::ToAbsl(text), bytes);
}

bool ParseJson(std::string_view text, Struct* json) {
  return google::protobuf::util::JsonStringToMessage(
             google::protobuf::StringPiece(text.data(), text.size()), json)
      .ok();
}

std::string Quoted(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) return "\"\"";
  return json;
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

class OpenSslJwt final : public Jwt {
 public:
  OpenSslJwt(const JwtOptions& options, const Method& method, Key public_key, Key private_key)
      : options_(options),
        method_(method),
        public_key_(std::move(public_key)),
        private_key_(std::move(private_key)) {}

  absl::StatusOr<std::string> Sign(const Caller& caller, int64_t unix_seconds) const override {
    if (options_.private_key.empty()) {
      return absl::FailedPreconditionError("auth: token signing attempted with verify-only key");
    }
    const int64_t expires =
        unix_seconds + std::chrono::duration_cast<std::chrono::seconds>(options_.ttl).count();
    const std::string header = StrCat("{\"alg\":\"", options_.sign_method, "\",\"typ\":\"JWT\"}");
    const std::string claims = StrCat("{\"exp\":", expires, ",\"revision\":", caller.revision,
                                      ",\"username\":", Quoted(caller.user), "}");
    std::string token = StrCat(Encode(header), ".", Encode(claims));
    const std::string signature = Signature(token);
    if (signature.empty()) return absl::InternalError("auth: a token could not be signed");
    return StrCat(token, ".", Encode(signature));
  }

  absl::StatusOr<JwtClaims> Verify(std::string_view token, int64_t unix_seconds) const override {
    const size_t first = token.find('.'), last = token.rfind('.');
    if (first == std::string_view::npos || first == last) return ErrInvalidAuthToken();
    std::string header_json, claims_json, signature;
    Struct header, claims;
    if (!Decode(token.substr(0, first), &header_json) ||
        !Decode(token.substr(first + 1, last - first - 1), &claims_json) ||
        !Decode(token.substr(last + 1), &signature) || !ParseJson(header_json, &header) ||
        header.fields().count("alg") == 0 ||
        header.fields().at("alg").string_value() != options_.sign_method ||
        !Matches(token.substr(0, last), signature) || !ParseJson(claims_json, &claims)) {
      return ErrInvalidAuthToken();
    }
    const auto field = [&claims](const char* name) -> const google::protobuf::Value& {
      static const google::protobuf::Value kNone;
      const auto found = claims.fields().find(name);
      return found == claims.fields().end() ? kNone : found->second;
    };
    const auto& user = field("username");
    const auto& revision = field("revision");
    const auto& expires = field("exp");
    constexpr double kExact = 9007199254740992.0;  // 2^53
    if (!user.has_string_value() || user.string_value().empty() || !revision.has_number_value() ||
        !(revision.number_value() >= 1 && revision.number_value() < kExact) ||
        !expires.has_number_value() ||
        !(expires.number_value() > static_cast<double>(unix_seconds) &&
          expires.number_value() < kExact)) {
      return ErrInvalidAuthToken();
    }
    return JwtClaims{{user.string_value(), static_cast<uint64_t>(revision.number_value())},
                     static_cast<int64_t>(expires.number_value())};
  }

 private:
  std::string Mac(std::string_view text) const {
    std::string mac(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    const std::string& secret = options_.private_key;
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

  const JwtOptions options_;
  const Method method_;
  const Key public_key_;
  const Key private_key_;
};

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::ErrnoStatus(errno, StrCat("--auth-token: open ", path));
  return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// "90s", "5m", "1h": what etcd's own documentation uses of Go's durations.
bool ParseTtl(std::string_view text, base::Duration* ttl) {
  if (text.size() < 2) return false;
  int64_t count = 0;
  const char unit = text.back();
  if (!absl::SimpleAtoi(base::ToAbsl(text.substr(0, text.size() - 1)), &count)) return false;
  if (count <= 0 || count > 1'000'000) return false;
  if (unit == 's') *ttl = std::chrono::seconds(count);
  if (unit == 'm') *ttl = std::chrono::minutes(count);
  if (unit == 'h') *ttl = std::chrono::hours(count);
  return unit == 's' || unit == 'm' || unit == 'h';
}

}  // namespace

absl::StatusOr<JwtOptions> ParseJwtOptions(std::string_view text) {
  JwtOptions options;
  const std::vector<std::string> parts = absl::StrSplit(base::ToAbsl(text), ',');
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i == 0) {
      if (parts[0] == "jwt") continue;
      return absl::InvalidArgumentError(StrCat("--auth-token: '", parts[0], "' is not known"));
    }
    const size_t equals = parts[i].find('=');
    const std::string name = parts[i].substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : parts[i].substr(equals + 1);
    if (name == "sign-method") {
      options.sign_method = value;
    } else if (name == "pub-key") {
      KEEL_ASSIGN_OR_RETURN(options.public_key, ReadFile(value));
    } else if (name == "priv-key") {
      KEEL_ASSIGN_OR_RETURN(options.private_key, ReadFile(value));
    } else if (name == "ttl") {
      if (!ParseTtl(value, &options.ttl)) {
        return absl::InvalidArgumentError(StrCat("--auth-token: ttl '", value, "' is no time"));
      }
    } else {
      return absl::InvalidArgumentError(StrCat("--auth-token: '", name, "' is not known"));
    }
  }
  return options;
}

absl::StatusOr<std::unique_ptr<Jwt>> Jwt::Create(const JwtOptions& options) {
  const auto method = Methods().find(options.sign_method);
  if (method == Methods().end()) {
    return absl::InvalidArgumentError(
        StrCat("--auth-token: sign-method '", options.sign_method, "' is not known"));
  }
  const bool hmac = method->second.kind == KeyKind::kHmac;
  if (hmac && options.private_key.empty()) {
    return absl::InvalidArgumentError("--auth-token: priv-key must hold the secret");
  }
  Key public_key = NoKey(), private_key = NoKey();
  if (!hmac && !options.private_key.empty()) {
    private_key = ReadKey(options.private_key, /*is_private=*/true);
    if (private_key == nullptr) {
      return absl::InvalidArgumentError("--auth-token: priv-key holds no private key");
    }
  }
  if (!hmac && !options.public_key.empty()) {
    public_key = ReadKey(options.public_key, /*is_private=*/false);
    if (public_key == nullptr) {
      return absl::InvalidArgumentError("--auth-token: pub-key holds no public key");
    }
  } else if (private_key != nullptr) {
    EVP_PKEY_up_ref(private_key.get());
    public_key.reset(private_key.get());
  }
  if (!hmac && public_key == nullptr) {
    return absl::InvalidArgumentError("--auth-token: neither pub-key nor priv-key is given");
  }
  for (const EVP_PKEY* key : {public_key.get(), private_key.get()}) {
    if (key != nullptr && !IsFor(method->second, key)) {
      return absl::InvalidArgumentError(
          StrCat("--auth-token: the key is not one for ", options.sign_method));
    }
  }
  if (private_key != nullptr && EVP_PKEY_eq(public_key.get(), private_key.get()) != 1) {
    return absl::InvalidArgumentError("--auth-token: pub-key and priv-key do not belong together");
  }
  return std::make_unique<OpenSslJwt>(options, method->second, std::move(public_key),
                                      std::move(private_key));
}

}  // namespace keel::kvstore
