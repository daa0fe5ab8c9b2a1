// testdata/*.bin: bodies that kubectl 1.35 sent; *.json: what the same command prints with
// --dry-run=client -o json, which is how that client writes the object in JSON.
#include "orchestrator/api/protobuf/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/strings.h"
#include "orchestrator/api/error.h"
#include "orchestrator/api/protobuf/message_types.h"

namespace keel::orchestrator {
namespace {

using ::testing::HasSubstr;

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Go writes null where there is nothing in JSON alone.
void DropNulls(json::value& value) {
  if (json::array* array = value.if_array()) {
    for (json::value& item : *array) DropNulls(item);
  }
  json::object* object = value.if_object();
  if (object == nullptr) return;
  std::vector<std::string> nulls;
  for (auto& [name, member] : *object) {
    if (member.is_null()) nulls.emplace_back(name);
    DropNulls(member);
  }
  for (const std::string& name : nulls) object->erase(name);
}

// A body by hand: the envelope around `raw`.
std::string Envelope(std::string_view api_version, std::string_view kind, std::string_view raw) {
  const auto text = [](char tag, std::string_view bytes) {
    return std::string(1, tag) + static_cast<char>(bytes.size()) + std::string(bytes);
  };
  return std::string("k8s\0", 4) + text('\x0a', text('\x0a', api_version) + text('\x12', kind)) +
         text('\x12', raw);
}

std::string ErrorOf(std::string_view body) {
  const auto decoded = DecodeProtobuf(body);
  return decoded.ok() ? "OK" : std::string(base::ToStd(decoded.status().message()));
}

TEST(DecodeProtobuf, ReadsWhatKubectlSends) {
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator("testdata")) {
    if (entry.path().extension() != ".json") continue;
    SCOPED_TRACE(entry.path().stem().string());
    std::filesystem::path body = entry.path();
    auto decoded = DecodeProtobuf(ReadFile(body.replace_extension(".bin")));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    json::value now = std::move(*decoded);
    json::value expected = ParseJson(ReadFile(entry.path())).value();
    // Only printed, or only sent, with the namespace that is in the path too.
    for (json::value* one : {&now, &expected}) {
      DropNulls(*one);
      Remove(*one, {"metadata", "namespace"});
    }
    EXPECT_EQ(now, expected) << ToPrettyJson(now) << "\nexpected " << ToPrettyJson(expected);
    ++compared;
  }
  EXPECT_GE(compared, 10);
}

TEST(DecodeProtobuf, ReadsKindsThatAreOnlyAskedFor) {
  const auto token = DecodeProtobuf(ReadFile("testdata/token.bin"));
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(StringAt(*token, {"kind"}), "TokenRequest");
  EXPECT_EQ(IntAt(*token, {"spec", "expirationSeconds"}), 600);
  const auto job = DecodeProtobuf(ReadFile("testdata/job.bin"));
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(ToJson(*Find(*job, {"spec", "template", "spec", "containers"})),
            R"([{"name":"sum","image":"busybox","command":["sh","-c","exit 0"],"resources":{}}])");
}

TEST(DecodeProtobuf, AZeroThatWasMeantIsKept) {
  // DeleteOptions.gracePeriodSeconds is a pointer: 0 is not absence.
  const auto options = DecodeProtobuf(Envelope("v1", "DeleteOptions", std::string("\x08\x00", 2)));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(ToJson(*options),
            R"({"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0})");
  // ServicePort.nodePort is none: Go always sends it.
  const auto port =
      DecodeProtobuf(Envelope("v1", "Service", std::string("\x12\x06\x0a\x04\x18\x50\x28\x00", 8)));
  ASSERT_TRUE(port.ok()) << port.status();
  EXPECT_EQ(ToJson(*Find(*port, {"spec"})), R"({"ports":[{"port":80}]})");
}

TEST(DecodeProtobuf, RefusesWhatIsDamaged) {
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("does not begin"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("does not begin"));
  EXPECT_THAT(ErrorOf(std::string("k8s\0\x0a", 5)), HasSubstr("damaged envelope"));
  EXPECT_THAT(ErrorOf(Envelope("v1", "Pod", "\x0a\x7f")), HasSubstr("damaged message core/v1.Pod"));
  EXPECT_THAT(ErrorOf(Envelope("v1", "Pod", "\x08\x01")), HasSubstr("wrong wire type"));
  EXPECT_THAT(ErrorOf(Envelope("v1", "ConfigMap", "\x0a\x04\x0a\x02\xff\xfe")), HasSubstr("UTF-8"));
  EXPECT_TRUE(
      IsReason(DecodeProtobuf(Envelope("x.io/v1", "Boat", "")).status(), "UnsupportedMediaType"));
  // Every beginning of a body is an error or a smaller object, never more than that.
  const std::string whole = ReadFile("testdata/deployment.bin");
  for (size_t size = 0; size < whole.size(); ++size) {
    (void)DecodeProtobuf(std::string_view(whole).substr(0, size));
  }
}

TEST(DecodeProtobuf, EveryBitFlippedIsSurvived) {
  for (const char* file : {"testdata/cron_job.bin", "testdata/quota.bin", "testdata/ingress.bin"}) {
    std::string body = ReadFile(file);
    for (size_t at = 0; at < body.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        body[at] = static_cast<char>(body[at] ^ (1 << bit));
        (void)DecodeProtobuf(body);
        body[at] = static_cast<char>(body[at] ^ (1 << bit));
      }
    }
  }
}

TEST(MessageTypes, EveryTypeThatAFieldNamesIsThere) {
  const MessageTypes& types = MessageTypes::Get();
  EXPECT_GT(types.size(), 400u);
  for (const char* top :
       {"core/v1.Pod", "apps/v1.Deployment", "batch/v1.CronJob", "core/v1.Node",
        "networking/v1.Ingress", "policy/v1.Eviction", "rbac/v1.ClusterRole",
        "authorization/v1.SubjectAccessReview", "autoscaling/v2.HorizontalPodAutoscaler"}) {
    std::vector<std::string_view> todo = {top};
    absl::flat_hash_map<std::string_view, bool> seen;
    while (!todo.empty()) {
      const std::string_view name = todo.back();
      todo.pop_back();
      if (!seen.emplace(name, true).second) continue;
      const auto* fields = types.Find(name);
      ASSERT_NE(fields, nullptr) << name;
      for (const MessageField& field : *fields) {
        if (field.type == MessageField::Type::kMessage) todo.push_back(field.message);
      }
    }
  }
}

}  // namespace
}  // namespace keel::orchestrator
