// How values lie in the store: encrypted by AES-GCM, as an EncryptionConfiguration says.
//
//   apiVersion: apiserver.config.k8s.io/v1
//   kind: EncryptionConfiguration
//   resources:
//   - resources: [secrets]
//     providers:
//     - aesgcm:
//         keys:
//         - {name: key2, secret: BASE64 OF 16, 24 OR 32 BYTES}
//         - {name: key1, secret: ...}
//     - identity: {}
//
// The first provider writes (with its first key), all of them read. A stored value is
//
//   "k8s:enc:aesgcm:v1:" NAME ":" nonce (12 random bytes) ciphertext tag (16 bytes)
//
// with the store's key as additional data: a value moved to another key does not decrypt. That is
// Kubernetes' own form, so either reads what the other wrote under the same key.
//
// Neither errors nor logs hold values or keys. Thread-safe once made.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "orchestrator/apiserver/access.h"

namespace keel::orchestrator {

class EncryptionTransformer final : public ValueTransformer {
 public:
  // Everything lies as it is.
  EncryptionTransformer() = default;
  // Of an EncryptionConfiguration. InvalidArgument says what is wrong with it.
  static absl::StatusOr<std::unique_ptr<EncryptionTransformer>> Parse(const std::string& yaml);

  absl::StatusOr<std::string> ToStore(std::string_view resource, std::string_view key,
                                      std::string plain) override;
  absl::StatusOr<std::string> FromStore(std::string_view resource, std::string_view key,
                                        std::string stored, bool* stale) override;
  // The resources that are named (no wildcards) and written encrypted.
  std::vector<std::string> EncryptedResources() const;

 private:
  struct Provider {
    std::string key_name{};  // of AES-GCM
    std::string secret{};    // empty: identity
  };
  // One entry of the configuration: the keys of all its providers in order.
  struct Rule {
    std::vector<std::string> resources{};  // "secrets", "deployments.apps", "*.apps", "*.*"
    std::vector<Provider> providers{};
  };
  const Rule* FindRule(std::string_view resource) const;

  std::vector<Rule> rules_;
};

}  // namespace keel::orchestrator
