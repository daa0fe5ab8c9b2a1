#include "kvstore/kvctl/failure.h"

#include "base/strings.h"

namespace keel::kvctl {
namespace {

constexpr std::string_view kNoEndpoint = "no endpoint answers: ";

constexpr std::string_view kLoginRefused =
    "etcdserver: authentication failed, invalid user ID or password";

}  // namespace

Outcome FailWith(const absl::Status& status) {
  const std::string text(base::ToStd(status.message()));
  // Our own words, not a server's: they begin with who is speaking.
  if (text.starts_with(kNoEndpoint)) {
    return {kExitError, base::StrCat("kvctl: ", text, "; is kvd running?")};
  }
  // etcdctl logs in as part of connecting.
  return Fail(
      text == kLoginRefused ? kExitBadConnection : kExitError,
      text.empty() ? std::string(base::ToStd(absl::StatusCodeToString(status.code()))) : text);
}

std::string ReasonOf(const absl::Status& status) {
  std::string text(base::ToStd(status.message()));
  if (text.starts_with(kNoEndpoint)) {
    const size_t at = text.rfind(": ");
    text = text.substr(at + 2);
  }
  return text;
}

}  // namespace keel::kvctl
