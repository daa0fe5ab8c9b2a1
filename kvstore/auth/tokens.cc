#include "kvstore/auth/tokens.h"

#include <optional>
#include <utility>

#include "kvstore/auth/errors.h"

namespace keel::kvstore {

absl::StatusOr<Caller> Tokens::Find(std::string_view token, const AuthState& auth,
                                    base::TimePoint now) {
  // Before the token is looked up: a change in between makes the caller's revision old, never new.
  const uint64_t revision = auth.revision();
  std::optional<std::string> user = simple_.Use(token, now);
  if (!user.has_value()) return ErrInvalidAuthToken();
  return Caller{*std::move(user), revision};
}

}  // namespace keel::kvstore
