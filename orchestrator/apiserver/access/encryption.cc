#include "orchestrator/apiserver/access/encryption.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/check.h"
#include "base/status.h"
#include "base/strings.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

constexpr std::string_view kEncrypted = "k8s:enc:";
constexpr std::string_view kAesGcm = "k8s:enc:aesgcm:v1:";
constexpr size_t kNonceBytes = 12;
constexpr size_t kTagBytes = 16;

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const EVP_CIPHER* CipherFor(const std::string& secret) {
  return secret.size() == 16   ? EVP_aes_128_gcm()
         : secret.size() == 24 ? EVP_aes_192_gcm()
                               : EVP_aes_256_gcm();
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text, size_t at) {
  return reinterpret_cast<unsigned char*>(text.data() + at);
}

// Appends nonce, ciphertext and tag to `out`.
void Seal(const std::string& secret, std::string_view plain, std::string_view key,
          std::string& out) {
  const size_t start = out.size();
  out.resize(start + kNonceBytes + plain.size() + kTagBytes);
  KEEL_CHECK(RAND_bytes(Bytes(out, start), kNonceBytes) == 1);
  const CipherContext context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int size = 0;
  KEEL_CHECK(EVP_EncryptInit_ex(context.get(), CipherFor(secret), nullptr, Bytes(secret),
                                Bytes(out, start)) == 1);
  KEEL_CHECK(EVP_EncryptUpdate(context.get(), nullptr, &size, Bytes(key),
                               static_cast<int>(key.size())) == 1);
  const size_t at = start + kNonceBytes;
  KEEL_CHECK(EVP_EncryptUpdate(context.get(), Bytes(out, at), &size, Bytes(plain),
                               static_cast<int>(plain.size())) == 1);
  KEEL_CHECK(static_cast<size_t>(size) == plain.size());
  KEEL_CHECK(EVP_EncryptFinal_ex(context.get(), Bytes(out, at + plain.size()), &size) == 1);
  KEEL_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                                 Bytes(out, at + plain.size())) == 1);
}

// False for what was not sealed with that secret for that key.
bool Open(const std::string& secret, std::string_view sealed, std::string_view key,
          std::string* plain) {
  if (sealed.size() < kNonceBytes + kTagBytes) return false;
  const std::string_view nonce = sealed.substr(0, kNonceBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  const std::string_view body = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  plain->resize(body.size());
  const CipherContext context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int size = 0;
  return EVP_DecryptInit_ex(context.get(), CipherFor(secret), nullptr, Bytes(secret),
                            Bytes(nonce)) == 1 &&
         EVP_DecryptUpdate(context.get(), nullptr, &size, Bytes(key),
                           static_cast<int>(key.size())) == 1 &&
         EVP_DecryptUpdate(context.get(), Bytes(*plain, 0), &size, Bytes(body),
                           static_cast<int>(body.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(context.get(), Bytes(*plain, plain->size()), &size) == 1;
}

bool Names(std::string_view pattern, std::string_view resource) {
  if (pattern == resource || pattern == "*.*") return true;
  const size_t dot = resource.find('.');
  const std::string_view group =
      dot == std::string_view::npos ? std::string_view() : resource.substr(dot + 1);
  return pattern.starts_with("*.") && pattern.substr(2) == group;
}

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError(StrCat("EncryptionConfiguration: ", what));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EncryptionTransformer>> EncryptionTransformer::Parse(
    const std::string& yaml) {
  auto out = std::make_unique<EncryptionTransformer>();
  // yaml-cpp throws. Its words are not repeated: they may quote a key.
  try {
    const YAML::Node root = YAML::Load(yaml);
    if (!root.IsMap() || root["kind"].as<std::string>("") != "EncryptionConfiguration") {
      return Wrong("kind must be EncryptionConfiguration");
    }
    if (!root["resources"].IsSequence()) return Wrong("resources: Required value");
    size_t number = 0;
    for (const YAML::Node& entry : root["resources"]) {
      const std::string place = StrCat("resources[", number++, "]");
      Rule rule;
      for (const YAML::Node& resource : entry["resources"]) {
        rule.resources.push_back(resource.as<std::string>());
        // "secrets." is the core group's; ours has no dot.
        if (rule.resources.back().ends_with('.') && rule.resources.back() != "*.") {
          rule.resources.back().pop_back();
        }
      }
      if (rule.resources.empty()) return Wrong(StrCat(place, ".resources: Required value"));
      for (const YAML::Node& provider : entry["providers"]) {
        if (provider["identity"].IsDefined()) {
          rule.providers.emplace_back();
        } else if (provider["aesgcm"].IsDefined()) {
          if (provider["aesgcm"]["keys"].size() == 0) {
            return Wrong(StrCat(place, ".providers: aesgcm without keys"));
          }
          for (const YAML::Node& key : provider["aesgcm"]["keys"]) {
            Provider one{.key_name = key["name"].as<std::string>("")};
            if (one.key_name.empty() || one.key_name.find(':') != std::string::npos) {
              return Wrong(StrCat(place, ".providers: a key's name must be set and hold no ':'"));
            }
            if (!absl::Base64Unescape(key["secret"].as<std::string>(""), &one.secret) ||
                (one.secret.size() != 16 && one.secret.size() != 24 && one.secret.size() != 32)) {
              return Wrong(StrCat(place, ".providers: the secret of key \"", one.key_name,
                                  "\" must be 16, 24 or 32 bytes in base64"));
            }
            rule.providers.push_back(std::move(one));
          }
        } else {
          return Wrong(StrCat(place, ".providers: only aesgcm and identity are supported"));
        }
      }
      if (rule.providers.empty()) return Wrong(StrCat(place, ".providers: Required value"));
      out->rules_.push_back(std::move(rule));
    }
  } catch (const std::exception&) {
    return Wrong("not well-formed");
  }
  return out;
}

const EncryptionTransformer::Rule* EncryptionTransformer::FindRule(
    std::string_view resource) const {
  for (const Rule& rule : rules_) {
    for (const std::string& pattern : rule.resources) {
      if (Names(pattern, resource)) return &rule;
    }
  }
  return nullptr;
}

std::vector<std::string> EncryptionTransformer::EncryptedResources() const {
  std::vector<std::string> out;
  for (const Rule& rule : rules_) {
    for (const std::string& pattern : rule.resources) {
      if (!pattern.starts_with('*')) out.push_back(pattern);
    }
  }
  return out;
}

absl::StatusOr<std::string> EncryptionTransformer::ToStore(std::string_view resource,
                                                           std::string_view key,
                                                           std::string plain) {
  const Rule* rule = FindRule(resource);
  if (rule == nullptr || rule->providers.front().secret.empty()) return plain;
  const Provider& provider = rule->providers.front();
  std::string out = StrCat(kAesGcm, provider.key_name, ":");
  Seal(provider.secret, plain, key, out);
  return out;
}

absl::StatusOr<std::string> EncryptionTransformer::FromStore(std::string_view resource,
                                                             std::string_view key,
                                                             std::string stored, bool* stale) {
  const Rule* rule = FindRule(resource);
  if (stale != nullptr) *stale = false;
  if (!stored.starts_with(kEncrypted)) {
    if (rule == nullptr) return stored;
    // What was written before encryption was turned on reads as it is while identity is listed.
    for (const Provider& provider : rule->providers) {
      if (!provider.secret.empty()) continue;
      if (stale != nullptr) *stale = &provider != &rule->providers.front();
      return stored;
    }
    return absl::DataLossError(StrCat(key, ": is not encrypted, and identity is no provider"));
  }
  const std::string_view rest =
      std::string_view(stored).substr(stored.starts_with(kAesGcm) ? kAesGcm.size() : stored.size());
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos) {
    return absl::DataLossError(StrCat(key, ": is encrypted in a way that is not known here"));
  }
  const std::string_view name = rest.substr(0, colon);
  std::string plain;
  if (rule != nullptr) {
    for (const Provider& provider : rule->providers) {
      if (provider.secret.empty() || provider.key_name != name) continue;
      if (!Open(provider.secret, rest.substr(colon + 1), key, &plain)) continue;
      if (stale != nullptr) *stale = &provider != &rule->providers.front();
      return plain;
    }
  }
  return absl::DataLossError(StrCat(key, ": cannot be decrypted with any key named \"", name,
                                    "\": it was tampered with, or the key is not configured"));
}

}  // namespace keel::orchestrator
