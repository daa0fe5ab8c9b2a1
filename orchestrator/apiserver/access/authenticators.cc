#include "orchestrator/apiserver/access/authenticators.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/api/error.h"

namespace keel::orchestrator {

namespace {

using base::StrCat;

// One line of CSV (RFC 4180): fields may stand in quotes, a quote in them is doubled.
bool SplitCsv(std::string_view line, std::vector<std::string>* fields) {
  fields->clear();
  while (true) {
    std::string field;
    if (line.starts_with('"')) {
      line.remove_prefix(1);
      while (true) {
        const size_t quote = line.find('"');
        if (quote == std::string_view::npos) return false;
        field += line.substr(0, quote);
        line.remove_prefix(quote + 1);
        if (!line.starts_with('"')) break;
        field += '"';
        line.remove_prefix(1);
      }
      if (!line.empty() && line[0] != ',') return false;
    } else {
      field = line.substr(0, line.find(','));
      line.remove_prefix(field.size());
    }
    fields->push_back(std::move(field));
    if (line.empty()) return true;
    line.remove_prefix(1);
  }
}

std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\r') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// What follows "Bearer "; empty for other schemes, which are nobody's here.
std::string_view BearerToken(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  authorization = Trimmed(authorization);
  if (authorization.size() < kScheme.size() ||
      !absl::EqualsIgnoreCase(base::ToAbsl(authorization.substr(0, kScheme.size())),
                              base::ToAbsl(kScheme))) {
    return {};
  }
  return Trimmed(authorization.substr(kScheme.size()));
}

}  // namespace

absl::StatusOr<absl::flat_hash_map<std::string, User>> ParseTokenFile(std::string_view csv) {
  absl::flat_hash_map<std::string, User> users;
  std::vector<std::string> fields;
  size_t number = 0;
  while (!csv.empty()) {
    ++number;
    const size_t end = std::min(csv.find('\n'), csv.size());
    const std::string_view line = Trimmed(csv.substr(0, end));
    csv.remove_prefix(std::min(end + 1, csv.size()));
    if (line.empty() || line[0] == '#') continue;
    // The line is not repeated: it holds a secret.
    if (!SplitCsv(line, &fields) || fields.size() < 3) {
      return absl::InvalidArgumentError(
          StrCat("line ", number, ": a token, a user, a uid and, optionally, groups are expected"));
    }
    if (fields[0].empty()) {
      return absl::InvalidArgumentError(StrCat("line ", number, ": the token is empty"));
    }
    User user{.name = fields[1], .uid = fields[2]};
    if (fields.size() > 3) user.groups = SplitCommas(fields[3]);
    user.groups.emplace_back("system:authenticated");
    users[fields[0]] = std::move(user);
  }
  return users;
}

UnionAuthenticator::UnionAuthenticator(bool anonymous,
                                       absl::flat_hash_map<std::string, User> static_tokens,
                                       ServiceAccountTokens& tokens)
    : anonymous_(anonymous), static_tokens_(std::move(static_tokens)), tokens_(tokens) {}

absl::StatusOr<User> UnionAuthenticator::AuthenticateToken(
    std::string_view token, const std::vector<std::string>& audiences, absl::Time now,
    std::vector<std::string>* matched) {
  if (const auto found = static_tokens_.find(base::ToAbsl(token)); found != static_tokens_.end()) {
    // Such a token says nothing of audiences: it is for this server.
    const std::vector<std::string>& own = tokens_.audiences();
    bool meant = audiences.empty();
    for (const std::string& audience : audiences.empty() ? own : audiences) {
      if (std::find(own.begin(), own.end(), audience) == own.end()) continue;
      meant = true;
      if (matched != nullptr) matched->push_back(audience);
    }
    if (!meant) return Unauthorized();
    return found->second;
  }
  return tokens_.Verify(token, audiences, now, matched);
}

absl::StatusOr<User> UnionAuthenticator::Authenticate(
    const std::optional<PeerCertificate>& certificate, std::string_view authorization,
    absl::Time now) {
  if (certificate.has_value() && !certificate->common_name.empty()) {
    User user{.name = certificate->common_name, .groups = certificate->organizations};
    user.groups.emplace_back("system:authenticated");
    return user;
  }
  if (const std::string_view token = BearerToken(authorization); !token.empty()) {
    auto user = AuthenticateToken(token, {}, now, nullptr);
    // Why it does not count is nobody's business but the server's.
    if (!user.ok()) return Unauthorized();
    return user;
  }
  if (!anonymous_) return Unauthorized();
  return User{.name = "system:anonymous", .groups = {"system:unauthenticated"}};
}

}  // namespace keel::orchestrator
