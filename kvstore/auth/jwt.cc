#include "kvstore/auth/jwt.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/jwt.h"
#include "base/status.h"
#include "base/strings.h"
#include "kvstore/auth/errors.h"

namespace keel::kvstore {

namespace {

using base::StrCat;
using google::protobuf::Struct;

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

class EtcdJwt final : public Jwt {
 public:
  EtcdJwt(base::Duration ttl, std::unique_ptr<base::JwtKey> key)
      : ttl_(ttl), key_(std::move(key)) {}

  absl::StatusOr<std::string> Sign(const Caller& caller, int64_t unix_seconds) const override {
    const int64_t expires =
        unix_seconds + std::chrono::duration_cast<std::chrono::seconds>(ttl_).count();
    auto token = key_->Sign(StrCat("{\"alg\":\"", key_->method(), "\",\"typ\":\"JWT\"}"),
                            StrCat("{\"exp\":", expires, ",\"revision\":", caller.revision,
                                   ",\"username\":", Quoted(caller.user), "}"));
    if (token.ok()) return token;
    return absl::Status(token.status().code(),
                        StrCat("auth: ", base::ToStd(token.status().message())));
  }

  absl::StatusOr<JwtClaims> Verify(std::string_view token, int64_t unix_seconds) const override {
    const std::optional<base::JwtParts> parts = base::SplitJwt(token);
    Struct header, claims;
    if (!parts.has_value() || !ParseJson(parts->header, &header) ||
        header.fields().count("alg") == 0 ||
        header.fields().at("alg").string_value() != key_->method() || !key_->Signed(*parts) ||
        !ParseJson(parts->claims, &claims)) {
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
  const base::Duration ttl_;
  const std::unique_ptr<base::JwtKey> key_;
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
  auto key = base::JwtKey::Create({.method = options.sign_method,
                                   .public_key = options.public_key,
                                   .private_key = options.private_key});
  if (!key.ok()) {
    return absl::InvalidArgumentError(
        StrCat("--auth-token: ", base::ToStd(key.status().message())));
  }
  return std::make_unique<EtcdJwt>(options.ttl, *std::move(key));
}

}  // namespace keel::kvstore
