#include "orchestrator/apiserver/access/encryption.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "base/strings.h"

namespace keel::orchestrator {
namespace {

using base::StrCat;

std::string Secret(size_t bytes, char fill) { return absl::Base64Escape(std::string(bytes, fill)); }

// Keys as "name:letter", the first writes.
std::unique_ptr<EncryptionTransformer> Make(const std::vector<std::string>& keys,
                                            bool identity_last = true,
                                            bool identity_first = false) {
  std::string yaml =
      "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\n"
      "resources:\n- resources: [secrets, \"*.example.com\"]\n  providers:\n";
  if (identity_first) yaml += "  - identity: {}\n";
  if (!keys.empty()) yaml += "  - aesgcm:\n      keys:\n";
  for (const std::string& key : keys) {
    const size_t bytes = key[0] == 'a' ? 16 : key[0] == 'b' ? 24 : 32;
    yaml += StrCat("      - {name: ", key, ", secret: ", Secret(bytes, key[0]), "}\n");
  }
  if (identity_last) yaml += "  - identity: {}\n";
  auto parsed = EncryptionTransformer::Parse(yaml);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

const std::string kKey = "/registry/secrets/default/db";
const std::string kPlain = R"({"data":{"password":"aHVudGVyMg=="}})";

TEST(EncryptionTest, WhatIsWrittenReadsBack) {
  for (const char* name : {"a1", "b1", "c1"}) {
    const auto transformer = Make({name});
    const std::string stored = transformer->ToStore("secrets", kKey, kPlain).value();
    EXPECT_TRUE(stored.starts_with(StrCat("k8s:enc:aesgcm:v1:", name, ":")));
    EXPECT_EQ(stored.find("aHVudGVyMg"), std::string::npos);
    bool stale = true;
    EXPECT_EQ(transformer->FromStore("secrets", kKey, stored, &stale).value(), kPlain);
    EXPECT_FALSE(stale);
    EXPECT_NE(transformer->ToStore("secrets", kKey, kPlain).value(), stored) << "a nonce each";
    EXPECT_EQ(
        transformer
            ->FromStore("secrets", kKey, transformer->ToStore("secrets", kKey, "").value(), &stale)
            .value(),
        "");
  }
}

TEST(EncryptionTest, OnlyWhatIsListedIsEncrypted) {
  const auto transformer = Make({"c1"});
  EXPECT_EQ(transformer->ToStore("pods", "/registry/pods/x", kPlain).value(), kPlain);
  EXPECT_TRUE(transformer->ToStore("widgets.example.com", "k", kPlain)->starts_with("k8s:enc:"));
  EXPECT_EQ(transformer->ToStore("widgets.other.com", "k", kPlain).value(), kPlain);
  EXPECT_EQ(transformer->EncryptedResources(), std::vector<std::string>{"secrets"});
  EncryptionTransformer nothing;
  EXPECT_EQ(nothing.ToStore("secrets", kKey, kPlain).value(), kPlain);
  EXPECT_EQ(nothing.FromStore("secrets", kKey, kPlain, nullptr).value(), kPlain);
}

TEST(EncryptionTest, KeysRotate) {
  const auto before = Make({});
  const auto first = Make({"a1"});
  const auto second = Make({"c2", "a1"});
  const auto last = Make({"c2"}, /*identity_last=*/false);
  const std::string plain = before->ToStore("secrets", kKey, kPlain).value();
  EXPECT_EQ(plain, kPlain);
  bool stale = false;
  EXPECT_EQ(first->FromStore("secrets", kKey, plain, &stale).value(), kPlain);
  EXPECT_TRUE(stale) << "was written before encryption was on";
  const std::string old = first->ToStore("secrets", kKey, kPlain).value();
  EXPECT_EQ(second->FromStore("secrets", kKey, old, &stale).value(), kPlain);
  EXPECT_TRUE(stale);
  EXPECT_FALSE(last->FromStore("secrets", kKey, old, &stale).ok()) << "the old key is gone";
  EXPECT_FALSE(last->FromStore("secrets", kKey, plain, &stale).ok()) << "identity is gone";
  const std::string rewritten = second->ToStore("secrets", kKey, kPlain).value();
  EXPECT_EQ(last->FromStore("secrets", kKey, rewritten, &stale).value(), kPlain);
  EXPECT_FALSE(stale);
  // Turning encryption off again: identity first writes plain, and still reads.
  const auto off = Make({"c2"}, false, /*identity_first=*/true);
  EXPECT_EQ(off->ToStore("secrets", kKey, kPlain).value(), kPlain);
  EXPECT_EQ(off->FromStore("secrets", kKey, rewritten, &stale).value(), kPlain);
  EXPECT_TRUE(stale);
}

TEST(EncryptionTest, WhatWasTamperedWithIsRefusedAndNotShown) {
  const auto transformer = Make({"c1"});
  const std::string stored = transformer->ToStore("secrets", kKey, kPlain).value();
  const size_t start = stored.find("c1:") + 3;
  bool stale = false;
  for (size_t at = start; at < stored.size(); ++at) {
    std::string altered = stored;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    const auto read = transformer->FromStore("secrets", kKey, altered, &stale);
    ASSERT_FALSE(read.ok()) << at;
    EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
    const std::string words(base::ToStd(read.status().message()));
    EXPECT_NE(words.find(kKey), std::string::npos) << words;
    EXPECT_EQ(words.find("aHVudGVyMg"), std::string::npos) << words;
  }
  for (size_t size = 0; size < stored.size(); ++size) {
    const auto read = transformer->FromStore("secrets", kKey, stored.substr(0, size), &stale);
    // Less than the prefix is not encrypted at all.
    EXPECT_EQ(read.ok(), size < std::string_view("k8s:enc:").size()) << size;
  }
  // Moved to another key of the store.
  EXPECT_FALSE(transformer->FromStore("secrets", kKey + "2", stored, &stale).ok());
  // Another secret under the same name.
  EXPECT_FALSE(Make({"c1x"})->FromStore("secrets", kKey, stored, &stale).ok());
  EXPECT_FALSE(transformer->FromStore("secrets", kKey, "k8s:enc:aescbc:v1:k:xxxx", &stale).ok());
}

// Encrypted by another implementation (Python's cryptography) in Kubernetes' form: the secret is 32
// bytes of 'c', the nonce twelve of 'n'.
TEST(EncryptionTest, ReadsWhatOthersWrote) {
  std::string sealed;
  ASSERT_TRUE(absl::Base64Unescape(
      "bm5ubm5ubm5ubm5uaWByqydkKvZh3WCFJteEltbVIM6/zzNTOcVRMaaeTdmt78++xBFb0lEchIyHHx9aIAV0Mw==",
      &sealed));
  bool stale = false;
  EXPECT_EQ(Make({"c1"})
                ->FromStore("secrets", kKey, StrCat("k8s:enc:aesgcm:v1:c1:", sealed), &stale)
                .value(),
            kPlain);
}

TEST(EncryptionTest, ConfigurationsThatAreWrongAreRefusedWithoutTheirSecrets) {
  const auto error = [](const std::string& providers) {
    const auto parsed = EncryptionTransformer::Parse(
        StrCat("kind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n", providers));
    return std::string(base::ToStd(parsed.status().message()));
  };
  EXPECT_NE(error("").find("providers: Required value"), std::string::npos);
  EXPECT_NE(error("  providers: [{kms: {}}]\n").find("only aesgcm and identity"),
            std::string::npos);
  const std::string bad = error("  providers: [{aesgcm: {keys: [{name: k, secret: c2hvcnQ=}]}}]\n");
  EXPECT_NE(bad.find("\"k\""), std::string::npos) << bad;
  EXPECT_EQ(bad.find("c2hvcnQ"), std::string::npos) << bad;
  EXPECT_NE(error("  providers: [{aesgcm: {keys: [{name: 'a:b', secret: x}]}}]\n").find("':'"),
            std::string::npos);
  EXPECT_FALSE(EncryptionTransformer::Parse("kind: Pod").ok());
  EXPECT_FALSE(EncryptionTransformer::Parse("{{{").ok());
  EXPECT_FALSE(EncryptionTransformer::Parse("").ok());
}

}  // namespace
}  // namespace keel::orchestrator
